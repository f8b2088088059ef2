"""A turn goes back to Claude as it came: block by block, whatever came, and however it was cut."""

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
ASKED = Message.user("What is the weather?")

words = st.text(min_size=1, max_size=9).filter(str.strip)
json_value = st.recursive(
    st.booleans() | st.integers(-9, 9) | words, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
fields = st.dictionaries(words, json_value, max_size=2)
callers = st.just({}) | st.just({"caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}})
citations = st.sampled_from(
    [
        {"type": "char_location", "cited_text": "Grass is green.", "document_index": 0, "start_char_index": 3},
        {"type": "web_search_result_location", "cited_text": "x", "url": "https://e.org", "encrypted_index": "Eo8"},
        {"type": "of_next_year", "cited_text": "y", "depth": [1]},
    ]
)
texts = st.builds(lambda text, more: {"type": "text", "text": text, **more}, words, fields.map(lambda f: {"x": f}))
plain = st.builds(lambda text: {"type": "text", "text": text}, words)
cited = st.builds(
    lambda text, found: {"type": "text", "text": text, "citations": found},
    words,
    st.lists(citations, min_size=1, max_size=3),
)
thoughts = st.builds(
    lambda text, signature: {"type": "thinking", "thinking": text, "signature": signature},
    st.just("") | words,
    words,
)
redacted = st.builds(lambda data: {"type": "redacted_thinking", "data": data}, words)
calls = st.builds(
    lambda name, args, more: {"type": "tool_use", "name": name, "input": args, **more},
    st.sampled_from(["f", "a-b"]),
    fields,
    callers,
)
served = st.builds(
    lambda kind, args, more: {"type": kind, "id": "srvtoolu_1", "name": "search", "input": args, **more},
    st.sampled_from(["server_tool_use", "mcp_tool_use"]),
    fields,
    callers,
)
others = st.builds(
    lambda kind, more: {"type": kind, "value": more},
    st.sampled_from(["web_search_tool_result", "compaction", "container_upload", "fallback", "of_next_year"]),
    fields,
)
blocks = plain | texts | cited | thoughts | redacted | calls | served | others


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A turn of the model's: calls have ids of their own, and it ends with something that the API takes at the end."""
    drawn = [*draw(st.lists(blocks, max_size=6)), draw(plain | cited | calls | served | others)]
    prefix = draw(st.sampled_from(["toolu_", "functions.f:", "a|"]))
    return [{**b, "id": f"{prefix}{n}"} if b["type"] == "tool_use" else b for n, b in enumerate(drawn)]


def whole(turn: list[dict[str, Any]], reason: str = "end_turn") -> ChatResponse:
    exchange = asyncio.run(prepare(CLAUDE, tako_translator(), ChatRequest([ASKED]), False))
    body = {"id": "msg_1", "model": "claude", "content": turn, "stop_reason": reason, "usage": {"input_tokens": 3}}
    return decode_reply(msgspec.json.encode(body), exchange, CLAUDE, tako_translator())


def streamed(turn: list[dict[str, Any]], cuts: list[int], reason: str = "end_turn") -> ChatResponse:
    exchange = asyncio.run(prepare(CLAUDE, tako_translator(), ChatRequest([ASKED]), True))
    events = [event("message_start", message={"id": "msg_1", "model": "claude", "usage": {"input_tokens": 3}})]
    for n, block in enumerate(turn):
        events += block_events(n, block, lambda text: [text[:2], text[2:]])
    events += [event("message_delta", delta={"stop_reason": reason}), event("message_stop")]
    body = b"".join(events)
    places = [0, *sorted({cut % len(body) for cut in cuts}), len(body)]
    decoder = MessagesDecoder(CLAUDE, exchange, tako_translator())
    chunks = [chunk for a, b in pairwise(places) for chunk in decoder.feed(body[a:b])]
    return fold([*chunks, *decoder.finish(clean=True)])


def sent_back(message: Message, response: ChatResponse) -> tuple[Any, list[str]]:
    """Send a turn back with the results of its calls; returns it as it went out, and the codes of notices."""
    results = [Message.tool(call.id, "1") for call in response.tool_calls]
    request = ChatRequest([ASKED, message, *results, Message.user("So?")], extra={"tools": [{"name": "f"}]})
    exchange = asyncio.run(prepare(CLAUDE, tako_translator(), request, False))
    content = exchange.body["messages"][1]["content"]
    returned = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return returned, [notice.code for notice in exchange.notices]


@settings(max_examples=150, deadline=None)
@given(turns(), st.lists(st.integers(0, 9999), max_size=9))
def test_a_turn_goes_back_as_it_came_however_it_came(turn: list[dict[str, Any]], cuts: list[int]) -> None:
    one, other = whole(turn), streamed(turn, cuts)
    for response in (one, other):
        assert sent_back(response.message, response) == (turn, [])
    assert one.message == other.message
    assert (one.usage, one.finish_reason, one.id) == (other.usage, other.finish_reason, other.id)


@settings(max_examples=100, deadline=None)
@given(turns())
def test_copies_go_back_as_it_came_too(turn: list[dict[str, Any]]) -> None:
    response = whole(turn)
    stored = msgspec.json.decode(msgspec.json.encode(response.message), type=Message)
    for copy in (stored, pickle.loads(pickle.dumps(response.message)), fold(chunks_of(response)).message):
        assert copy == response.message
        assert sent_back(copy, response) == (turn, [])


@settings(max_examples=60, deadline=None)
@given(turns(), st.sampled_from(["pause_turn", "compaction"]), st.lists(st.integers(0, 9999), max_size=3))
def test_a_turn_that_is_not_over_goes_back_whole_and_last(
    turn: list[dict[str, Any]], reason: str, cuts: list[int]
) -> None:
    turn = [block for block in turn if block["type"] != "tool_use"] or [{"type": "text", "text": "I search. "}]
    for response in (whole(turn, reason), streamed(turn, cuts, reason)):
        request = ChatRequest([ASKED, response.message])
        exchange = asyncio.run(prepare(CLAUDE, tako_translator(), request, False))
        last = exchange.body["messages"][-1]
        content = last["content"]
        assert last["role"] == "assistant"
        assert ([{"type": "text", "text": content}] if isinstance(content, str) else content) == turn
        assert exchange.notices == []
