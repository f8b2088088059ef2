"""The pool of the default transport: what it asks of the system, of servers, and of memory."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import threading
import tracemalloc
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako.errors import TransportError
from tako.kit.connecting import AddressCache, Endpoint
from tako.providers import OpenAI
from tako.testing.waiting import until_async

from .raw import head, saying, sized, until_left
from .script import BODY

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER = sized(msgspec.json.encode(BODY), "content-type: application/json")


def provider(url: str, **options: Any) -> OpenAI:
    return OpenAI("m", api_key="k", base_url=url, **{"max_retries": 0, **options})


def test_many_calls_at_once_look_a_host_up_once() -> None:
    class Loop(asyncio.SelectorEventLoop):
        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            hosts[host] += 1
            return await super().getaddrinfo(host, port, **options)

    async def main() -> None:
        async with provider(server.url.replace("127.0.0.1", "localhost")) as one:
            replies = await asyncio.gather(*[one.chat("hi") for _ in range(8)])
            assert {reply.text for reply in replies} == {"ok"}

    def answering(connection: socket.socket) -> None:
        server.read(connection)
        together.wait(60)  # so that each call has a connection of its own
        connection.sendall(ANSWER)

    hosts: Counter[Any] = Counter()
    together = threading.Barrier(8)
    with saying(answering) as server, asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
    assert (server.connections, hosts) == (8, Counter(localhost=1))


def test_a_host_that_could_not_be_found_is_looked_up_again() -> None:
    class Loop(asyncio.SelectorEventLoop):
        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            hosts[host] += 1
            if hosts[host] == 1:
                raise socket.gaierror
            return await super().getaddrinfo("127.0.0.1", port, **options)

    async def main() -> None:
        async with provider(server.url.replace("127.0.0.1", "acme.invalid")) as one:
            with pytest.raises(TransportError, match="can't be found"):
                await one.chat("hi")
            assert (await one.chat("hi")).text == "ok"

    hosts: Counter[Any] = Counter()
    with saying(ANSWER) as server, asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
    assert hosts["acme.invalid"] == 2


def test_the_connection_that_was_used_last_is_used_next_and_the_others_may_rest() -> None:
    def answering(connection: socket.socket) -> None:
        first = True
        while True:
            server.read(connection)
            calls[connection] += 1
            if first:
                together.wait(60)
            first = False
            connection.sendall(ANSWER)

    async def main() -> None:
        async with provider(server.url) as one:
            await asyncio.gather(*[one.chat("hi") for _ in range(4)])
            for _ in range(6):
                await one.chat("hi")

    calls: Counter[Any] = Counter()
    together = threading.Barrier(4)
    with saying(answering) as server:
        asyncio.run(main())
    assert sorted(calls.values()) == [1, 1, 1, 7]


def test_a_server_waits_for_who_reads_slowly_and_memory_holds_little() -> None:
    def pouring(connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(head("200 OK", "content-type: text/event-stream", "content-length: 400000000"))
        connection.setblocking(False)
        piece, sent = b": and so on\n" * 5000, 0
        while sent < 400_000_000:
            if not select.select([], [connection], [], 0.3)[1]:  # nothing is taken any more
                stuck.set()
                break
            sent += connection.send(piece)
        connection.setblocking(True)
        until_left(connection)

    async def main() -> None:
        async with provider(server.url) as one:
            reply = await one.send(f"{server.url}/x", b"{}")
            await until_async(stuck.is_set)
            await reply.aclose()

    stuck = threading.Event()
    with saying(pouring) as server:
        asyncio.run(main())


def test_what_was_asked_for_with_head_has_no_body_whatever_its_headers_say() -> None:
    async def main() -> None:
        async with provider(server.url) as one:
            reply, body = await one.fetch(f"{server.url}/x", b"", method="HEAD")
            assert (reply.headers["Content-Length"], body) == ("99", b"")
            assert (await one.chat("hi")).text == "ok"

    with saying(head("200 OK", "content-length: 99"), ANSWER) as server:
        asyncio.run(main())
    assert server.requests == 2


def test_a_header_can_never_become_two_and_is_not_shown() -> None:
    class Careless(OpenAI):
        async def authorize(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
            return {"x-token": "hunter2hunter2\r\nx-admin: yes"}

    async def main() -> None:
        one = Careless("m", api_key="k", base_url=server.url)
        with pytest.raises(TransportError, match="a header holds a line break") as caught:
            await one.chat("hi")
        assert "hunter2" not in str(caught.value)
        assert not caught.value.retryable

    with saying(ANSWER) as server:
        asyncio.run(main())
    assert server.connections == 0


def test_headers_that_come_after_a_body_are_no_headers_of_the_next_reply() -> None:
    trailing = head("200 OK", "transfer-encoding: chunked") + b"2\r\n{}\r\n0\r\nx-request-id: r-1\r\n\r\n"

    def answering(connection: socket.socket) -> None:
        for reply in (trailing, sized(b"{}", "x-other: 1")):
            server.read(connection)
            connection.sendall(reply)

    async def main() -> None:
        async with provider(server.url) as one:
            for expected in ({"transfer-encoding"}, {"x-other", "content-length"}):
                reply, body = await one.fetch(f"{server.url}/x", b"{}")
                assert (set(reply.headers), body) == (expected, b"{}")

    with saying(answering) as server:
        asyncio.run(main())
    assert server.connections == 1


def test_a_head_without_end_is_no_reply() -> None:
    def endless(connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nx-header: ")
        while True:
            connection.sendall(b"a" * 65536)

    with saying(endless) as server, pytest.raises(TransportError, match="can't be read as HTTP"):
        asyncio.run(provider(server.url).chat("hi"))


def test_an_address_that_is_all_query_keeps_it() -> None:
    def answering(connection: socket.socket) -> None:
        firsts.append(server.read(connection).partition(b"\r\n")[0])
        connection.sendall(ANSWER)

    async def main() -> None:
        async with provider(server.url) as one:
            await one.fetch(f"{server.url}?a=1/2#b", b"{}")

    firsts: list[bytes] = []
    with saying(answering) as server:
        asyncio.run(main())
    assert firsts == [b"POST /?a=1/2 HTTP/1.1"]


@pytest.mark.parametrize("host", [".example.com", "a..b.example", "a" * 64 + ".example"])
def test_a_host_that_nobody_can_look_up_is_one_that_is_not_found(host: str) -> None:
    with pytest.raises(TransportError, match="can't be found"):
        asyncio.run(provider(f"https://{host}/v1").chat("hi"))


def test_headers_that_go_on_after_a_body_take_no_memory() -> None:
    def trailing(connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(head("200 OK", "transfer-encoding: chunked") + b"2\r\n{}\r\n0\r\n")
        for number in range(40_000):
            connection.sendall(b"x-%d: %s\r\n" % (number, b"a" * 90))
        connection.sendall(b"\r\n")

    async def main() -> None:
        async with provider(server.url) as one:
            assert (await one.fetch(f"{server.url}/x", b"{}"))[1] == b"{}"

    with saying(trailing) as server:
        tracemalloc.start()
        asyncio.run(main())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2_000_000  # they are 4 MB


def test_addresses_of_hosts_that_are_not_called_any_more_are_forgotten() -> None:
    class Addresses(list[Any]):
        """A list that can be watched."""

    class Loop(asyncio.SelectorEventLoop):
        days = 0

        def time(self) -> float:
            return super().time() + self.days * 86400

        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            addresses = Addresses()
            remembered.append(weakref.ref(addresses))
            return addresses

    async def main() -> None:
        cache = AddressCache()
        for loop.days in range(20):
            await cache.of(Endpoint(f"host-{loop.days}.example", 80, tls=False))
            await asyncio.sleep(0)
        gc.collect()
        assert [addresses() is not None for addresses in remembered] == [False] * 19 + [True]

    remembered: list[weakref.ref[Addresses]] = []
    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
