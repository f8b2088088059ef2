"""Claude refuses thinking if what came before it has changed: it's asked once more, unless that is not wanted."""

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
THOUGHT = [{"type": "thinking", "thinking": "Hm", "signature": "Eq1"}, {"type": "text", "text": "Yes."}]
BOUND = (
    "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation. "
    'Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
)


def says(request: Received, content: list[dict[str, Any]]) -> Reply:
    head = {"id": "m", "model": MODEL, "usage": {"input_tokens": 1}}
    if not request.json.get("stream"):
        return reply(json={**head, "content": content, "stop_reason": "end_turn"})
    made = [piece for n, block in enumerate(content) for piece in block_events(n, block, lambda text: [text])]
    end = [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]
    return reply([event("message_start", message=head), *made, *end])


def refusal(message: str = BOUND, status: int = 400, kind: str = "invalid_request_error") -> Reply:
    return reply(json={"type": "error", "error": {"type": kind, "message": message}}, status=status)


def claude(request: Received) -> Reply:
    """Refuse thinking after another question than "Hi", unless it may be dropped, and that is allowed to be said."""
    body = request.json
    thinks = any(block["type"] == "thinking" for turn in body["messages"] for block in _blocks(turn))
    binding = body.get("thinking", {}).get("block_binding", {})
    drops = binding.get("prefix_mismatch_behavior") == "drop_block" and BETA in request.headers["anthropic-beta"]
    if thinks and body["messages"][0]["content"] != "Hi" and not drops:
        return refusal()
    return says(request, THOUGHT)


def _blocks(turn: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "text"}] if isinstance(turn["content"], str) else turn["content"]


def ask(provider: Anthropic, request: Any, *, streams: bool) -> tako.ChatResponse:
    return provider.blocking.stream(request).response() if streams else provider.blocking.chat(request)


def altered(thought: Message, **fields: Any) -> ChatRequest:
    return ChatRequest([Message.user("Good day"), thought, Message.user("And?")], **fields)


@pytest.mark.parametrize("streams", [False, True])
def test_altered_thinking_is_dropped_by_one_more_request_and_noted(streams: bool) -> None:
    with serve(claude) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url, beta=["x-1"])
        first = ask(provider, "Hi", streams=streams)
        response = ask(provider, altered(first.message, extra={"betas": ["x-2"]}), streams=streams)
        refused, again = server.requests[1:]
    assert response.text == "Yes."
    assert [notice.code for notice in response.notices] == ["altered_thinking"]
    assert again.json["messages"] == refused.json["messages"]
    assert again.json["thinking"]["type"] == "adaptive"
    assert again.headers["anthropic-beta"] == f"x-1,x-2,{BETA}"
    assert "betas" not in again.json


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_error_and_strict_raise_the_refusal(strict: bool, streams: bool) -> None:
    with serve(claude) as server:
        wanted = "drop" if strict else "error"
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url, on_altered_thinking=wanted)
        first = ask(provider, "Hi", streams=streams)
        with pytest.raises(BadRequestError, match="bound to a different conversation"):
            ask(provider, altered(first.message, strict=strict), streams=streams)
        assert len(server.requests) == 2


def test_a_request_that_says_what_happens_gets_that() -> None:
    with serve(claude) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        first = provider.blocking.chat("Hi")
        extra = {"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "error"}}}
        with pytest.raises(BadRequestError):
            provider.blocking.chat(altered(first.message, extra=extra))
        assert len(server.requests) == 2


@pytest.mark.parametrize("streams", [False, True])
def test_a_second_refusal_is_raised(streams: bool) -> None:
    thought = Message.assistant([])
    with serve(lambda request: says(request, THOUGHT), refusal()) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        thought = ask(provider, "Hi", streams=streams).message
        with pytest.raises(BadRequestError, match="different conversation"):
            ask(provider, altered(thought), streams=streams)
        assert len(server.requests) == 3


@pytest.mark.parametrize("streams", [False, True])
def test_another_failure_of_the_second_request_is_raised_as_it_is(streams: bool) -> None:
    limit = refusal("slow down", 429, "rate_limit_error")
    with serve(lambda request: says(request, THOUGHT), refusal(), limit) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url, max_retries=0)
        thought = ask(provider, "Hi", streams=streams).message
        with pytest.raises(RateLimitError, match="slow down"):
            ask(provider, altered(thought), streams=streams)


@pytest.mark.parametrize("streams", [False, True])
def test_retries_of_the_second_request_are_not_refused_again(streams: bool) -> None:
    busy = refusal("busy", 529, "overloaded_error")
    with serve(lambda request: says(request, THOUGHT), refusal(), busy, claude) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        thought = ask(provider, "Hi", streams=streams).message
        response = ask(provider, altered(thought), streams=streams)
        assert [notice.code for notice in response.notices] == ["altered_thinking"]
        assert len(server.requests) == 4
        assert server.requests[2].json == server.requests[3].json


@pytest.mark.parametrize(
    ("message", "again"),
    [
        (BOUND, True),
        ("messages.1.content.0: this was made elsewhere", True),
        ("`thinking` blocks of earlier turns were altered", True),
        ("messages.1.content.1: Expected `thinking`, but found `text`", False),
        ("messages.7.content.0: no thinking block", False),
        ("max_tokens must be greater than thinking.budget_tokens", False),
        ("prompt is too long", False),
    ],
)
def test_other_refusals_are_raised_at_once(message: str, again: bool) -> None:
    with serve(lambda request: says(request, THOUGHT), refusal(message)) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        thought = provider.blocking.chat("Hi").message
        with pytest.raises(BadRequestError):
            provider.blocking.chat(altered(thought))
        assert len(server.requests) == (3 if again else 2)


def test_a_refusal_of_a_request_without_thinking_is_raised_at_once() -> None:
    with serve(refusal()) as server:
        provider = Anthropic(MODEL, api_key="k-123", base_url=server.url)
        with pytest.raises(BadRequestError):
            provider.blocking.chat(altered(Message.assistant("Yes.")))
        assert len(server.requests) == 1


def test_the_option_is_one_of_two_words() -> None:
    with pytest.raises(ConfigurationError, match="on_altered_thinking is 'drop' or 'error', not 'maybe'"):
        Anthropic(MODEL, api_key="k-123", on_altered_thinking="maybe")  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize("betas", ["a\r\nx-evil: 1", [3], {"a": 1}])
def test_names_of_beta_features_that_no_header_can_carry_are_refused(betas: Any) -> None:
    provider = Anthropic(MODEL, api_key="k-123")
    with pytest.raises(ConfigurationError, match="betas is a list of names"):
        provider.blocking.chat(ChatRequest([Message.user("Hi")], extra={"betas": betas}))
