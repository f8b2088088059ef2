"""Claude refuses thinking if the conversation before it has changed. Then tako sends the request once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ChatRequest, Message
from tako.errors import BadRequestError, ConfigurationError, RateLimitError
from tako.providers import Anthropic
from tako.testing.dialects.messages import block_events, event
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from tako.testing.server import Received, Reply

MODEL = "claude-opus-5-5"
BETA = "thinking-binding-controls-2026-08-01"
CONTENT = [{"type": "thinking", "thinking": "Hm", "signature": "Eq1"}, {"type": "text", "text": "Yes."}]
BOUND_MESSAGE = (
    "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation. "
    'Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
)


def answer(request: Received, content: list[dict[str, Any]]) -> Reply:
    message = {"id": "m", "model": MODEL, "usage": {"input_tokens": 1}}
    if not request.json.get("stream"):
        return reply(json={**message, "content": content, "stop_reason": "end_turn"})
    events = [piece for n, block in enumerate(content) for piece in block_events(n, block, lambda text: [text])]
    last_events = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    return reply([event("message_start", message=message), *events, *last_events])


def refusal(message: str = BOUND_MESSAGE, status: int = 400, kind: str = "invalid_request_error") -> Reply:
    return reply(json={"type": "error", "error": {"type": kind, "message": message}}, status=status)


def claude(request: Received) -> Reply:
    """Refuse thinking after another question than "Hi", unless the request and its beta header allow to drop it."""
    body = request.json
    has_thinking = any(block["type"] == "thinking" for turn in body["messages"] for block in _blocks(turn))
    binding = body.get("thinking", {}).get("block_binding", {})
    may_drop = binding.get("prefix_mismatch_behavior") == "drop_block" and BETA in request.headers["anthropic-beta"]
    if has_thinking and body["messages"][0]["content"] != "Hi" and not may_drop:
        return refusal()
    return answer(request, CONTENT)


def _blocks(turn: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "text"}] if isinstance(turn["content"], str) else turn["content"]


def ask(provider: Anthropic, request: Any, *, streams: bool) -> tako.ChatResponse:
    return provider.blocking.stream(request).response() if streams else provider.blocking.chat(request)


def changed_request(thought: Message, **fields: Any) -> ChatRequest:
    return ChatRequest([Message.user("Good day"), thought, Message.user("And?")], **fields)


@pytest.mark.parametrize("streams", [False, True])
def test_altered_thinking_is_dropped_by_a_second_request_with_a_notice(streams: bool) -> None:
    with serve(claude) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url, beta=["x-1"])
        first = ask(provider, "Hi", streams=streams)
        response = ask(provider, changed_request(first.message, extra={"betas": ["x-2"]}), streams=streams)
        first_request, second_request = server.requests[1:]
    assert response.text == "Yes."
    assert [notice.code for notice in response.notices] == ["altered_thinking"]
    assert second_request.json["messages"] == first_request.json["messages"]
    assert second_request.json["thinking"]["type"] == "adaptive"
    assert second_request.headers["anthropic-beta"] == f"x-1,x-2,{BETA}"
    assert "betas" not in second_request.json


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_error_and_strict_raise_the_refusal(strict: bool, streams: bool) -> None:
    with serve(claude) as server:
        option = "drop" if strict else "error"
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url, on_altered_thinking=option)
        first = ask(provider, "Hi", streams=streams)
        with pytest.raises(BadRequestError, match="bound to a different conversation"):
            ask(provider, changed_request(first.message, strict=strict), streams=streams)
        assert len(server.requests) == 2


def test_a_request_with_its_own_setting_is_not_sent_again() -> None:
    with serve(claude) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        first = provider.blocking.chat("Hi")
        extra = {"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "error"}}}
        with pytest.raises(BadRequestError):
            provider.blocking.chat(changed_request(first.message, extra=extra))
        assert len(server.requests) == 2


@pytest.mark.parametrize("streams", [False, True])
def test_a_second_refusal_is_raised(streams: bool) -> None:
    thought = Message.assistant([])
    with serve(lambda request: answer(request, CONTENT), refusal()) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        thought = ask(provider, "Hi", streams=streams).message
        with pytest.raises(BadRequestError, match="different conversation"):
            ask(provider, changed_request(thought), streams=streams)
        assert len(server.requests) == 3


@pytest.mark.parametrize("streams", [False, True])
def test_another_error_of_the_second_request_is_raised_unchanged(streams: bool) -> None:
    limit = refusal("slow down", 429, "rate_limit_error")
    with serve(lambda request: answer(request, CONTENT), refusal(), limit) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url, max_retries=0)
        thought = ask(provider, "Hi", streams=streams).message
        with pytest.raises(RateLimitError, match="slow down"):
            ask(provider, changed_request(thought), streams=streams)


@pytest.mark.parametrize("streams", [False, True])
def test_retries_of_the_second_request_leave_out_the_thinking_too(streams: bool) -> None:
    overloaded = refusal("busy", 529, "overloaded_error")
    with serve(lambda request: answer(request, CONTENT), refusal(), overloaded, claude) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        thought = ask(provider, "Hi", streams=streams).message
        response = ask(provider, changed_request(thought), streams=streams)
        assert [notice.code for notice in response.notices] == ["altered_thinking"]
        assert len(server.requests) == 4
        assert server.requests[2].json == server.requests[3].json


@pytest.mark.parametrize(
    ("message", "is_repeated"),
    [
        (BOUND_MESSAGE, True),
        ("messages.1.content.0: this was made elsewhere", True),
        ("`thinking` blocks of earlier turns were altered", True),
        ("messages.1.content.1: Expected `thinking`, but found `text`", False),
        ("messages.7.content.0: no thinking block", False),
        ("max_tokens must be greater than thinking.budget_tokens", False),
        ("prompt is too long", False),
    ],
)
def test_other_refusals_are_raised_at_once(message: str, is_repeated: bool) -> None:
    with serve(lambda request: answer(request, CONTENT), refusal(message)) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        thought = provider.blocking.chat("Hi").message
        with pytest.raises(BadRequestError):
            provider.blocking.chat(changed_request(thought))
        assert len(server.requests) == (3 if is_repeated else 2)


def test_a_refusal_of_a_request_without_thinking_is_raised_at_once() -> None:
    with serve(refusal()) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        with pytest.raises(BadRequestError):
            provider.blocking.chat(changed_request(Message.assistant("Yes.")))
        assert len(server.requests) == 1


def test_the_option_has_two_values() -> None:
    with pytest.raises(ConfigurationError, match="on_altered_thinking is 'drop' or 'error', not 'maybe'"):
        Anthropic(MODEL, api_key="k-123", on_altered_thinking="maybe")  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize("betas", ["a\r\nx-evil: 1", [3], {"a": 1}])
def test_invalid_names_of_beta_features_are_refused(betas: Any) -> None:
    provider = Anthropic(MODEL, api_key="k-123")
    with pytest.raises(ConfigurationError, match="betas is a list of names"):
        provider.blocking.chat(ChatRequest([Message.user("Hi")], extra={"betas": betas}))
