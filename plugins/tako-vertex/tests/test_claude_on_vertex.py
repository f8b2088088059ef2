"""Claude on Vertex AI is asked by the Messages API, under rawPredict."""

from __future__ import annotations

from typing import Any

import pytest
from tako_vertex import Vertex

import tako
from tako import ChatRequest, Message
from tako.errors import ConfigurationError, OverloadedError
from tako.testing.server import Reply, Server, reply, serve, sse

THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "ok"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
TOOL_USE_ANSWER = {**ANSWER, "content": [THINKING, CALL], "stop_reason": "tool_use"}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**ANSWER, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
MODEL = "claude-sonnet-4-5@20250929"
PATH = "/v1/projects/p/locations/global/publishers/anthropic/models/claude-sonnet-4-5@20250929"


def provider_for(server: Server, model: str = MODEL) -> Vertex:
    return Vertex(model, access_token="t", project_id="p", endpoint_url=server.url, max_retries=0)


def stream_answer() -> Reply:
    return reply(sse(*EVENTS, done=False))


@pytest.mark.parametrize("model", [MODEL, f"anthropic/{MODEL}", f"publishers/anthropic/models/{MODEL}"])
def test_a_request_is_one_of_the_messages_api_without_the_model(model: str) -> None:
    with serve(reply(json=ANSWER)) as server:
        response = provider_for(server, model).blocking.chat(
            ChatRequest([Message.user("Hi")], temperature=0.2, top_p=0.9)
        )
    sent = server.requests[0]
    assert (sent.path, sent.headers["authorization"]) == (f"{PATH}:rawPredict", "Bearer t")
    assert sent.json == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.2,
    }
    assert (response.text, response.usage.total, response.provider) == ("ok", 4, f"vertex:{model}")
    assert [notice.path for notice in response.notices] == ["top_p"]


def test_a_stream_is_one_of_the_messages_api() -> None:
    with serve(stream_answer()) as server:
        assert provider_for(server).blocking.stream("Hi").response().text == "ok"
    assert (server.requests[0].path, server.requests[0].json["stream"]) == (f"{PATH}:streamRawPredict", True)


def test_thinking_goes_back_to_claude_but_not_to_gemini() -> None:
    gemini = reply(json={"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]})
    with serve(reply(json=TOOL_USE_ANSWER), reply(json=ANSWER), gemini) as server:
        request = ChatRequest([Message.user("Hi")], tools=[tako.Tool("f")], reasoning=2048)
        response = provider_for(server).blocking.chat(request)
        history = ChatRequest(
            [*request.messages, response.message, Message.tool("toolu_1", "done")], tools=request.tools
        )
        assert provider_for(server).blocking.chat(history).notices == []
        notices = provider_for(server, "gemini-3-flash").blocking.chat(history).notices
    assert server.requests[1].json["messages"][1]["content"] == [THINKING, CALL]
    assert [(notice.code, notice.path) for notice in notices] == [("foreign_state", "messages[1].content[0]")]


def test_beta_features_are_in_the_body() -> None:
    with serve(reply(json=ANSWER)) as server:
        provider_for(server).blocking.chat(
            ChatRequest([Message.user("Hi")], extra={"betas": ["context-1m-2025-08-07"]})
        )
    assert server.requests[0].json["anthropic_beta"] == ["context-1m-2025-08-07"]


def test_anthropics_errors_keep_their_class() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with serve(reply(json=error, status=529)) as server, pytest.raises(OverloadedError) as caught:
        provider_for(server).blocking.chat("Hi")
    assert caught.value.code == "overloaded_error"


@pytest.mark.parametrize(("model", "requested_model"), [(MODEL, "gemini-3-flash"), ("gemini-3-flash", MODEL)])
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_for_a_model_with_another_wire_format_is_refused_before_anything_is_sent(
    model: str, requested_model: str, stream: bool
) -> None:
    with serve(reply(json=ANSWER)) as server:
        blocking = provider_for(server, model).blocking
        request = ChatRequest([Message.user("Hi")], model=requested_model)
        with pytest.raises(ConfigurationError, match="another wire format"):
            blocking.stream(request).response() if stream else blocking.chat(request)
    assert not server.requests


@pytest.mark.parametrize("model", ["meta/llama-4-maverick", "publishers/mistralai/models/mistral-medium-3"])
@pytest.mark.parametrize("stream", [False, True])
def test_other_publishers_models_are_refused_before_anything_is_sent(model: str, stream: bool) -> None:
    with serve(reply(json=ANSWER)) as server:
        blocking = provider_for(server, model).blocking
        with pytest.raises(ConfigurationError, match="Gemini's wire format"):
            blocking.stream("Hi").response() if stream else blocking.chat("Hi")
    assert not server.requests


@pytest.mark.parametrize(
    ("model", "context", "price"),
    [(MODEL, 200_000, 3.0), ("claude-opus-5-5", 1_000_000, 4.0), ("claude-nova-9", None, None)],
)
def test_a_claude_has_claudes_capabilities_not_geminis(
    model: str, context: int | None, price: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKO_PRICES", "off")
    capabilities = Vertex(model, access_token="t", project_id="p").capabilities
    assert (capabilities.supports_vision, capabilities.supports_audio, capabilities.supports_video) == (
        True,
        False,
        False,
    )
    assert (capabilities.max_context_tokens, capabilities.usd_per_input_mtok) == (context, price)
    regional = Vertex(model, access_token="t", project_id="p", location="europe-west1").capabilities
    assert (regional.max_context_tokens, regional.usd_per_input_mtok) == (context, None)
