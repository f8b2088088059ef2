"""A test vendor: JSON requests, and replies in JSON or lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import Capabilities, ChatResponse, Delta, End, Message, hookimpl
from tako.errors import StreamTruncatedError
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.http import HttpProvider
from tako.kit.keys import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako import Chat, ChatRequest, Stream
    from tako.types import Chunk

KEY = "acme-key-0123456789"


class Acme(HttpProvider):
    """A vendor with a key in a header."""

    name = "acme"

    def __init__(self, base_url: str, *, api_key: str = KEY, **options: Any) -> None:
        super().__init__("acme-1", **options)
        self.base_url = base_url
        self.add_headers({"x-acme-key": Secret(api_key), "x-signed-at": "20260101T000000Z"})

    async def prepare(self, request: ChatRequest, stream: bool) -> Exchange:
        body = {"prompt": request.messages[-1].text, "stream": stream, **request.extra}
        return Exchange(f"{self.base_url}/say?api_key=in-the-url&v=1", body, self.context(request))


class Lines:
    """A line of text is a delta; "." ends the stream. Keeps the bytes that it got."""

    fed: list[bytes] = []  # noqa: RUF012 - of the last stream, for tests

    def __init__(self) -> None:
        Lines.fed = []
        self.ended = False

    def feed(self, data: bytes) -> Iterator[Chunk]:
        Lines.fed.append(data)
        for line in data.decode("utf-8", "replace").splitlines():
            self.ended = self.ended or line == "."
            if not self.ended:
                yield Delta(line)

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        if not self.ended:
            raise StreamTruncatedError("no dot")
        yield End()


def decode(body: bytes, exchange: Exchange) -> ChatResponse:
    return ChatResponse(Message.assistant(msgspec.json.decode(body)["text"]))


@hookimpl
def tako_capabilities() -> Capabilities:
    return Capabilities()


@hookimpl
def tako_chat(provider: Acme) -> Chat:
    return chat_through(provider, provider.prepare, decode)


@hookimpl
def tako_stream(provider: Acme) -> Stream:
    return stream_through(provider, provider.prepare, lambda reply, exchange: Lines())


@pytest.fixture
def acme() -> type[Acme]:
    return Acme


@pytest.fixture
def lines() -> type[Lines]:
    return Lines
