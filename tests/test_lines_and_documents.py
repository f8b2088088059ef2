"""A provider whose streams are lines of JSON: it reads them as they come, and one document in their place."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from tako import Capabilities, ChatRequest, ChatResponse, Delta, End, Message, hookimpl
from tako.errors import StreamTruncatedError
from tako.kit.body import decode_json
from tako.kit.events import EventDecoder
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.http import HttpProvider
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tako import Chat, Stream

NDJSON = "application/x-ndjson"
OBJECT = msgspec.json.Decoder(dict[str, Any])
STREAM = b'{"text": "Hel"}\n{"text": "lo"}\n{"done": true}\n'
DOCUMENT = {"whole": "from one document"}


class Lined(HttpProvider):
    """A vendor whose streams are lines of JSON."""

    name = "lined"

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__("m", max_retries=0, **options)
        self.base_url = base_url


class Lines(EventDecoder):
    lines = True

    def read(self, data: bytes, kind: str) -> Iterator[Delta]:
        line = decode_json(data, OBJECT)
        if "text" in line:
            yield Delta(line["text"])
        if "done" in line:
            self.end = End()


def decode(body: bytes, exchange: Exchange) -> ChatResponse:
    return ChatResponse(Message.assistant(decode_json(body, OBJECT)["whole"]))


async def prepare(provider: Lined, request: ChatRequest, stream: bool) -> Exchange:
    return Exchange(provider.base_url, {}, provider.context(request))


@hookimpl
def tako_capabilities() -> Capabilities:
    return Capabilities(supports_streaming=True)


@hookimpl
def tako_chat(provider: Lined) -> Chat:
    return chat_through(provider, partial(prepare, provider), decode)


@hookimpl
def tako_stream(provider: Lined) -> Stream:
    return stream_through(provider, partial(prepare, provider), lambda _, exchange: Lines(provider, exchange), decode)


def read(body: Any, kind: str, **options: Any) -> str:
    with serve(reply(body, headers={"content-type": kind}, **options)) as server:
        return Lined(server.url).blocking.stream("Hi").response().text


@pytest.mark.parametrize("body", [STREAM, b"\xef\xbb\xbf\n" + STREAM, STREAM.replace(b"{", b"{ "), STREAM.rstrip()])
@pytest.mark.parametrize("kind", [NDJSON, "text/plain", "text/event-stream"])
def test_lines_are_a_stream_whatever_the_server_calls_them(kind: str, body: bytes) -> None:
    assert read(body, kind) == "Hello"
    assert read([body[at : at + 1] for at in range(len(body))], kind) == "Hello"
    assert read(STREAM, "application/json") == "Hello"


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_byte_order_mark_may_come_in_two_pieces(cut: int) -> None:
    body = b"\xef\xbb\xbf" + STREAM

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:cut]
        yield body[cut:]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": NDJSON}, content=pieces())

    provider = Lined("http://lines.test", transport=httpx.MockTransport(answer))
    assert provider.blocking.stream("Hi").response().text == "Hello"


def test_a_line_is_delivered_before_the_next_one_has_come() -> None:
    async def main() -> str:
        arrived = asyncio.Event()
        body = [b'{"text": "first"}\n', arrived.is_set, b'{"done": true}\n']
        with serve(reply(body, headers={"content-type": NDJSON})) as server:
            provider = Lined(server.url)
            async with provider.stream("Hi") as stream:
                first = await anext(stream)
                arrived.set()
                assert [chunk.kind async for chunk in stream] == ["end"]
            await provider.aclose()
        assert isinstance(first, Delta)
        return first.text or ""

    assert asyncio.run(main()) == "first"


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (msgspec.json.encode(DOCUMENT), "application/json"),
        (msgspec.json.format(msgspec.json.encode(DOCUMENT)), "application/json; charset=utf-8"),
        (msgspec.json.format(msgspec.json.encode(DOCUMENT)), NDJSON),
    ],
)
def test_one_document_in_place_of_lines_is_understood(document: bytes, kind: str) -> None:
    assert read(document, kind) == "from one document"
    assert read([document[at : at + 1] for at in range(len(document))], kind) == "from one document"


@pytest.mark.parametrize("cut", range(len(STREAM) - 2))
def test_lines_that_end_early_are_a_truncated_stream(cut: int) -> None:
    with pytest.raises(StreamTruncatedError):
        read(STREAM[:cut], NDJSON)
