"""Rare replies of Anthropic, and replies of compatible servers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import tako
from tako import FinishReason, Usage
from tako.parts import TextPart, ToolCallPart, VendorPart
from tako.providers import Anthropic
from tako.testing.server import reply, serve

RESULT = {"type": "code_execution_tool_result", "tool_use_id": "srv_1", "content": {"stdout": "1"}}
STOP_REASON = {"stop_reason": "end_turn"}


def event(kind: str, *, named: bool = True, **fields: Any) -> bytes:
    name = f"event: {kind}\n" if named else ""
    return f"{name}data: ".encode() + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any], named: bool = True) -> list[bytes]:
    first = event("content_block_start", index=index, content_block=start, named=named)
    deltas = [event("content_block_delta", index=index, delta=delta, named=named) for delta in deltas]
    return [first, *deltas, event("content_block_stop", index=index, named=named)]


def start(**fields: Any) -> bytes:
    return event("message_start", message={"id": "msg_1", "model": "claude-x", "content": [], **fields})


START = start(usage={"input_tokens": 10})
TEXT = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hi"})
DELTA = event("message_delta", delta=STOP_REASON, usage={"output_tokens": 2})
STOP = event("message_stop")


def stream(*pieces: bytes) -> tako.ChatResponse:
    with serve(reply(list(pieces))) as server:
        return Anthropic("claude-x", api_key="k", base_url=server.url, max_retries=0).blocking.stream("Hi").response()


def chat(**body: Any) -> tako.ChatResponse:
    with serve(reply(json={"content": [], "stop_reason": "end_turn", **body})) as server:
        return Anthropic("claude-x", api_key="k", base_url=server.url, max_retries=0).blocking.chat("Hi")


def test_a_message_may_begin_with_blocks() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"id": 7}}
    first = start(content=[RESULT, call, {"type": "text", "text": "So."}], stop_reason="tool_use")
    response = stream(first, STOP)
    block, *rest = response.message.parts
    assert isinstance(block, VendorPart)
    assert block.state.data == RESULT
    assert rest == [ToolCallPart("toolu_1", "look", {"id": 7}), TextPart("So.")]
    assert response.finish_reason is FinishReason.TOOL_CALLS


def test_a_later_null_does_not_remove_a_value() -> None:
    again = event("message_delta", delta={"stop_reason": None, "id": None}, usage={"input_tokens": None})
    response = stream(START, *TEXT, DELTA, again, STOP)
    assert (response.finish_reason, response.usage, response.id) == (FinishReason.STOP, Usage(10, 2), "msg_1")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 3.0, "output_tokens": 2, "cache_read_input_tokens": None}, Usage(3, 2)),
        ({"input_tokens": "many", "output_tokens": 2, "output_tokens_details": []}, Usage(0, 2)),
        ([], Usage()),
    ],
)
def test_a_reply_with_invalid_token_counts_is_not_lost(usage: Any, expected: Usage) -> None:
    assert chat(usage=usage).usage == expected
    assert stream(start(), *TEXT, event("message_delta", delta=STOP_REASON, usage=usage), STOP).usage == expected


def test_a_reply_with_an_id_of_another_type_is_not_lost() -> None:
    assert chat(id=5, model=None).id == ""


def test_events_without_names_are_read_by_their_types_also_new_ones() -> None:
    odd = {"type": "sparkle_delta", "text": {"not": "text"}}
    pieces = block(0, {"type": "text", "text": ""}, odd, {"type": "text_delta", "text": "Hi"}, named=False)
    assert stream(START, *pieces, DELTA, STOP).text == "Hi"


def test_events_without_types_are_read_by_their_names() -> None:
    untyped = b'event: message_stop\ndata: {"type": null}\n\n'
    assert stream(START, *TEXT, DELTA, untyped).text == "Hi"


@pytest.mark.parametrize("odd", [b"data:\n\n", b"data: [DONE]\n\n", b"event: message_stop\ndata: \n\n"])
def test_empty_events_are_ignored(odd: bytes) -> None:
    assert stream(START, odd, *TEXT, DELTA, STOP).text == "Hi"


def test_half_an_emoji_is_replaced_and_other_text_is_kept() -> None:
    cut = b'event: content_block_delta\ndata: {"index":0,"delta":{"type":"text_delta","text":"a\\ud83d"}}\n\n'
    assert stream(START, cut, *TEXT, DELTA, STOP).text == "a\N{REPLACEMENT CHARACTER}Hi"
