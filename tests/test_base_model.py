"""Names that don't say which model is behind them: ``base_model`` says it, and its rules and capabilities hold."""

from __future__ import annotations

from typing import Any

import pytest
from tako_anthropic import Anthropic
from tako_azure_openai import AzureOpenAI
from tako_openai import OpenAI

from tako import Message, Provider, errors
from tako.testing.server import Reply, reply, serve

HISTORY = [Message.user("Tell me a story."), Message.assistant("Once upon a ")]


def chat() -> Reply:
    return reply(json={"choices": [{"message": {"content": "time"}, "finish_reason": "stop"}]})


def responses() -> Reply:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "time"}]}
    return reply(json={"status": "completed", "output": [item]})


@pytest.mark.parametrize("name", ["openai", "azure"])
def test_a_deployment_has_the_rules_of_its_model(name: str) -> None:
    with serve(chat(), chat()) as server:
        deployment: Provider = (
            OpenAI("mine", api_key="k", base_url=server.url, base_model="gpt-5.4")
            if name == "openai"
            else AzureOpenAI("mine", api_key="k", endpoint=server.url, api="chat", base_model="gpt-5.4")
        )
        response = deployment.blocking.chat("Hi", max_tokens=50, temperature=0.5, reasoning="low", stop=["."])
        other = deployment.blocking.chat("Hi", max_tokens=50, model="another")
        sent, plain = (request.json for request in server.requests)
    assert (sent["model"], sent["max_completion_tokens"]) == ("mine", 50)
    assert not {"max_tokens", "temperature", "stop"} & sent.keys()
    assert {notice.path for notice in response.notices} == {"temperature", "stop"}
    assert (plain["max_tokens"], other.notices) == (50, [])
    assert deployment.capabilities.max_context_tokens == 1_050_000


def test_a_deployment_of_claude_has_its_rules() -> None:
    with serve(reply(json={"content": [{"type": "text", "text": "time"}], "stop_reason": "end_turn"})) as server:
        deployment = Anthropic("mine", api_key="k", base_url=server.url, base_model="claude-opus-4-7")
        response = deployment.blocking.chat(HISTORY, temperature=0.5)
        sent = server.requests[0].json
    assert "temperature" not in sent
    assert [message["role"] for message in sent["messages"]] == ["user"]
    assert {"unsupported_parameter", "misplaced_part"} <= {notice.code for notice in response.notices}


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize(
    ("model", "last", "codes"),
    [
        ("anthropic/claude-opus-4-7", None, ["misplaced_part"]),
        ("anthropic/claude-opus-4-5", "Once upon a", ["changed_part"]),
        ("gpt-5.4", "Once upon a ", []),
    ],
)
def test_a_beginning_of_the_reply_goes_out_as_the_model_takes_it(
    api: Any, model: str, last: str | None, codes: list[str]
) -> None:
    with serve(chat() if api == "chat" else responses()) as server:
        response = OpenAI(model, api_key="k", base_url=server.url, api=api).blocking.chat(HISTORY)
        body = server.requests[0].json
    contents = [message["content"] for message in body["messages" if api == "chat" else "input"]]
    assert contents == ["Tell me a story.", *([last] if last else [])]
    assert [notice.code for notice in response.notices] == codes


def test_what_is_no_name_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="base_model"):
        OpenAI("mine", api_key="k", base_model=5)  # type: ignore[arg-type]  # what it refuses
