"""Any turn goes back as it came: known blocks and unknown ones in any order, whole or cut into a stream at any byte."""

from __future__ import annotations

import asyncio
import pickle
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tako import ChatRequest, ChatResponse, Message, Tool, notices
from tako.fold import chunks_of, fold
from tako.providers import Bedrock, Gemini, Ollama, Vertex
from tako.testing.server import Reply, reply

from .rich import WIRES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tako import Provider

    from .rich import Json

QUESTION = Message.user("What is the weather?")
TOOLS = [Tool("weather", "The weather", {"type": "object", "properties": {}})]
short_texts = st.text(min_size=1, max_size=9).filter(str.strip)
fields = st.dictionaries(
    short_texts, st.booleans() | short_texts | st.lists(st.integers(-9, 9), max_size=2), max_size=2
)
cuts = st.lists(st.integers(0, 9999), max_size=9)


def known(vendor: str) -> st.SearchStrategy[Json]:
    return st.sampled_from([block for _, blocks in WIRES[vendor].turns for block in blocks])


texts = short_texts.map(lambda text: {"text": text})
unknown = st.builds(lambda kind, value: {kind: {"of": value}}, st.sampled_from(["hologram", "beam"]), fields)
converse_turns = st.builds(
    lambda turn, last: [*turn, last], st.lists(known("bedrock") | texts | unknown, max_size=5), texts
)
signed = st.builds(
    lambda text, thought: {"text": text, "thoughtSignature": "c2ln", **thought},
    short_texts,
    st.sampled_from([{}, {"thought": True}]),
)
gemini_turns = st.lists(known("vertex") | texts | signed | unknown, min_size=1, max_size=6)
ollama_calls = st.lists(
    st.builds(lambda args: {"function": {"name": "weather", "arguments": args}}, fields), min_size=1, max_size=2
)
FIELDS = ("thinking", "content", "images", "tool_calls", "hologram")
"""In the order in which Ollama streams them."""
ollama_messages = (
    st.fixed_dictionaries(
        {},
        optional={
            "thinking": short_texts,
            "content": short_texts,
            "images": st.just(["iVBORw0KGgo="]),
            "tool_calls": ollama_calls,
            "hologram": st.just({"of": [1, "a"]}),
        },
    )
    .filter(bool)
    .map(lambda message: {name: message[name] for name in FIELDS if name in message})
)


class Chat:
    """Ollama."""

    def blocks(self, body: Json) -> list[tuple[str, Json]]:
        bare = [{name: value for name, value in message.items() if name != "role"} for message in body["messages"]]
        full = [{name: value for name, value in one.items() if value != ""} for one in bare]
        return [(message["role"], one) for message, one in zip(body["messages"], full, strict=True)]

    def full_reply(self, finish_word: str, blocks: list[Json]) -> Reply:
        return reply(
            json={
                "message": {"role": "assistant", "content": "", **blocks[0]},
                "done": True,
                "done_reason": finish_word,
            }
        )

    def stream(self, finish_word: str, blocks: list[Json]) -> Reply:
        pieces = [{name: piece} for name, value in blocks[0].items() for piece in _halves(value)]
        lines = [{"message": {"role": "assistant", "content": "", **piece}, "done": False} for piece in pieces]
        last = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": finish_word}
        return reply([msgspec.json.encode(line) + b"\n" for line in [*lines, last]])


def _halves(value: Any) -> list[Any]:
    return [part for part in (value[:1], value[1:]) if part] if isinstance(value, str) else [value]


class Wire(httpx.AsyncBaseTransport):
    """Gives its replies one after the other, cut at these places, and keeps the bodies of requests."""

    def __init__(self) -> None:
        self.replies: list[tuple[Reply, list[int]]] = []
        self.sent: list[Json] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(msgspec.json.decode(await request.aread()))
        reply, places = self.replies.pop(0)
        body = b"".join(piece for piece in reply.pieces if isinstance(piece, bytes))
        at = [0, *sorted({place % (len(body) + 1) for place in places}), len(body)]
        return httpx.Response(200, headers=dict(reply.headers), stream=_Pieces([body[a:b] for a, b in pairwise(at)]))


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


