"""Replies of Anthropic's that are rarer, and what compatible servers make of the wire."""

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
    begin = event("content_block_start", index=index, content_block=start, named=named)
    pieces = [event("content_block_delta", index=index, delta=delta, named=named) for delta in deltas]
    return [begin, *pieces, event("content_block_stop", index=index, named=named)]


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
    called = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"id": 7}}
    first = start(content=[RESULT, called, {"type": "text", "text": "So."}], stop_reason="tool_use")
    response = stream(first, STOP)
    block, *rest = response.message.parts
    assert isinstance(block, VendorPart)
    assert block.state.data == RESULT
    assert rest == [ToolCallPart("toolu_1", "look", {"id": 7}), TextPart("So.")]
    assert response.finish_reason is FinishReason.TOOL_CALLS


def test_what_comes_later_as_null_takes_nothing_back() -> None:
    again = event("message_delta", delta={"stop_reason": None, "id": None}, usage={"input_tokens": None})
    response = stream(START, *TEXT, DELTA, again, STOP)
    assert (response.finish_reason, response.usage, response.id) == (FinishReason.STOP, Usage(10, 2), "msg_1")


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"input_tokens": 3.0, "output_tokens": 2, "cache_read_input_tokens": None}, Usage(3, 2)),
        ({"input_tokens": "many", "output_tokens": 2, "output_tokens_details": []}, Usage(0, 2)),
        ([], Usage()),
    ],
)
def test_counts_of_odd_shapes_are_no_reason_to_lose_a_reply(usage: Any, counted: Usage) -> None:
    assert chat(usage=usage).usage == counted
    assert stream(start(), *TEXT, event("message_delta", delta=STOP_REASON, usage=usage), STOP).usage == counted


def test_an_id_of_another_type_is_no_reason_to_lose_a_reply() -> None:
    assert chat(id=5, model=None).id == ""


def test_events_without_names_are_told_by_their_types_new_kinds_too() -> None:
    odd = {"type": "sparkle_delta", "text": {"not": "text"}}
    pieces = block(0, {"type": "text", "text": ""}, odd, {"type": "text_delta", "text": "Hi"}, named=False)
    assert stream(START, *pieces, DELTA, STOP).text == "Hi"


def test_events_without_types_are_told_by_their_names() -> None:
    untyped = b'event: message_stop\ndata: {"type": null}\n\n'
    assert stream(START, *TEXT, DELTA, untyped).text == "Hi"


@pytest.mark.parametrize("odd", [b"data:\n\n", b"data: [DONE]\n\n", b"event: message_stop\ndata: \n\n"])
def test_events_that_say_nothing_are_passed_over(odd: bytes) -> None:
    assert stream(START, odd, *TEXT, DELTA, STOP).text == "Hi"


def test_half_an_emoji_is_marked_and_the_rest_is_kept() -> None:
    cut = b'event: content_block_delta\ndata: {"index":0,"delta":{"type":"text_delta","text":"a\\ud83d"}}\n\n'
    assert stream(START, cut, *TEXT, DELTA, STOP).text == "a\N{REPLACEMENT CHARACTER}Hi"
