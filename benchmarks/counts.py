"""Count the function calls of a call and of a chunk. They're the same on every machine, even a busy one.

    uv run --group dev python benchmarks/counts.py                # the table
    uv run --group dev python benchmarks/counts.py chat           # the functions of one of its rows
    uv run --group dev python benchmarks/counts.py --check        # fails if a row is over its limit

``tako`` counts calls of tako's functions, and each time that a generator continues. ``all`` counts all functions, also
those of asyncio and those in C. The server sends a stream at once or, if paced, chunk by chunk, which wakes the loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec

import tako
from tako.testing.dialects import COMPLETIONS, CONVERSE, GEMINI, MESSAGES, OLLAMA, RESPONSES
from tako.testing.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from tako.testing.dialects import Dialect

CHUNKS = 50
"""Chunks of a stream, approximately."""
PAUSE = 0.003
"""Seconds between the chunks of a paced stream."""
REQUEST = tako.ChatRequest([tako.Message.system("Be terse."), tako.Message.user("Write about octopuses.")])


class Count(NamedTuple):
    """The calls of one operation."""

    tako: float
    all: float
    by_function: Counter[str]


class CallCounter:
    """Counts the function calls of the thread that enters it."""

    def __init__(self) -> None:
        self.functions: Counter[str] = Counter()
        self.native = 0

    def __enter__(self) -> Self:
        sys.setprofile(self.count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def per(self, times: float) -> Count:
        """Return the calls of one operation, after so many of them."""
        tako_calls = sum(number for name, number in self.functions.items() if name.startswith("tako"))
        all_calls = sum(self.functions.values()) + self.native
        calls_by_function = Counter({name: round(number / times, 2) for name, number in self.functions.items()})
        return Count(tako_calls / times, all_calls / times, calls_by_function)  # type: ignore[arg-type]

    def clear(self) -> None:
        """Start again from zero."""
        self.functions.clear()
        self.native = 0

    def count(self, frame: FrameType, event: str, _: Any) -> None:
        """Count one call; Python calls this."""
        if event == "call":
            self.functions[f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"] += 1
        elif event == "c_call":
            self.native += 1


class Wire(NamedTuple):
    """A vendor's wire: its dialect, its content type, and a function that makes its provider for an address."""

    dialect: Dialect
    kind: bytes
    provider: Callable[[str], Any]


WIRES = {
    "completions": Wire(
        COMPLETIONS, b"text/event-stream", lambda url: tako.providers.OpenAI("m", api_key="k", base_url=url)
    ),
    "messages": Wire(
        MESSAGES, b"text/event-stream", lambda url: tako.providers.Anthropic("m", api_key="k", base_url=url)
    ),
    "responses": Wire(
        RESPONSES,
        b"text/event-stream",
        lambda url: tako.providers.OpenAI("m", api_key="k", base_url=url, api="responses"),
    ),
    "gemini": Wire(
        GEMINI,
        b"text/event-stream",
        lambda url: tako.providers.Vertex("m", project_id="p", access_token="t", endpoint_url=url),  # noqa: S106
    ),
    "converse": Wire(
        CONVERSE,
        b"application/vnd.amazon.eventstream",
        lambda url: tako.providers.Bedrock("m", region="us-east-1", endpoint_url=url),
    ),
    "ollama": Wire(OLLAMA, b"application/x-ndjson", lambda url: tako.providers.Ollama("m", base_url=url)),
}
SCRIPT = Script(text="word " * CHUNKS, split=5)


