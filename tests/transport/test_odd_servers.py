"""Servers that do not keep to the rules, or keep to rules that few use: each is understood, or says what is wrong."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako.errors import (
    AuthenticationError,
    ProviderTimeoutError,
    RateLimitError,
    ResponseError,
    ServerError,
    StreamTruncatedError,
    TransportError,
)
from tako.providers import OpenAI
from tako.testing.dialects import COMPLETIONS
from tako.testing.script import Script
from tako.testing.waiting import until

from .raw import head, saying, sized, until_left

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .raw import Raw

SCRIPT = Script(text="Hello there, how are you?")
STREAM = b"".join(COMPLETIONS.events(SCRIPT))
FULL_REPLY = msgspec.json.encode(COMPLETIONS.whole(SCRIPT))
EVENTS, JSON, PAGE, PLAIN = (f"content-type: {kind}" for kind in
    ("text/event-stream", "application/json", "text/html", "text/plain"))  # fmt: skip
CHUNKED = "transfer-encoding: chunked"
GZIP, DEFLATE = "content-encoding: gzip", "content-encoding: deflate"


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def bare(data: bytes) -> bytes:
    """Deflate without zlib's header and checksum."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def ask(server: Raw, way: str = "chat", **options: Any) -> Any:
    async def main() -> Any:
        async with provider(server, **options) as one:
            return await (one.chat("hi") if way == "chat" else one.stream("hi").response())

    return asyncio.run(main())


def provider(server: Raw, **options: Any) -> OpenAI:
    return OpenAI("m", api_key="k", base_url=server.url, **{"max_retries": 0, **options})


UNDERSTOOD: dict[str, Callable[[str, bytes], bytes]] = {
    "HTTP/1.0 without a length": lambda kind, body: head("200 OK", kind, version="1.0") + body,
    "a closed connection as the end": lambda kind, body: head("200 OK", kind, "connection: close") + body,
    "interim replies": lambda kind, body: (
        head("103 Early Hints", "link: </a>") + head("100 Continue") + sized(body, kind)
    ),
    "chunks with extensions and trailers": lambda kind, body: (
        head("200 OK", kind, CHUNKED) + chunk(body, b";a=b") + b"0\r\nx-sum: 1\r\n\r\n"
    ),
    "a type twice": lambda kind, body: sized(body, kind, kind),
    "a long header": lambda kind, body: sized(body, kind, f"x-long: {'a' * 60_000}"),
    "status 201": lambda kind, body: sized(body, kind, status="201 Created"),
    "no type": lambda _, body: sized(body),
    "another type": lambda _, body: sized(body, PLAIN),
    "the type of a page": lambda _, body: sized(body, PAGE),
    "a byte order mark": lambda kind, body: sized(b"\xef\xbb\xbf" + body, kind),
    "white space around it": lambda kind, body: sized(b"\r\n\r\n" + body + b"\r\n", kind),
    "gzip": lambda kind, body: sized(gzip.compress(body), kind, GZIP),
    "gzip in two members": lambda kind, body: sized(gzip.compress(body[:99]) + gzip.compress(body[99:]), kind, GZIP),
    "gzip and padding": lambda kind, body: sized(gzip.compress(body) + bytes(7), kind, GZIP),
    "gzip and noise": lambda kind, body: sized(gzip.compress(body) + b"noise", kind, GZIP),
    "deflate": lambda kind, body: sized(zlib.compress(body), kind, DEFLATE),
    "deflate without zlib's header": lambda kind, body: sized(bare(body), kind, DEFLATE),
}


@pytest.mark.parametrize("way", ["chat", "stream"])
@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_is_odd_and_plain_all_the_same_is_understood(name: str, way: str) -> None:
    kind, body = (JSON, FULL_REPLY) if way == "chat" else (EVENTS, STREAM)
    with saying(UNDERSTOOD[name](kind, body)) as server:
        assert ask(server, way).text == SCRIPT.text


@pytest.mark.parametrize(
    "reply",
    [
        sized(STREAM.replace(b"\n", b"\r"), EVENTS),
        sized(STREAM.replace(b"\n", b"\r\n"), EVENTS),
        sized(STREAM + b'data: {"half": ', EVENTS),
        sized(STREAM + b"noise", EVENTS),
        sized(STREAM + STREAM, EVENTS),
        sized(FULL_REPLY, EVENTS),
        sized(FULL_REPLY, PLAIN),
        head("200 OK", EVENTS, f"content-length: {len(STREAM) + 10}") + STREAM,
    ],
    ids=["CR", "CRLF", "half an event", "noise", "another one", "one document", "plain", "bad length"],
)
def test_a_stream_is_whole_once_its_end_has_come_whatever_follows(reply: bytes) -> None:
    with saying(reply) as server:
        assert ask(server, "stream").text == SCRIPT.text


