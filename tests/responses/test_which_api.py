"""Which API is asked, and what is said where it is the wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from tako import ChatRequest, Message, Provider, Tool
from tako.errors import BadRequestError, ConfigurationError
from tako.providers import AzureOpenAI, OpenAI
from tako.testing.dialects import RESPONSES, Script
from tako.testing.server import Received, Reply, reply, serve

CHAT = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
TOOLS = [Tool("now", "Tells the time.")]


@pytest.mark.parametrize(
    ("url", "model", "expected"),
    [
        ("https://api.openai.com/v1", "gpt-6.2-sol", True),
        ("https://eu.api.openai.com/v1", "gpt-5", True),
        ("https://api.openai.com/v1", "of-next-year", True),
        ("https://api.openai.com/v1", "gpt-4o", False),
        ("https://api.openai.com/v1", "gpt-3.5-turbo", False),
        ("https://api.openai.com/v1", "gpt-audio-2", False),
        ("https://me.openai.azure.com/openai/v1", "gpt-5", True),
        ("https://api.openai.com.evil.example/v1", "gpt-6.2-sol", False),
        ("https://notapi.openai.com.example", "gpt-6.2-sol", False),
        ("https://openrouter.ai/api/v1", "openai/gpt-6.2-sol", False),
        ("http://127.0.0.1:8000/v1", "gpt-6.2-sol", False),
    ],
)
def test_address_and_model_decide(url: str, model: str, expected: bool) -> None:
    path = "/responses" if expected else "/chat/completions"
    assert OpenAI(model, api_key="k", base_url=url).url_of(None) == url + path
    assert OpenAI("gpt-4o", api_key="k", base_url=url).url_of(model) == url + path


@pytest.mark.parametrize(
    ("endpoint", "options", "path"),
    [
        ("https://me.openai.azure.com", {}, "/openai/v1/responses"),
        ("https://me.cognitiveservices.azure.com", {}, "/openai/v1/responses"),
        ("https://me.services.ai.azure.com", {"api_version": "preview"}, "/openai/v1/responses?api-version=preview"),
        ("https://me.openai.azure.com", {"model": "gpt-4o"}, "/openai/v1/chat/completions"),
        ("https://me.openai.azure.com", {"api": "chat"}, "/openai/v1/chat/completions"),
        ("https://gateway.example", {}, "/openai/v1/chat/completions"),
        (
            "https://me.openai.azure.com",
            {"api_version": "2024-10-21"},
            "/openai/deployments/prod/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://me.openai.azure.com",
            {"api_version": "2025-04-01-preview", "api": "responses"},
            "/openai/responses?api-version=2025-04-01-preview",
        ),
    ],
)
def test_azure_takes_its_v1_form(
    endpoint: str, options: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_VERSION", raising=False)
    provider = AzureOpenAI(deployment="prod", endpoint=endpoint, api_key="k", **options)
    assert provider.url_of(None) == endpoint + path


def test_a_word_that_is_no_api_is_refused() -> None:
    with pytest.raises(ConfigurationError, match='api is "auto", "responses" or "chat", not \'both\''):
        OpenAI("gpt-5", api_key="k", api="both")  # type: ignore[arg-type]


def test_a_model_that_needs_the_other_api_is_asked_with_a_notice() -> None:
    with serve(reply(json=CHAT)) as server:
        provider = OpenAI("gpt-5-pro", api_key="k", base_url=server.url, api="chat")
        response = provider.blocking.chat(ChatRequest([Message.user("Hi")], strict=True))
    assert server.requests[0].path == "/chat/completions"
    assert [notice.code for notice in response.notices] == ["other_api"]


@pytest.mark.parametrize("model", ["gpt-5-pro", "gpt-6-astra"])
def test_a_refusal_by_the_wrong_api_says_which_is_right(model: str) -> None:
    refusal = reply(json={"error": {"message": "no function tools like this", "code": "bad"}}, status=400)
    with serve(refusal) as server:
        provider = OpenAI(model, api_key="k", base_url=server.url, api="chat").blocking
        with pytest.raises(BadRequestError, match=r'tools like this.*api="responses"'):
            provider.chat(ChatRequest([Message.user("Hi")], tools=TOOLS))


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        ("This model is only supported in v1/responses and not in v1/chat/completions.", True),
        ("Use the Responses API for this model", True),
        ("Not the same number of function calls and responses", False),
        ("No tool responses were found for call c1", False),
    ],
)
@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
def test_a_refusal_is_about_apis_only_if_it_names_one(refusal: str, expected: bool, streams: bool) -> None:
    with serve(reply(json={"error": {"message": refusal}}, status=400)) as server:
        provider = OpenAI("qwen3", api_key="k", base_url=server.url).blocking
        with pytest.raises(BadRequestError) as caught:
            provider.stream("Hi").response() if streams else provider.chat("Hi")
    assert ('api="responses"' in str(caught.value)) is expected


@pytest.mark.parametrize(("model", "expected"), [("gpt-5-pro", True), ("text-embedding-3-large", False)])
def test_a_refusal_of_azures_names_the_model_of_a_deployment(model: str, expected: bool) -> None:
    refusal = (
        f"The chatCompletion operation does not work with the specified model, {model}. Please choose different model."
    )
    error = {"code": "OperationNotSupported", "message": refusal}
    with serve(reply(json={"error": error}, status=400)) as server:
        provider = AzureOpenAI("prod", endpoint=server.url, api_key="k", api="chat").blocking
        with pytest.raises(BadRequestError) as caught:
            provider.chat("Hi")
    assert ('api="responses"' in str(caught.value)) is expected


def test_other_refusals_say_nothing_of_apis() -> None:
    refusal = reply(json={"error": {"message": "not like this"}}, status=400)
    with serve(refusal) as server:
        for api in ("chat", "responses"):
            provider: Provider = OpenAI("gpt-4o", api_key="k", base_url=server.url, api=api)  # type: ignore[arg-type]
            with pytest.raises(BadRequestError) as caught:
                provider.blocking.chat("Hi")
            assert "api=" not in str(caught.value)
        with pytest.raises(BadRequestError) as caught:
            OpenAI("gpt-6-sol", api_key="k", base_url=server.url).blocking.chat(
                ChatRequest([Message.user("Hi")], tools=TOOLS)
            )
        assert "api=" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "effort", "sent", "noted"),
    [
        ("gpt-5.4", None, None, False),
        ("gpt-5.4", "high", "none", True),
        ("gpt-5.5", None, "none", True),
        ("gpt-6-sol", "none", "none", False),
        ("gpt-6-astra", "high", "high", False),
        ("gpt-5", "high", "high", False),
    ],
)
def test_tools_beside_reasoning_of_chat_completions(
    model: str, effort: str | None, sent: str | None, noted: bool
) -> None:
    with serve(reply(json=CHAT)) as server:
        provider = OpenAI(model, api_key="k", base_url=server.url)
        response = provider.blocking.chat(ChatRequest([Message.user("Hi")], tools=TOOLS, reasoning=effort))
        assert server.requests[0].json.get("reasoning_effort") == sent
        assert [notice.path for notice in response.notices] == (["reasoning"] if noted else [])
        provider.blocking.chat(ChatRequest([Message.user("Hi")], reasoning=effort))
        assert server.requests[1].json.get("reasoning_effort") == effort


def test_state_of_one_api_stays_away_from_the_other() -> None:
    def script(request: Received) -> Reply:
        if request.path.endswith("/responses"):
            first = Script(text="First.", reasoning="Hm.", signature="c2VhbA==", unknown=True)
            return reply(json=RESPONSES.whole(first))
        return reply(json=CHAT)

    with serve(script) as server:
        by_items = OpenAI("gpt-6.2-sol", api_key="k", base_url=server.url, api="responses").blocking
        by_chat = OpenAI("gpt-6.2-sol", api_key="k", base_url=server.url, api="chat").blocking
        turn = by_items.chat("Hi").message
        response = by_chat.chat([Message.user("Hi"), turn, Message.user("So?")])
    assert server.requests[1].json["messages"][1] == {"role": "assistant", "content": "First."}
    assert {notice.code for notice in response.notices} == {"foreign_state"}
