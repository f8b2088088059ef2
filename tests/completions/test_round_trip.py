"""A message goes back to its server as it came: field by field, whatever came, and however it was cut."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tako import ChatRequest, ChatResponse, Message
from tako.fold import chunks_of, fold
from tako.kit.completions import CompletionsDecoder, CompletionsProvider, decode_reply
from tako.kit.completions.provider import tako_translator
from tako.kit.exchange import Exchange
from tako.providers import Mistral, OpenAI
from tako.testing.server import sse

Fields = dict[str, Any]

GATEWAY = OpenAI("m", api_key="k-123", base_url="http://localhost:1/v1")
MISTRAL = Mistral("m", api_key="k-123", base_url="http://localhost:1/v1")
QUESTION = Message.user("What is the weather?")

REFERENCE = {"type": "reference", "reference_ids": [3, "doc-17"]}

texts = st.text(min_size=1, max_size=9)
json_value = st.recursive(
    st.booleans() | st.integers(-9, 9) | texts, lambda inner: st.lists(inner, min_size=1, max_size=2), max_leaves=3
)
objects = st.dictionaries(texts, json_value, max_size=2)
more = objects.map(lambda fields: {"extra_content": fields} if fields else {})
ids = st.sampled_from(["call_1", "functions.f:0", "x" * 90, "D681PevKs"])
functions = st.builds(
    lambda args, rest: {"type": "function", "function": {"name": "f", "arguments": encoded(args)}, **rest},
    objects,
    more,
)
customs = st.builds(
    lambda text, rest: {"type": "custom", "custom": {"name": "sql", "input": text}, **rest},
    texts | st.sampled_from(["", '{"a": 1}', '"quoted"', "[1,  2]"]),
    more,
)
unknown_calls = st.builds(lambda fields: {"type": "hologram", "hologram": fields}, objects)
details = st.builds(
    lambda n, text: {
        "type": "reasoning.text",
        "text": text,
        "signature": "EqQB==",
        "format": "claude",
        "id": None,
        "index": n,
    },
    st.integers(0, 3),
    texts,
)
images = st.sampled_from(
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://img.example/a.png", "detail": "high"}, "index": 0},
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,PHN2Zy8+"}},
    ]
)
chunks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(
        lambda text, rest: {"type": "thinking", "thinking": [{"type": "text", "text": text}], **rest},
        texts,
        st.sampled_from([{}, {"closed": True}, {"closed": True, "signature": "SiG=="}]),
    ),
    st.sampled_from(
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "As in "}, REFERENCE]},
            REFERENCE,
            {"type": "tool_reference", "tool": "web_search", "title": "T", "url": "https://example.org/"},
            {"type": "image_url", "image_url": "https://img.example/a.png"},
            {"type": "document_url", "document_url": "https://files.example/report.pdf"},
            {"type": "of_next_year", "depth": {"a": [1, 2]}},
        ]
    ),
)


def encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


@st.composite
def numbered(draw: st.DrawFn, of: st.SearchStrategy[Fields]) -> list[Fields]:
    """Calls with ids of their own, as a server mints them."""
    start = draw(ids)
    return [{"id": f"{start}{n}" if n else start, **call} for n, call in enumerate(draw(st.lists(of, max_size=3)))]


def filled(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


gateway_fields = st.fixed_dictionaries(
    {},
    optional={
        "reasoning": texts,
        "content": texts,
        "refusal": texts,
        "tool_calls": numbered(functions | customs | unknown_calls),
        "reasoning_details": st.lists(details, max_size=3, unique_by=lambda one: one["index"]),
        "images": st.lists(images, max_size=2),
        "extra_content": objects,
        "seal": texts,
        "of_next_year": json_value,
        "annotations": st.just([{"type": "file", "file": {"hash": "h-1"}}]),
    },
)
gateway_messages = st.builds(
    lambda message, twice: filled(
        {**message, **({"reasoning_content": message["reasoning"]} if twice and "reasoning" in message else {})}
    ),
    gateway_fields,
    st.booleans(),
)


@st.composite
def mistral_messages(draw: st.DrawFn) -> Fields:
    content: list[Fields] = []
    for chunk in draw(st.lists(chunks, max_size=6)):
        if not (content and content[-1].keys() == chunk.keys() == {"type", "text"}):  # a stream shows no such boundary
            content.append(chunk)
    message: Fields = {"content": content} if content else {}
    if len(content) == 1 and content[0]["type"] == "text":
        message = {"content": content[0]["text"]}
    calls = draw(numbered(functions))
    return {**message, **({"tool_calls": calls} if calls else {})}


def exchange_of(provider: CompletionsProvider, messages: list[Message], *, stream: bool = False) -> Exchange:
    context = provider.context(request := ChatRequest(messages))
    return Exchange("", provider.encode(request, tako_translator(provider), context, stream=stream), context)


def decode_full(provider: CompletionsProvider, message: Fields) -> ChatResponse:
    body = {
        "id": "c1",
        "model": "m",
        "choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}],
    }
    exchange = exchange_of(provider, [QUESTION])
    return decode_reply(encoded(body).encode(), exchange, provider, tako_translator(provider), provider.dialect)


def streamed(provider: CompletionsProvider, message: Fields, cuts: list[int]) -> ChatResponse:
    """Read a message as a stream of small deltas, the bytes of which are cut anywhere."""
    events = [{"id": "c1", "model": "m", "choices": [{"delta": delta}]} for delta in deltas_of(message)]
    body = b"".join(sse(*events, {"choices": [{"delta": {}, "finish_reason": "stop"}]}))
    places = [0, *sorted({cut % len(body) for cut in cuts}), len(body)]
    exchange = exchange_of(provider, [QUESTION], stream=True)
    decoder = CompletionsDecoder(provider, exchange, tako_translator(provider), provider.dialect)
    got = [chunk for a, b in pairwise(places) for chunk in decoder.feed(body[a:b])]
    return fold([*got, *decoder.finish(clean=True)])


ORDER = ("reasoning", "reasoning_content", "reasoning_details", "content", "refusal", "tool_calls")
"""In which servers stream the fields of a message; the others come last."""


def place(name: str) -> tuple[int, str]:
    return (ORDER.index(name), "") if name in ORDER else (len(ORDER), name)


def deltas_of(message: Fields) -> Any:
    yield {"role": "assistant", "content": ""}
    thoughts = {name: message[name] for name in ORDER[:2] if name in message}
    for n in range(2 if thoughts else 0):
        yield {name: [text[:1], text[1:]][n] for name, text in thoughts.items()}
    for name in sorted(message.keys() - {*ORDER[:2]}, key=place):
        yield from field_deltas(name, message[name])


def field_deltas(name: str, value: Any) -> Any:
    if isinstance(value, str):
        yield from ({name: piece} for piece in halves(value))
    elif name == "content":
        for chunk in value:
            yield from chunk_deltas(chunk)
    elif name == "tool_calls":
        for n, call in enumerate(value):
            yield from ({name: [{"index": n, **piece}]} for piece in call_pieces(call))
    elif name == "reasoning_details":
        for one in value:
            yield {
                name: [{"type": one["type"], "index": one["index"], "text": one["text"][:2], "format": one["format"]}]
            }
            yield {name: [{**one, "text": one["text"][2:]}]}
    else:
        yield {name: value}


def chunk_deltas(chunk: Fields) -> Any:
    if chunk.keys() == {"type", "text"}:
        yield from ({"content": piece} for piece in halves(chunk["text"]))
    elif chunk["type"] == "thinking":
        rest = {name: value for name, value in chunk.items() if name != "thinking"}
        for inner in chunk["thinking"]:
            for piece in halves(inner["text"]) if "text" in inner else [None]:
                content = inner if piece is None else {**inner, "text": piece}
                yield {"content": [{"type": "thinking", "thinking": [content]}]}
        yield {"content": [{**rest, "thinking": []}]}
    else:
        yield {"content": [chunk]}


def call_pieces(call: Fields) -> list[Fields]:
    kind = call["type"]
    field = {"function": "arguments", "custom": "input"}.get(kind)
    if field is None:
        return [call]
    rest = {name: value for name, value in call.items() if name not in ("id", "type", kind)}
    first = {"id": call["id"], "type": kind, kind: {"name": call[kind]["name"], field: ""}}
    return [first, *({kind: {field: piece}} for piece in halves(call[kind][field])), *([rest] if rest else [])]


def halves(text: str) -> list[str]:
    return [piece for piece in (text[: len(text) // 2], text[len(text) // 2 :]) if piece]


def sent_back(provider: CompletionsProvider, message: Message, response: ChatResponse) -> tuple[Fields, set[str]]:
    """Send a message back with the results of its calls; returns it as it went out, and the codes of notices."""
    results = [Message.tool(call.id, "1") for call in response.tool_calls]
    exchange = exchange_of(provider, [QUESTION, message, *results, *([] if results else [Message.user("So?")])])
    turn = next((one for one in exchange.body["messages"] if one["role"] == "assistant"), {})
    answers = [one["tool_call_id"] for one in exchange.body["messages"] if one["role"] == "tool"]
    answered = [call["id"] for call in turn.get("tool_calls", ()) if call["type"] != "hologram"]
    assert answers == answered
    return filled({name: value for name, value in turn.items() if name != "role"}), {n.code for n in exchange.notices}


@settings(max_examples=80, deadline=None)
@given(gateway_messages, st.lists(st.integers(0, 9999), max_size=9))
def test_a_message_goes_back_to_its_gateway_as_it_came(message: Fields, cuts: list[int]) -> None:
    check(GATEWAY, message, cuts)


@settings(max_examples=80, deadline=None)
@given(mistral_messages(), st.lists(st.integers(0, 9999), max_size=9))
def test_a_message_goes_back_to_mistral_as_it_came(message: Fields, cuts: list[int]) -> None:
    check(MISTRAL, message, cuts)


def check(provider: CompletionsProvider, message: Fields, cuts: list[int]) -> None:
    one, other = decode_full(provider, message), streamed(provider, message, cuts)
    for response in (one, other):
        assert sent_back(provider, response.message, response) == (message, set())
    assert one.message == other.message
    assert (one.finish_reason, one.finish_word, one.id, one.model) == (
        other.finish_reason,
        other.finish_word,
        other.id,
        other.model,
    )


@pytest.mark.parametrize("provider", [GATEWAY, MISTRAL], ids=["gateway", "mistral"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_copies_go_back_as_it_came_too(provider: CompletionsProvider, data: st.DataObject) -> None:
    message = data.draw(gateway_messages if provider is GATEWAY else mistral_messages())
    response = decode_full(provider, message)
    stored = msgspec.json.decode(msgspec.json.encode(response.message), type=Message)
    for copy in (stored, pickle.loads(pickle.dumps(response.message)), fold(chunks_of(response)).message):
        assert copy == response.message
        assert sent_back(provider, copy, response) == (message, set())
