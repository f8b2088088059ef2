"""What a family refuses is left out on its way through a gateway, too."""

from __future__ import annotations

from typing import Any

import pytest

from tako import ChatRequest, JsonSchema, Message, Tool
from tako.providers import OpenAI
from tako.testing.server import reply, serve

HI = [Message.user("Hi")]
BEGUN = [*HI, Message.assistant("{ ")]
ANSWER = reply(json={"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})
SCHEMA = JsonSchema("p", {"type": "object", "properties": {}})


def send(model: str, messages: list[Message] = HI, **fields: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the body that went out, and the codes and paths of the notices."""
    with serve(ANSWER) as server:
        provider = OpenAI(model, api_key="sk-test", base_url=server.url)
        response = provider.blocking.chat(ChatRequest(messages, **fields))
        return server.requests[0].json, [(notice.code, notice.path) for notice in response.notices]


@pytest.mark.parametrize("model", ["databricks-claude-sonnet-4-5", "anthropic/claude-haiku-4.5"])
def test_a_claude_behind_a_gateway_samples_by_either(model: str) -> None:
    body, noted = send(model, temperature=0.2, top_p=0.9)
    assert (body["temperature"], "top_p" in body, noted) == (0.2, False, [("unsupported_parameter", "top_p")])


def test_a_later_one_by_neither() -> None:
    body, noted = send("databricks-claude-opus-4-7", temperature=0.2, top_p=0.9)
    assert not {"temperature", "top_p"} & body.keys()
    assert [path for _, path in noted] == ["temperature", "top_p"]


def test_beside_an_effort_a_temperature_is_left_out() -> None:
    body, noted = send("anthropic/claude-sonnet-4.6", temperature=0.2, reasoning="low")
    assert (body.get("temperature"), noted) == (None, [("unsupported_parameter", "temperature")])


def test_the_beginning_of_a_reply_is_left_out_or_trimmed() -> None:
    body, noted = send("databricks-claude-opus-4-7", BEGUN)
    assert (len(body["messages"]), noted) == (1, [("misplaced_part", "messages[1]")])
    body, noted = send("databricks-claude-sonnet-4-5", BEGUN)
    assert (body["messages"][1]["content"], noted) == ("{", [("changed_part", "messages[1]")])
    body, noted = send("acme-large", BEGUN)
    assert (body["messages"][1]["content"], noted) == ("{ ", [])


def test_a_gemini_before_3_gives_no_json_beside_tools() -> None:
    for model, has_json in (("google/gemini-2.5-flash", False), ("google/gemini-3-flash", True)):
        body, noted = send(model, tools=[Tool("f")], response_format=SCHEMA)
        assert ("response_format" in body, noted) == (
            has_json,
            [] if has_json else [("unsupported_parameter", "response_format")],
        )


@pytest.mark.parametrize("model", ["ft:o4-mini-2025-04-16:acme::Bx1", "databricks-o4-mini", "openai.o4-mini"])
def test_one_of_openais_has_its_own_limit_behind_any_name(model: str) -> None:
    body, noted = send(model, max_tokens=50, temperature=0.3)
    assert (body["max_completion_tokens"], noted) == (50, [("unsupported_parameter", "temperature")])