def provider_of(vendor: str, wire: Wire) -> Provider:
    if vendor == "bedrock":
        return Bedrock("anthropic.claude-x", region="us-east-1", transport=wire, max_retries=0)
    if vendor == "vertex":
        return Vertex("gemini-2.5-flash", project_id="p", access_token="t", transport=wire, max_retries=0)
    if vendor == "gemini":
        return Gemini("gemini-3.1-pro", api_key="k-123456", transport=wire, max_retries=0)
    return Ollama("llava", transport=wire, max_retries=0)


@pytest.fixture(autouse=True, scope="module")
def _key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key")
        yield


@cache
def player(vendor: str) -> tuple[Provider, Wire]:
    wire = Wire()
    return provider_of(vendor, wire), wire


def check(vendor: str, turn: list[Json], places: list[int]) -> None:
    shape = Chat() if vendor == "ollama" else WIRES[vendor]
    provider, wire = player(vendor)
    finish_word = "STOP" if vendor in ("vertex", "gemini") else "stop"
    ok = shape.full_reply(finish_word, [{"content": "ok"} if vendor == "ollama" else {"text": "ok"}])

    async def goes_back(message: Message, results: list[Message]) -> None:
        wire.replies = [(ok, [])]
        again = await provider.chat(ChatRequest([QUESTION, message, *(results or [Message.user("So?")])], tools=TOOLS))
        sent = [block for role, block in shape.blocks(wire.sent.pop()) if role in ("assistant", "model")]
        notes = [notice for notice in again.notices if notice.code != notices.MODEL_RETIRES]  # which depends on the day
        assert (sent, notes) == (turn, [])

    async def main() -> None:
        first = ChatRequest([QUESTION], tools=TOOLS)
        wire.replies = [(shape.full_reply(finish_word, turn), []), (shape.stream(finish_word, turn), places)]
        one, other = await provider.chat(first), await provider.stream(first).response()
        assert bare(one) == bare(other)
        for response in (one, other):
            results = [Message.tool(call.id, "1") for call in response.tool_calls]
            stored = msgspec.json.decode(msgspec.json.encode(response.message), type=Message)
            await goes_back(pickle.loads(pickle.dumps(stored)), results)
        await goes_back(fold(chunks_of(other)).message, results)
        await provider.aclose()

    asyncio.run(main())


def bare(response: ChatResponse) -> Any:
    """Leave out ids that tako made, which are never the same."""
    text = msgspec.json.encode(response.message)
    for n, call in enumerate(response.tool_calls):
        text = text.replace(call.id.encode(), b"id-%d" % n)
    return msgspec.json.decode(text)


def numbered(turn: list[Json]) -> list[Json]:
    """Give calls ids of their own."""
    turn_with_ids = msgspec.json.decode(msgspec.json.encode(turn))
    for n, block in enumerate(turn_with_ids):
        for kind, name in (("toolUse", "toolUseId"), ("functionCall", "id")):
            if kind in block and name in block[kind]:
                block[kind][name] += str(n)
    return turn_with_ids  # type: ignore[no-any-return]  # JSON


def apart(turn: list[Json]) -> list[Json]:
    """Leave out a text that goes on with the one before: streams of Gemini show no such boundary."""
    kept: list[Json] = []
    for part in turn:
        before = kept[-1] if kept else {}
        open_text = "text" in before and "thoughtSignature" not in before
        if not (open_text and part.get("text") and part.get("thought") == before.get("thought")):
            kept.append(part)
    return kept


@settings(max_examples=40, deadline=None)
@given(converse_turns.map(numbered), cuts)
def test_any_turn_goes_back_to_bedrock_as_it_came(turn: list[Json], places: list[int]) -> None:
    check("bedrock", turn, places)


@pytest.mark.parametrize("vendor", ["vertex", "gemini"])
@settings(max_examples=40, deadline=None)
@given(gemini_turns.map(apart).map(numbered), cuts)
def test_any_turn_goes_back_to_gemini_as_it_came(vendor: str, turn: list[Json], places: list[int]) -> None:
    check(vendor, turn, places)


@settings(max_examples=40, deadline=None)
@given(ollama_messages, cuts)
def test_any_turn_goes_back_to_ollama_as_it_came(message: Json, places: list[int]) -> None:
    check("ollama", [message], places)
