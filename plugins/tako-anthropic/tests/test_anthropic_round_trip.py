"""A turn of any blocks goes back to Claude unchanged, whole or from a stream of any chunks."""

from __future__ import annotations

import asyncio
import pickle
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tako_anthropic import prepare, tako_translator

from tako import ChatRequest, ChatResponse, Message
from tako.fold import chunks_of, fold
from tako.kit.messages import MessagesDecoder, decode_reply
from tako.providers import Anthropic
from tako.testing.dialects.messages import block_events, event

CLAUDE = Anthropic("claude-opus-5-5", api_key="sk-ant-123")
QUESTION = Message.user("What is the weather?")

strings = st.text(min_size=1, max_size=9).filter(str.strip)
json_value = st.recursive(
    st.booleans() | st.integers(-9, 9) | strings, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
fields = st.dictionaries(strings, json_value, max_size=2)
callers = st.just({}) | st.just({"caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}})
citations = st.sampled_from(
    [
        {"type": "char_location", "cited_text": "Grass is green.", "document_index": 0, "start_char_index": 3},
        {"type": "web_search_result_location", "cited_text": "x", "url": "https://e.org", "encrypted_index": "Eo8"},
        {"type": "of_next_year", "cited_text": "y", "depth": [1]},
    ]
)
texts_with_fields = st.builds(
    lambda text, more_fields: {"type": "text", "text": text, **more_fields}, strings, fields.map(lambda f: {"x": f})
)
texts = st.builds(lambda text: {"type": "text", "text": text}, strings)
cited_texts = st.builds(
    lambda text, citations: {"type": "text", "text": text, "citations": citations},
    strings,
    st.lists(citations, min_size=1, max_size=3),
)
thoughts = st.builds(
    lambda text, signature: {"type": "thinking", "thinking": text, "signature": signature},
    st.just("") | strings,
    strings,
)
redacted = st.builds(lambda data: {"type": "redacted_thinking", "data": data}, strings)
calls = st.builds(
    lambda name, args, more_fields: {"type": "tool_use", "name": name, "input": args, **more_fields},
    st.sampled_from(["f", "a-b"]),
    fields,
    callers,
)
server_calls = st.builds(
    lambda kind, args, more_fields: {"type": kind, "id": "srvtoolu_1", "name": "search", "input": args, **more_fields},
    st.sampled_from(["server_tool_use", "mcp_tool_use"]),
    fields,
    callers,
)
others = st.builds(
    lambda kind, more_fields: {"type": kind, "value": more_fields},
    st.sampled_from(["web_search_tool_result", "compaction", "container_upload", "fallback", "of_next_year"]),
    fields,
)
blocks = texts | texts_with_fields | cited_texts | thoughts | redacted | calls | server_calls | others


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A turn of the model: its calls have unique ids, and its last block is one that the API accepts at the end."""
    turn = [*draw(st.lists(blocks, max_size=6)), draw(texts | cited_texts | calls | server_calls | others)]
    prefix = draw(st.sampled_from(["toolu_", "functions.f:", "a|"]))
    return [{**block, "id": f"{prefix}{n}"} if block["type"] == "tool_use" else block for n, block in enumerate(turn)]


def complete_response(turn: list[dict[str, Any]], reason: str = "end_turn") -> ChatResponse:
    exchange = asyncio.run(prepare(CLAUDE, tako_translator(), ChatRequest([QUESTION]), False))
    body = {"id": "msg_1", "model": "claude", "content": turn, "stop_reason": reason, "usage": {"input_tokens": 3}}
    return decode_reply(msgspec.json.encode(body), exchange, CLAUDE, tako_translator())


def streamed_response(turn: list[dict[str, Any]], cut_points: list[int], reason: str = "end_turn") -> ChatResponse:
    exchange = asyncio.run(prepare(CLAUDE, tako_translator(), ChatRequest([QUESTION]), True))
    events = [event("message_start", message={"id": "msg_1", "model": "claude", "usage": {"input_tokens": 3}})]
    for n, block in enumerate(turn):
        events += block_events(n, block, lambda text: [text[:2], text[2:]])
    events += [event("message_delta", delta={"stop_reason": reason}), event("message_stop")]
    body = b"".join(events)
    positions = [0, *sorted({point % len(body) for point in cut_points}), len(body)]
    decoder = MessagesDecoder(CLAUDE, exchange, tako_translator())
    chunks = [chunk for start, end in pairwise(positions) for chunk in decoder.feed(body[start:end])]
    return fold([*chunks, *decoder.finish(clean=True)])


def sent_back(message: Message, response: ChatResponse) -> tuple[Any, list[str]]:
    """Send a turn back with the results of its calls. Returns it as it was sent, and the codes of notices."""
    results = [Message.tool(call.id, "1") for call in response.tool_calls]
    request = ChatRequest([QUESTION, message, *results, Message.user("So?")], extra={"tools": [{"name": "f"}]})
    exchange = asyncio.run(prepare(CLAUDE, tako_translator(), request, False))
    content = exchange.body["messages"][1]["content"]
    returned = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return returned, [notice.code for notice in exchange.notices]


@settings(max_examples=150, deadline=None)
@given(turns(), st.lists(st.integers(0, 9999), max_size=9))
def test_a_turn_goes_back_unchanged_from_chat_and_stream(turn: list[dict[str, Any]], cuts: list[int]) -> None:
    complete, streamed = complete_response(turn), streamed_response(turn, cuts)
    for response in (complete, streamed):
        assert sent_back(response.message, response) == (turn, [])
    assert complete.message == streamed.message
    assert (complete.usage, complete.finish_reason, complete.id) == (
        streamed.usage,
        streamed.finish_reason,
        streamed.id,
    )


@settings(max_examples=100, deadline=None)
@given(turns())
def test_copies_of_a_turn_go_back_unchanged(turn: list[dict[str, Any]]) -> None:
    response = complete_response(turn)
    stored = msgspec.json.decode(msgspec.json.encode(response.message), type=Message)
    for copy in (stored, pickle.loads(pickle.dumps(response.message)), fold(chunks_of(response)).message):
        assert copy == response.message
        assert sent_back(copy, response) == (turn, [])


@settings(max_examples=60, deadline=None)
@given(turns(), st.sampled_from(["pause_turn", "compaction"]), st.lists(st.integers(0, 9999), max_size=3))
def test_a_paused_turn_goes_back_unchanged_as_the_last_one(
    turn: list[dict[str, Any]], reason: str, cuts: list[int]
) -> None:
    turn = [block for block in turn if block["type"] != "tool_use"] or [{"type": "text", "text": "I search. "}]
    for response in (complete_response(turn, reason), streamed_response(turn, cuts, reason)):
        request = ChatRequest([QUESTION, response.message])
        exchange = asyncio.run(prepare(CLAUDE, tako_translator(), request, False))
        last = exchange.body["messages"][-1]
        content = last["content"]
        assert last["role"] == "assistant"
        assert ([{"type": "text", "text": content}] if isinstance(content, str) else content) == turn
        assert exchange.notices == []