BROKEN = {
    "shorter than its length": lambda kind, body: head("200 OK", kind, f"content-length: {len(body)}") + body[:-60],
    "cut within the size of a chunk": lambda kind, body: head("200 OK", kind, CHUNKED) + chunk(body[:-60]) + b"3",
    "cut within a chunk": lambda kind, body: head("200 OK", kind, CHUNKED) + chunk(body)[:-60],
    "gzip that is cut": lambda kind, body: sized(gzip.compress(body)[:-40], kind, GZIP),
    "gzip without its checksum": lambda kind, body: sized(gzip.compress(body[:-60])[:-8], kind, GZIP),
    "deflate that is cut": lambda kind, body: sized(zlib.compress(body)[:-40], kind, DEFLATE),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_cut_is_never_a_success(name: str) -> None:
    with saying(BROKEN[name](JSON, FULL_REPLY)) as server, pytest.raises(TransportError) as caught:
        ask(server)
    assert caught.value.retryable
    for options in ({}, {"require_finish": False}):
        with saying(BROKEN[name](EVENTS, STREAM)) as server, pytest.raises(StreamTruncatedError) as cut:
            ask(server, "stream", **options)
        assert cut.value.partial is not None
        assert SCRIPT.text.startswith(cut.value.partial.text)


def test_half_of_what_is_compressed_is_not_all_of_it_where_the_end_of_the_body_is_enough() -> None:
    compressor = zlib.compressobj(wbits=31)
    half = compressor.compress(b"".join(COMPLETIONS.events(SCRIPT)[:3])) + compressor.flush(zlib.Z_SYNC_FLUSH)
    with saying(sized(half, EVENTS, GZIP)) as server, pytest.raises(StreamTruncatedError, match="compression"):
        ask(server, "stream", require_finish=False)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (sized(b"", PAGE), ResponseError),
        (sized(b"\n <html>Sign in</html>", PAGE), ResponseError),
        (sized(b'{"error": {"message": "slow", "type": "rate_limit_error"}}', PAGE), RateLimitError),
        (sized(b'{"error": {"message": "slow", "type": "rate_limit_error"}}', PLAIN), RateLimitError),
        (sized(b'{"error": {"message": "slow", "type": "rate_limit_error"}}', EVENTS), RateLimitError),
        (head("204 No Content"), ResponseError),
        (sized(b"", status="202 Accepted"), ResponseError),
        (head("304 Not Modified"), ResponseError),
        (head("200 OK", CHUNKED) + b"ZZ\r\n", TransportError),
        (head("200 OK", "content-length: -5"), TransportError),
        (b"\x15\x03\x01 this is no HTTP\r\n\r\n", TransportError),
        (b"HTTP/1.1 200 OK\r\ncontent-ty", TransportError),
        (b"", TransportError),
    ],
)
@pytest.mark.parametrize("way", ["chat", "stream"])
def test_what_is_no_reply_is_the_error_that_it_is(reply: bytes, error: type[Exception], way: str) -> None:
    with saying(reply) as server, pytest.raises(error) as caught:
        ask(server, way)
    assert "RawResponseMessage" not in str(caught.value)


@pytest.mark.parametrize("way", ["chat", "stream"])
@pytest.mark.parametrize(
    ("reply", "error", "pause"),
    [
        (head("401 X", JSON, "content-length: 99") + b'{"error": {"mess', AuthenticationError, None),
        (head("429 X", JSON, CHUNKED, "retry-after: 3") + b"5", RateLimitError, 3),
        (head("500 X", JSON, "content-length: 99"), ServerError, None),
        (sized(b"no gzip", GZIP, status="401 X"), AuthenticationError, None),
        (sized(b"\x0b\x02\x80", "content-encoding: br", "retry-after: 3", status="429 X"), RateLimitError, 3),
    ],
)
def test_a_refusal_whose_body_cannot_be_read_is_a_refusal(reply: bytes, error: Any, pause: Any, way: str) -> None:
    with saying(reply) as server, pytest.raises(error) as caught:
        ask(server, way)
    assert type(caught.value) is error
    assert caught.value.retry_after == pause


