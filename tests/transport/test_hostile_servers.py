"""Servers that break off, lie or fall silent at the worst moment: each is an error in time, and never a hang."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tako.errors import BadRequestError, ProviderTimeoutError, StreamTruncatedError, TransportError
from tako.providers import OpenAI
from tako.testing.server import sse
from tako.testing.waiting import until_async

from .raw import head, saying, sized, until_left
from .ways import OURS, ask, run

if TYPE_CHECKING:
    import trustme

LIMIT = 60.0
DELTA = b"".join(sse({"choices": [{"delta": {"content": "Hello"}}]}, done=False))
CHUNKED = head("200 OK", "content-type: text/event-stream", "transfer-encoding: chunked")
LARGE = "x" * 20_000_000


@pytest.mark.parametrize("nonsense", [b"ZZ\r\n", b"\r\n\r\n\r\n", b"-1\r\n", b"fffffffffffffffffffff\r\n"])
@pytest.mark.parametrize("way", OURS)
def test_nonsense_in_the_middle_of_a_body_ends_it(way: str, nonsense: bytes) -> None:
    async def main(provider: OpenAI) -> None:
        stream = provider.stream("hi")
        assert (await anext(stream)).text == "Hello"
        begun.set()
        with pytest.raises(StreamTruncatedError) as caught:
            await stream.response()
        assert caught.value.partial is not None
        assert caught.value.partial.text == "Hello"

    def say(connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(CHUNKED + b"%x\r\n%s\r\n" % (len(DELTA), DELTA))
        begun.wait(LIMIT)  # what follows comes alone
        connection.sendall(nonsense)
        until_left(connection)

    begun = threading.Event()
    with saying(say) as server:
        run(way, server.url, main, timeout=LIMIT)


def late_nonsense(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(head("200 OK", "content-type: application/json", "transfer-encoding: chunked"))
    time.sleep(0.05)
    connection.sendall(b"ZZ\r\n")
    until_left(connection)


def test_nonsense_after_the_head_of_a_whole_reply_ends_it_whatever_was_asked() -> None:
    async def main() -> None:
        async with OpenAI("m", api_key="k", base_url=server.url, max_retries=0, timeout=LIMIT) as provider:
            for call in (provider.chat("hi"), provider.fetch(f"{server.url}/models", b"", method="GET")):
                with pytest.raises(TransportError):
                    await asyncio.wait_for(call, LIMIT)

    with saying(late_nonsense) as server:
        asyncio.run(main())


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_that_comes_before_all_of_a_request_has_gone_is_read(streamed: bool) -> None:
    def say(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(sized(b'{"error": {"message": "too large"}}', status="413 Content Too Large"))
        left.wait(LIMIT)

    left = threading.Event()
    with saying(say) as server:
        try:
            with pytest.raises(BadRequestError, match="too large"):
                asked_large(server.url, streamed)
        finally:
            left.set()


def test_a_refusal_is_read_although_the_server_closes_while_the_request_is_on_its_way() -> None:
    def say(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(sized(b'{"error": {"message": "too large"}}', status="413 Content Too Large"))

    async def main() -> None:
        async with OpenAI("m", api_key="k", base_url=server.url, max_retries=0) as provider:
            for _ in range(20):  # the reset comes at another moment each time
                with pytest.raises(BadRequestError, match="too large"):
                    await provider.chat(LARGE[:2_000_000])

    with saying(say) as server:
        asyncio.run(main())


def test_a_server_that_leaves_while_a_request_goes_is_one_error_and_nothing_in_the_logs() -> None:
    def leave(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # so that it's a reset

    with saying(leave) as server, pytest.raises(TransportError):
        asked_large(server.url)


@pytest.mark.parametrize("streamed", [False, True])
def test_trailers_without_end_are_silence(streamed: bool) -> None:
    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(CHUNKED + b"2\r\n{}\r\n0\r\n")
        while not left.wait(0.02):
            connection.sendall(b"x-more: y\r\n")

    async def main() -> None:
        async with OpenAI("m", api_key="k", base_url=server.url, max_retries=0, timeout=0.3) as provider:
            call = provider.stream("hi").response() if streamed else provider.chat("hi")
            with pytest.raises(ProviderTimeoutError, match="nothing came from"):
                await asyncio.wait_for(call, LIMIT)

    left = threading.Event()
    with saying(drip) as server:
        try:
            asyncio.run(main())
        finally:
            left.set()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("start", [b"2\r\n{}\r\n0\r\nx-more: ", b"2\r\n{}\r\n2;more="])
def test_a_trailer_or_an_extension_without_end_ends_the_reply(start: bytes, streamed: bool) -> None:
    def flood(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(CHUNKED + start)
        while True:  # until the client has left
            connection.sendall(b"a" * 65536)

    async def main() -> None:
        async with OpenAI("m", api_key="k", base_url=server.url, max_retries=0, timeout=LIMIT) as provider:
            call = provider.stream("hi").response() if streamed else provider.chat("hi")
            with pytest.raises((TransportError, StreamTruncatedError), match="incomplete"):
                await asyncio.wait_for(call, LIMIT)

    with saying(flood) as server:
        asyncio.run(main())


def test_a_reply_that_is_read_while_its_provider_closes_is_not_complete() -> None:
    def begin(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head("200 OK", "content-type: application/json") + b"{}")  # it ends with the connection
        begun.set()
        until_left(connection)

    async def main() -> None:
        provider = OpenAI("m", api_key="k", base_url=server.url, max_retries=0, timeout=LIMIT)
        call = asyncio.create_task(provider.fetch(f"{server.url}/models", b"", method="GET"))
        await until_async(begun.is_set)
        await asyncio.sleep(0.05)
        await provider.aclose()
        with pytest.raises(TransportError, match="incomplete"):
            await asyncio.wait_for(call, LIMIT)

    begun = threading.Event()
    with saying(begin) as server:
        asyncio.run(main())


def asked_large(url: str, streamed: bool = False, **options: Any) -> Any:
    async def main() -> Any:
        async with OpenAI("m", api_key="k", base_url=url, max_retries=0, **options) as provider:
            return await (provider.stream(LARGE).response() if streamed else provider.chat(LARGE))

    return asyncio.run(main())


def test_nonsense_that_comes_before_all_of_a_request_has_gone_is_an_end_too() -> None:
    def say(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(CHUNKED)
        time.sleep(0.05)
        connection.sendall(b"ZZ\r\n")
        left.wait(LIMIT)

    left = threading.Event()
    with saying(say) as server:
        try:
            with pytest.raises(TransportError):
                asked_large(server.url, timeout=0.2)
        finally:
            left.set()


def test_closing_does_not_wait_for_a_server_that_takes_nothing() -> None:
    async def main() -> None:
        provider = OpenAI("m", api_key="k", base_url=server.url, max_retries=0, timeout=LIMIT)
        call = asyncio.create_task(provider.chat(LARGE))
        await until_async(begun.is_set)
        await asyncio.wait_for(provider.aclose(), LIMIT / 2)
        with pytest.raises(TransportError):
            await asyncio.wait_for(call, LIMIT / 2)

    def deaf(connection: socket.socket) -> None:
        connection.recv(1000)
        begun.set()
        left.wait(LIMIT)

    begun, left = threading.Event(), threading.Event()
    with saying(deaf) as server:
        try:
            asyncio.run(main())
        finally:
            left.set()


@pytest.mark.parametrize("way", OURS)
def test_a_tunnel_that_leads_nowhere_ends_with_the_limit_of_connecting(way: str) -> None:
    def nowhere(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head("200 OK"))
        until_left(connection)

    def promises(connection: socket.socket) -> None:
        while True:
            connection.sendall(head("102 Processing"))

    for say in (nowhere, promises):
        with saying(say) as proxy, pytest.raises(ProviderTimeoutError, match=f"the proxy {proxy.url} took longer"):
            ask(way, "https://model.example/v1", proxy=proxy.url, connect_timeout=0.2)


@pytest.mark.parametrize("way", OURS)
def test_a_tunnel_that_closes_at_once_is_a_failure_of_the_way(way: str) -> None:
    def closing(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head("200 OK"))

    with saying(closing) as proxy, pytest.raises(TransportError, match=f"the proxy {proxy.url}"):
        ask(way, "https://model.example/v1", proxy=proxy.url)


def test_a_server_that_wants_a_clients_certificate_says_so_once(authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with saying(sized(b"{}"), tls=context) as server, pytest.raises(TransportError) as caught:
        ask("asyncio", server.url.replace("127.0.0.1", "localhost"), max_retries=2)
    # whether the alert or the end of the connection is read first is the system's to say
    assert "wants a client certificate" in str(caught.value) or caught.value.retryable
