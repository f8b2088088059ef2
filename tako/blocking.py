"""The synchronous face: one background event loop for the whole process, started when it is first needed."""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator
    from types import TracebackType

    from tako.provider import Provider
    from tako.stream import ChatStream
    from tako.types import ChatRequest, ChatResponse, Chunk, Message

T = TypeVar("T")

AHEAD = 256
"""How many chunks the loop thread may be ahead of the caller."""
LONGEST_PARKING = 1.0
"""Seconds that a fork waits for the loop thread to be between two callbacks."""
ITSELF = "the blocking face was called on its own loop thread; await the provider there"
LOST = "this stream was begun by the process that this one was forked from, and stays there"


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self.lost = False  # in a forked child: the thread stayed with the parent
        self.loop = asyncio.new_event_loop()
        self._leaving: set[asyncio.Task[None]] = set()
        self.thread = threading.Thread(target=self.loop.run_forever, name="tako", daemon=True)
        self.thread.start()
        atexit.register(self.stop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it; leaving early (Ctrl-C) cancels it."""
        if self.lost or threading.current_thread() is self.thread:
            work.close()
            raise RuntimeError(LOST if self.lost else ITSELF)
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def leave(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that tidies up, wherever Python may finalise a stream: at exit, after a fork, on the loop."""
        if self.lost or self.loop.is_closed():
            work.close()
        elif threading.current_thread() is self.thread:
            task = self.loop.create_task(work)
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        else:
            self.run(work)

    def park(self) -> Callable[[], object] | None:
        """Hold the thread between two callbacks, where it has no lock that a fork would copy; returns what frees it."""
        if self.loop.is_closed() or threading.current_thread() is self.thread:
            return None
        parked, free = threading.Event(), threading.Event()

        def wait() -> None:
            parked.set()
            free.wait()

        self.loop.call_soon_threadsafe(wait)
        parked.wait(LONGEST_PARKING)
        return free.set

    def stop(self) -> None:
        """Close what still lives on the loop, then end the thread."""
        if self.lost or self.loop.is_closed():
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._finish(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        if not self.thread.is_alive():
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
_free: Callable[[], object] | None = None


def loop_thread() -> LoopThread:
    """Return the process's loop thread; a forked child gets its own."""
    global _thread  # noqa: PLW0603 - one per process, made on first use
    with _lock:
        if _thread is None or _thread.lost:
            _thread = LoopThread()
        return _thread


def _before_fork() -> None:
    global _free  # noqa: PLW0603 - one fork at a time: the interpreter holds its lock
    _free = _thread.park() if _thread is not None else None


def _in_parent() -> None:
    if _free is not None:
        _free()


def _in_child() -> None:
    global _lock  # noqa: PLW0603 - the parent may have held it
    _lock = threading.Lock()
    if _thread is not None:
        _thread.lost = True


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)


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
        self._thread = loop_thread()
        self._chunks = _drain(stream, self._thread)

    def __iter__(self) -> Iterator[Chunk]:
        return self._chunks

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a stream is bound to its connection."""
        raise TypeError("a stream cannot be pickled or copied; its response can: `stream.response()`")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the stream; its connection is closed unless the reply is complete."""
        self._chunks.close()
        self._thread.leave(self._stream.aclose())

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
        return self._thread.run(self._stream.response())


def _drain(stream: ChatStream, thread: LoopThread) -> Generator[Chunk, None, None]:
    """Take chunks from a task on the loop thread, which may be a bounded number of them ahead.

    No method, so that a stream which nobody holds any more is freed, and closed, at once.
    """
    pump = _Pump(stream, thread)
    thread.run(pump.start())
    try:
        while (item := pump.take()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        thread.leave(pump.stop())


class _Pump:
    """Moves chunks from the loop to the calling thread."""

    def __init__(self, stream: ChatStream, thread: LoopThread) -> None:
        self.stream = stream
        self.thread = thread
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
        except asyncio.CancelledError:
            self.items.put(None)  # whoever still waits must not wait for ever
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again in the calling thread
            self.items.put(error)

    async def wait(self) -> None:
        self.room.clear()
        self.waiting = True  # before the second look, so that the caller cannot drain the queue unseen
        if self.items.qsize() >= AHEAD:
            await self.room.wait()
        self.waiting = False

    def take(self) -> Chunk | BaseException | None:
        if self.thread.lost:
            raise RuntimeError(LOST)
        item = self.items.get()
        if self.waiting and self.items.qsize() < AHEAD // 2:
            self.thread.loop.call_soon_threadsafe(self.room.set)
        return item

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.stream.aclose()
