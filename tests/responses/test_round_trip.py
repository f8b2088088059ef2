"""A turn goes back to the Responses API as it came: item by item, whatever came, and however it was cut."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tako import ChatRequest, ChatResponse, Message
from tako.fold import chunks_of, fold
from tako.kit.exchange import Exchange
from tako.kit.responses import ResponsesDecoder, decode_reply
from tako.testing.server import sse

from .test_any_stream import MESSAGES, OTHERS, PROVIDER, THOUGHTS, TRANSLATOR, streamed_events

Item = dict[str, Any]

QUESTION = Message.user("What is the weather?")

texts = st.text(min_size=1, max_size=9)
json_value = st.recursive(
    st.booleans() | st.integers(-9, 9) | texts, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
fields = st.dictionaries(texts, json_value, max_size=2)
"""What a later version of the API may add."""
callers = st.sampled_from([{}, {"caller": {"type": "program", "caller_id": "c_1"}}, {"namespace": "crm"}])
contents = st.sampled_from(
    [
        {"type": "output_text", "text": "", "annotations": []},
        {"type": "output_text", "text": "x", "annotations": [{"type": "of_next_year"}], "logprobs": [{"token": "x"}]},
        {"type": "refusal", "refusal": "No."},
        {"type": "hologram", "beam": [1, {"a": None}]},
    ]
)
messages = st.builds(
    lambda content, more: {"type": "message", "role": "assistant", "status": "completed", "content": content, **more},
    st.lists(contents, max_size=3),
    st.sampled_from([{}, {"phase": "commentary"}, {"fingerprint": "fp"}]),
)
thoughts = st.builds(
    lambda shown, more: {"type": "reasoning", "summary": [], "encrypted_content": "gAAA", **more, **shown},
    st.sampled_from([{}, {"content": []}, {"content": [{"type": "reasoning_text", "text": "Hm."}]}]),
    st.sampled_from([{}, {"status": "completed"}, {"format": "of-a-gateway"}]),
)
texts_of_arguments = st.sampled_from(['{"city":"Rome"}', '{ "n": 1.50,\n "n": 2 }', "{}", '{"cut', '"a"'])
calls = st.builds(
    lambda text, more: {"type": "function_call", "name": "f", "arguments": text, "status": "completed", **more},
    texts_of_arguments,
    callers,
)
customs = st.builds(
    lambda text, more: {"type": "custom_tool_call", "name": "sql", "input": text, **more},
    texts | st.sampled_from(["", '{"a": 1}', '"quoted"', "[1,  2]"]),
    callers,
)
served = st.builds(
    lambda kind, more: {"type": kind, "status": "completed", **more},
    st.sampled_from(["web_search_call", "file_search_call", "mcp_call", "code_interpreter_call", "compaction"]),
    fields.map(lambda more: {"action": more}),
)
unknown = st.builds(lambda kind, value: {"type": kind, "of": value}, st.sampled_from(["hologram", "beam_call"]), fields)
items = MESSAGES | THOUGHTS | OTHERS | messages | thoughts | calls | customs | served | unknown
ways = st.sampled_from(["numbered", "interleaved", "ends last"])
cuts = st.lists(st.integers(0, 9999), max_size=9)


@st.composite
def turns(draw: st.DrawFn) -> list[Item]:
    """The items of a reply, the last of them no reasoning: the API refuses a turn that ends with it."""
    drawn = [*draw(st.lists(items, max_size=5)), draw(items.filter(lambda item: item["type"] != "reasoning"))]
    start = draw(st.sampled_from(["call_", "functions.f:", "a|"]))
    return [
        {**item, "id": f"x_{n}", **({"call_id": f"{start}{n}"} if "name" in item else {})}
        for n, item in enumerate(drawn)
    ]


def exchange_of(request: ChatRequest, *, stream: bool = False) -> Exchange:
    context = PROVIDER.context(request)
    return Exchange("", PROVIDER.encode(request, TRANSLATOR, context, stream=stream), context)


def decode_full(turn: list[Item]) -> ChatResponse:
    reply = msgspec.json.encode({"id": "r", "model": "m", "status": "completed", "output": turn})
    return decode_reply(reply, exchange_of(ChatRequest([QUESTION])), PROVIDER, TRANSLATOR)


def streamed(turn: list[Item], way: str, places: list[int], random: Any) -> ChatResponse:
    """Read a turn from a stream, the bytes of which are cut anywhere. Its last event may repeat the items, or not."""
    reply = {"id": "r", "model": "m", "status": "completed", "output": turn if random.random() < 0.5 else []}
    events = [*streamed_events(turn, way, random), {"type": "response.completed", "response": reply}]
    body = b"".join(sse(*events, done=False))
    at = [0, *sorted({place % len(body) for place in places}), len(body)]
    decoder = ResponsesDecoder(PROVIDER, exchange_of(ChatRequest([QUESTION]), stream=True), TRANSLATOR)
    chunks = [chunk for a, b in pairwise(at) for chunk in decoder.feed(body[a:b])]
    return fold([*chunks, *decoder.finish(clean=True)])


def sent_back(message: Message, response: ChatResponse) -> tuple[list[Item], list[str]]:
    """Send a turn back with the results of its calls; returns it as it went out, and the codes of notices."""
    results = [Message.tool(call.id, "1") for call in response.tool_calls]
    exchange = exchange_of(ChatRequest([QUESTION, message, *results, Message.user("So?")]))
    returned = exchange.body["input"][1 : -1 - len(results)]
    return returned, [notice.code for notice in exchange.notices]


@settings(max_examples=80, deadline=None)
@given(turns(), ways, cuts, st.randoms(use_true_random=False))
def test_a_turn_goes_back_as_it_came_however_it_came(
    turn: list[Item], way: str, places: list[int], random: Any
) -> None:
    one, other = decode_full(turn), streamed(turn, way, places, random)
    for response in (one, other):
        assert sent_back(response.message, response) == (turn, [])
    assert one.message == other.message
    assert (one.finish_reason, one.finish_word, one.id, one.model) == (
        other.finish_reason,
        other.finish_word,
        other.id,
        other.model,
    )


@settings(max_examples=40, deadline=None)
@given(turns())
def test_copies_go_back_as_it_came_too(turn: list[Item]) -> None:
    response = decode_full(turn)
    stored = msgspec.json.decode(msgspec.json.encode(response.message), type=Message)
    for copy in (stored, pickle.loads(pickle.dumps(response.message)), fold(chunks_of(response)).message):
        assert copy == response.message
        assert sent_back(copy, response) == (turn, [])
