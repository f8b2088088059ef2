"""The synchronous face: one background event loop for the whole process, started when it is first needed."""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Iterator
    from types import TracebackType

    from tako.provider import Provider
    from tako.stream import ChatStream
    from tako.types import ChatRequest, ChatResponse, Chunk, Message

T = TypeVar("T")

AHEAD = 256
"""How many chunks the loop thread may be ahead of the caller."""


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="tako", daemon=True)
        self.thread.start()
        atexit.register(self.stop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it; leaving early (Ctrl-C) cancels it."""
        if threading.current_thread() is self.thread:
            work.close()
            raise RuntimeError("the blocking face was called on its own loop thread; await the provider there")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Close what still lives on the loop, then end the thread."""
        if self.pid != os.getpid() or self.loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._finish(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    async def _finish(self) -> None:
        """Cancel what runs before closing generators: one that is running cannot be closed."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.loop.shutdown_asyncgens()


_lock = threading.Lock()
_thread: LoopThread | None = None


def loop_thread() -> LoopThread:
    """Return the process's loop thread; a forked child gets its own."""
    global _thread  # noqa: PLW0603 - one per process, made on first use
    with _lock:
        if _thread is None or _thread.pid != os.getpid():
            _thread = LoopThread()
        return _thread


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the parent may have held it
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


class Blocking:
    """A provider without ``await``; its methods may be called inside a running loop (a notebook) and in any thread."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def chat(self, request: ChatRequest | str | list[Message]) -> ChatResponse:
        """Answer one request. Raises a TakoError."""
        return loop_thread().run(self._provider.chat(request))

    def stream(self, request: ChatRequest | str | list[Message]) -> BlockingStream:
        """Answer one request piece by piece: iterate, within ``with`` if you may leave early."""
        return BlockingStream(self._provider.stream(request))

    def close(self) -> None:
        """Close the connections of the provider."""
        loop_thread().run(self._provider.aclose())

    def __repr__(self) -> str:
        return f"{self._provider!r}.blocking"


class BlockingStream:
    """The chunks of one reply: an iterator and a context manager."""

    def __init__(self, stream: ChatStream) -> None:
        self._stream = stream
        self._chunks = self._drain()

    def __iter__(self) -> Iterator[Chunk]:
        return self._chunks

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the stream; its connection is closed unless the reply is complete."""
        self._chunks.close()
        loop_thread().run(self._stream.aclose())

    @property
    def text(self) -> Iterator[str]:
        """The pieces of text alone."""
        return (chunk.text for chunk in self._chunks if chunk.kind == "delta" and chunk.text)

    @property
    def partial(self) -> ChatResponse:
        """What has come so far, put together."""
        return self._stream.partial

    def response(self) -> ChatResponse:
        """Return the whole reply; what has not been read yet is read first."""
        for _ in self._chunks:
            pass
        return loop_thread().run(self._stream.response())

    def _drain(self) -> Generator[Chunk, None, None]:
        """Take chunks from a task on the loop thread, which may be a bounded number of them ahead."""
        thread = loop_thread()
        pump = _Pump(self._stream, thread.loop)
        thread.run(pump.start())
        try:
            while (item := pump.take()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            if not thread.loop.is_closed():  # the program is ending, and the loop has stopped the task itself
                thread.run(pump.stop())


class _Pump:
    """Moves chunks from the loop to the calling thread."""

    def __init__(self, stream: ChatStream, loop: asyncio.AbstractEventLoop) -> None:
        self.stream = stream
        self.loop = loop
        self.items: queue.SimpleQueue[Chunk | BaseException | None] = queue.SimpleQueue()
        self.room = asyncio.Event()
        self.waiting = False

    async def start(self) -> None:
        self.task = asyncio.ensure_future(self.run())

    async def run(self) -> None:
        try:
            async for chunk in self.stream:
                self.items.put(chunk)
                if self.items.qsize() >= AHEAD:
                    await self.wait()
            self.items.put(None)
        except Exception as error:  # noqa: BLE001 - it is raised again in the calling thread
            self.items.put(error)

    async def wait(self) -> None:
        self.room.clear()
        self.waiting = True  # before the second look, so that the caller cannot drain the queue unseen
        if self.items.qsize() >= AHEAD:
            await self.room.wait()
        self.waiting = False

    def take(self) -> Chunk | BaseException | None:
        item = self.items.get()
        if self.waiting and self.items.qsize() < AHEAD // 2:
            self.loop.call_soon_threadsafe(self.room.set)
        return item

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.stream.aclose()
