"""A scripted HTTP server on loopback, in a thread of its own: tests may be async, blocking, or both.

::

    with serve(reply(json={"ok": True})) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url)
        ...
        assert server.requests[0].json["model"] == "m"
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

TURNS = 8
"""Turns of the event loop after which a connection that was accepted is being handled; asyncio takes four."""
Ending = Literal["end", "cut", "reset", "hang"]
Condition = Callable[[], bool]
"""What a server waits for; asked every few milliseconds, in the server's thread."""
Piece = bytes | Condition
BACKLOG = 1024
"""Connections that wait to be accepted; beyond asyncio's 100, clients are kept waiting for seconds."""
POLL = 0.005
"""Seconds between two looks at what is waited for."""
MANY = 20
"""Open connections at which this time is twice as long: hundreds that wait would take a processor for themselves."""


class Received(Struct):
    """A request as it came. Header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Reply(Struct):
    """What to answer; make one with ``reply``."""

    pieces: list[Piece]
    status: int
    headers: dict[str, str]
    pause: float
    ending: Ending
    delay: float | Condition


Script = Reply | Callable[[Received], Reply]


def reply(
    body: bytes | str | Iterable[Piece] = b"",
    *,
    json: Any = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    pause: float = 0.0,
    ending: Ending = "end",
    delay: float | Condition = 0.0,
) -> Reply:
    """Script one answer: a body, pieces of one (each its own HTTP chunk), or JSON.

    A callable among the pieces holds the rest back until it returns True, so that no clock decides what comes first.
    ``pause`` is in seconds between pieces, ``delay`` before the status line, where a callable may stand, too.
    ``ending`` says what follows the last piece: the proper "end" of the body, a "cut" (the connection closes before
    it), a "reset", or a "hang" until the client leaves.
    """
    kind = "application/json"
    if json is not None:
        body = msgspec.json.encode(json)
    elif not isinstance(body, (bytes, str)):
        kind = "text/event-stream"
    pieces: list[Piece] = [body.encode()] if isinstance(body, str) else [body] if isinstance(body, bytes) else [*body]
    return Reply(pieces, status, {"content-type": kind, **(headers or {})}, pause, ending, delay)


def sse(*events: Any, done: bool = True) -> list[bytes]:
    """Make the pieces of an event stream: values become JSON data lines, bytes go as they are; ``[DONE]`` ends it."""
    pieces = [
        event if isinstance(event, bytes) else b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events
    ]
    return [*pieces, b"data: [DONE]\n\n"] if done else pieces


class Server:
    """What a test sees of a running server."""

    def __init__(self, script: list[Script]) -> None:
        self.url = ""
        self.requests: list[Received] = []
        self.connections = 0
        """Connections that were ever opened."""
        self.open = 0
        """Connections that are open now."""
        self.left_early = 0
        """Replies that the client did not wait for."""
        self.failures: list[Exception] = []
        """What callables in the script raised; the client sees a connection that breaks."""
        self._script = script

    def next_reply(self, request: Received) -> Reply:
        """Take the next answer; the last one is given for ever."""
        scripted = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        try:
            return scripted(request) if callable(scripted) else scripted
        except Exception as error:
            self.failures.append(error)
            raise

    async def handle(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self.open += 1
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                if not await self._answer(self.next_reply(request), reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, scripted: Reply, reader: _Reader, writer: asyncio.StreamWriter) -> bool:
        """Send one reply; returns whether the connection goes on."""
        gone = reader.has_ended
        if scripted.delay and not await self._wait(scripted.delay, gone):
            self.left_early += 1
            return False
        head = "".join(f"{name}: {value}\r\n" for name, value in scripted.headers.items())
        writer.write(f"HTTP/1.1 {scripted.status} X\r\n{head}transfer-encoding: chunked\r\n\r\n".encode())
        try:
            for piece in scripted.pieces:
                if callable(piece):
                    await self._wait(piece, gone)
                else:
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b"")
                    await writer.drain()
                    if scripted.pause:
                        await asyncio.wait([gone], timeout=scripted.pause)
                if gone.done():
                    self.left_early += 1
                    return False
            if scripted.ending == "hang":
                await gone
                self.left_early += 1
            elif scripted.ending == "reset":
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif scripted.ending == "end":
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except ConnectionError:
            self.left_early += 1
        return scripted.ending == "end"

    async def _wait(self, delay: float | Condition, client_left: asyncio.Future[None]) -> bool:
        """Wait for seconds, or for what must hold; returns whether the client is still there."""
        if not callable(delay):
            await asyncio.wait([client_left], timeout=delay)
        else:
            while not delay() and not client_left.done():
                await asyncio.wait([client_left], timeout=POLL * (1 + self.open / MANY))
        return not client_left.done()


@contextmanager
def serve(*script: Script) -> Generator[Server, None, None]:
    """Run a server that gives these answers in turn, the last one for ever, whatever is asked."""
    server = Server(list(script))
    loop = asyncio.SelectorEventLoop()  # whose readers can be removed, on every system
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    starting = loop.create_server(lambda: _protocol(server), "127.0.0.1", 0, backlog=BACKLOG)
    listening = asyncio.run_coroutine_threadsafe(starting, loop).result()
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_shut_down(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Reader(asyncio.StreamReader):
    """Tells when the client has closed, without taking bytes of its next request."""

    def __init__(self) -> None:
        super().__init__()
        self.has_ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def feed_eof(self) -> None:
        super().feed_eof()
        self._end()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self._end()

    def _end(self) -> None:
        if not self.has_ended.done():
            self.has_ended.set_result(None)


def _protocol(server: Server) -> asyncio.StreamReaderProtocol:
    reader = _Reader()
    return asyncio.StreamReaderProtocol(reader, lambda _, writer: server.handle(reader, writer))


async def _shut_down(server: asyncio.Server) -> None:
    """Accept no more, then end what was accepted: a connection whose `handle` has not begun would leak its socket."""
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(TURNS):
        await asyncio.sleep(0)
    server.close()
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Received | None:
    """Read one request, or None where the client has closed."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    line, *rest = head[:-4].split("\r\n")
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    headers = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in rest)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, body)