def test_a_refusal_whose_body_never_ends_is_one_too() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.sendall(head("401 X", JSON, "content-length: 99") + b'{"error": ')
        until_left(connection)

    for seconds in (0.1, 1, 10):
        with saying(refuse) as server, pytest.raises((AuthenticationError, ProviderTimeoutError)) as caught:
            ask(server, timeout=seconds)
        if type(caught.value) is AuthenticationError:  # if not, the machine took longer to bring even the status
            return
    raise caught.value


def test_a_server_that_takes_nothing_of_a_large_request_is_silent() -> None:
    left = threading.Event()
    with saying(lambda _: left.wait(60) and None) as server:
        try:
            with pytest.raises(ProviderTimeoutError, match=r"timeout=0\.2 s"):
                asyncio.run(provider(server, timeout=0.2).chat("x" * 30_000_000))
        finally:
            left.set()


def test_interim_replies_without_end_are_no_reply() -> None:
    def promise(connection: socket.socket) -> None:
        while True:
            connection.sendall(head("102 Processing"))
            time.sleep(0.02)

    with saying(promise) as server, pytest.raises(ProviderTimeoutError, match=r"timeout=0\.1 s"):
        ask(server, timeout=0.1)


def test_a_handshake_that_stalls_ends_with_the_limit_of_connecting() -> None:
    with saying(until_left) as server:
        server.url = server.url.replace("http", "https")
        with pytest.raises(ProviderTimeoutError, match=r"connect_timeout=0\.2 s"):
            ask(server, connect_timeout=0.2)


# --- connections that were kept


def test_a_connection_is_used_again_after_a_call_and_after_a_stream() -> None:
    def in_turn(connection: socket.socket) -> None:
        while True:
            server.read(connection)
            connection.sendall(sized(FULL_REPLY, JSON))
            server.read(connection)
            connection.sendall(head("200 OK", EVENTS, CHUNKED) + chunk(STREAM) + b"0\r\n\r\n")

    async def main() -> None:
        async with provider(server) as one:
            for _ in range(3):
                assert (await one.chat("hi")).text == SCRIPT.text
                assert (await one.stream("hi").response()).text == SCRIPT.text

    with saying(in_turn) as server:
        asyncio.run(main())
    assert (server.requests, server.connections) == (6, 1)


def test_a_connection_that_was_closed_while_the_program_did_something_else_is_not_used() -> None:
    closed = threading.Event()

    def once(connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(sized(FULL_REPLY, JSON))
        connection.close()
        closed.set()

    async def main() -> None:
        async with provider(server) as one:
            assert (await one.chat("hi")).text == SCRIPT.text
            until(closed.is_set)  # the event loop sees nothing of it
            time.sleep(0.1)  # noqa: ASYNC251 - the same, long enough for the transport to look
            assert (await one.chat("hi")).text == SCRIPT.text

    with saying(once, sized(FULL_REPLY, JSON)) as server:
        asyncio.run(main())
    assert server.requests == 2


@pytest.mark.parametrize("retries", [0, 1])
def test_a_request_that_met_the_end_of_its_connection_may_have_been_read_so_it_is_a_retry(retries: int) -> None:
    def once(connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(sized(FULL_REPLY, JSON))
        server.read(connection)  # and no answer

    async def main() -> None:
        async with provider(server, max_retries=retries) as one:
            await one.chat("hi")
            if retries:
                assert (await one.chat("hi")).text == SCRIPT.text
                return
            with pytest.raises(TransportError, match="the server closed it") as caught:
                await one.chat("hi")
            assert caught.value.retryable

    with saying(once, sized(FULL_REPLY, JSON)) as server:
        asyncio.run(main())
    assert server.requests == 2 + retries


def test_a_stream_that_breaks_before_its_first_chunk_is_tried_again() -> None:
    broken = head("200 OK", EVENTS, CHUNKED) + chunk(STREAM[:20])
    with saying(broken, sized(STREAM, EVENTS)) as server:
        assert ask(server, "stream", max_retries=1).text == SCRIPT.text
    assert server.requests == 2
    with saying(broken) as server, pytest.raises(StreamTruncatedError) as caught:
        ask(server, "stream")
    assert caught.value.retryable