class Server:
    """Answers with a complete reply or, if the request says so, with a stream: at once, or chunk by chunk."""

    def __init__(self, wire: Wire) -> None:
        self.paced = False
        complete_reply = msgspec.json.encode(wire.dialect.whole(SCRIPT))
        self._complete_reply = _head(b"application/json", b"content-length: %d" % len(complete_reply)) + complete_reply
        self._start = _head(wire.kind, b"transfer-encoding: chunked")
        self._chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in wire.dialect.events(SCRIPT)]

    def serve(self, connection: socket.socket) -> None:
        """Answer one client until it leaves."""
        with suppress(OSError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            received = b""
            while piece := connection.recv(65536):
                received += piece
                head, blank, body = received.partition(b"\r\n\r\n")
                if blank and len(body) == int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
                    received = b""
                    self._answer(
                        connection, streamed=b'"stream":true' in body or b"stream" in head.partition(b"\r\n")[0].lower()
                    )

    def _answer(self, connection: socket.socket, *, streamed: bool) -> None:
        if not streamed:
            connection.sendall(self._complete_reply)
        elif not self.paced:
            connection.sendall(self._start + b"".join(self._chunks) + b"0\r\n\r\n")
        else:
            for piece in (self._start, *self._chunks, b"0\r\n\r\n"):
                time.sleep(PAUSE)
                connection.sendall(piece)


def _head(kind: bytes, framing: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nx-request-id: r-1\r\n%b\r\n\r\n" % (kind, framing)


@contextmanager
def serving(wire: Wire) -> Iterator[tuple[Server, str]]:
    """Run a server in threads, whose calls aren't counted; yield it and its address."""
    server = Server(wire)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=server.serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server, f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def count_chat(name: str, times: int = 10) -> Count:
    """Count a chat on a warm connection."""

    async def main(url: str) -> Count:
        async with WIRES[name].provider(url) as provider:
            for _ in range(3):
                await provider.chat(REQUEST)
            with CallCounter() as counter:
                for _ in range(times):
                    await provider.chat(REQUEST)
            return counter.per(times)

    with serving(WIRES[name]) as (_, url):
        return asyncio.run(main(url))


def count_stream(name: str, *, paced: bool = False) -> Count:
    """Count a stream, per chunk. A ``paced`` one wakes the event loop for each chunk."""

    async def main(url: str) -> Count:
        async with WIRES[name].provider(url) as provider:
            for server.paced in (False, paced):  # the first one imports modules, and isn't counted
                await provider.stream(REQUEST).response()
            with CallCounter() as counter:
                async for _ in provider.stream(REQUEST):
                    pass
            return counter.per(CHUNKS)

    with serving(WIRES[name]) as (server, url):
        return asyncio.run(main(url))


def count_blocking(times: int = 10) -> Count:
    """Count a blocking chat, in both threads."""
    counter = CallCounter()
    with serving(WIRES["completions"]) as (_, url):
        threading.setprofile(counter.count)
        provider = WIRES["completions"].provider(url)
        for _ in range(3):
            provider.blocking.chat(REQUEST)
        threading.setprofile(None)  # the server's threads are running already
        counter.clear()
        with counter:
            for _ in range(times):
                provider.blocking.chat(REQUEST)
        counted = counter.per(times)
        provider.blocking.close()
    return counted


PACED = "chunk, completions, paced"
MAX_TIMERS = 0.5
"""Timers per chunk that wakes the loop: one for each would be most of the cost of such a chunk."""
OPERATIONS: dict[str, Callable[[], Count]] = {
    "chat": lambda: count_chat("completions"),
    "blocking chat": count_blocking,
    **{f"chunk, {name}": partial(count_stream, name) for name in WIRES},
    PACED: lambda: count_stream("completions", paced=True),
    **{f"chat, {name}": partial(count_chat, name) for name in WIRES if name != "completions"},
}


LIMITS = {
    "chat": 225,
    "blocking chat": 245,
    "chunk, completions": 14,
    "chunk, messages": 13.75,
    "chunk, responses": 17,
    "chunk, gemini": 13.5,
    "chunk, converse": 14.5,
    "chunk, ollama": 11.5,
    PACED: 36.5,
}
"""The most calls of tako's functions. If you need more, raise the limit, and give the reason in the commit."""


def check() -> list[str]:
    """Return a line for each row that is over its limit."""
    counts = {name: OPERATIONS[name]() for name in LIMITS}
    over = [
        f"{name}: {counts[name].tako:.1f} calls, at most {limit}"
        for name, limit in LIMITS.items()
        if counts[name].tako > limit
    ]
    timers = sum(number for name, number in counts[PACED].by_function.items() if name.endswith(".call_at"))
    return over + ([f"{PACED}: {timers:.1f} timers are set"] if timers > MAX_TIMERS else [])


def main() -> None:
    """Print the table, or the functions of one row."""
    os.environ.setdefault("AWS_BEARER_TOKEN_BEDROCK", "k")
    operation_name = " ".join(sys.argv[1:])
    if operation_name == "--check":
        sys.exit("\n".join(check()) or None)
    if operation_name:
        for function, number in OPERATIONS[operation_name]().by_function.most_common(60):
            print(f"{number:8.2f}  {function}")
    else:
        print("| | tako | all |\n|---|---|---|")
        for name, operation in OPERATIONS.items():
            count = operation()
            print(f"| {name} | {count.tako:.1f} | {count.all:.1f} |", flush=True)


if __name__ == "__main__":
    main()
