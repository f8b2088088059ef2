"""The synchronous face: one background event loop for the whole process, started when it is first needed."""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import threading
from concurrent.futures import CancelledError as ConcurrentCancelledError
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from functools import partial
from inspect import GEN_CREATED, getgeneratorstate
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack, overload

from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
    from types import TracebackType

    from tako.files import FilePath
    from tako.keywords import Prompt, RequestOptions
    from tako.listing import ModelInfo, TokenCount
    from tako.parts import FileIdPart
    from tako.provider import Provider
    from tako.runs import Approve, RunResult
    from tako.stream import ChatStream
    from tako.typed_blocking import BlockingTypedStream
    from tako.types import ChatResponse, Chunk

T = TypeVar("T")

AHEAD = 256
"""How many chunks the loop thread may be ahead of the caller."""
LONGEST_PARKING = 1.0
"""Seconds that a fork waits for the loop thread to be between two callbacks."""
LONGEST_ENDING = 5.0
"""Seconds that the end of a stream, or of the program, waits for what refuses to be cancelled."""
ITSELF = "the blocking face was called on its own loop thread; await the provider there"
LOST = "this stream was begun by the process that this one was forked from, and stays there"
ENDED = "the event loop of the blocking face has ended: it broke (a new call starts another one), or the program ends"


class LoopThread:
    """An event loop in a daemon thread. It outlives whatever is raised in it."""

    def __init__(self) -> None:
        self.lost = False  # in a forked child: the thread stayed with the parent
        self.loop = asyncio.new_event_loop()
        self._ending = False
        self._stopping = False
        self._leaving: set[asyncio.Task[None]] = set()
        self._waiting: set[Callable[[BaseException], object]] = set()
        self.thread = threading.Thread(target=self._run_loop, name="tako", daemon=True)
        try:
            self.thread.start()
        except RuntimeError as error:  # too late for threads
            self.loop.close()
            raise RuntimeError(ENDED) from error
        atexit.register(self.stop)

    @property
    def ended(self) -> bool:
        """Whether nothing runs here any more."""
        return self.lost or self._stopping or not self.thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it; leaving early (Ctrl-C) cancels it."""
        if self.ended or threading.current_thread() is self.thread:
            work.close()
            raise RuntimeError(LOST if self.lost else ENDED if self.ended else ITSELF)
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        with self.telling(partial(_fail, future)):
            try:
                return future.result()
            except ConcurrentCancelledError:  # what ran has cancelled itself, or the program ends
                raise self.told(asyncio.CancelledError()) from None
            finally:
                future.cancel()
                del future  # it refers to what it raises, whose traceback refers to this frame

    def told(self, error: BaseException) -> BaseException:
        """Return what is raised in a thread that waits: as the program ends, what ends a thread without a word."""
        return SystemExit(ENDED) if self._ending and isinstance(error, asyncio.CancelledError) else error

    @contextmanager
    def telling(self, tell: Callable[[BaseException], object]) -> Generator[None]:
        """Call a function should the loop break; somebody waits for it."""
        self._waiting.add(tell)
        try:
            if self._stopping:  # it has broken in this moment
                tell(RuntimeError(ENDED))
            yield
        finally:
            self._waiting.discard(tell)

    def leave(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that tidies up, wherever Python may finalise a stream: at exit, after a fork, on the loop."""
        if self.ended or self._ending:  # the loop tidies up by itself as it ends
            work.close()
        elif threading.current_thread() is self.thread:
            task = self.loop.create_task(work)
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        else:
            self.run(work)

    def park(self) -> Callable[[], object] | None:
        """Hold the thread between two callbacks, where it has no lock that a fork would copy; returns what frees it."""
        if self.ended or threading.current_thread() is self.thread:
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
        if self.ended:
            return
        self._ending = True
        with suppress(TimeoutError, ConcurrentCancelledError):
            asyncio.run_coroutine_threadsafe(self._finish(), self.loop).result(LONGEST_ENDING)
        self._stopping = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(LONGEST_PARKING)
        if not self.thread.is_alive():
            self.loop.close()

    def _run_loop(self) -> None:
        """Run the loop until ``stop``. asyncio lets two exceptions out of it, which their tasks keep for who waits."""
        while not self._stopping:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                continue
            except BaseException as error:  # noqa: BLE001 - the loop itself broke, as by a file closed under it
                self._stopping = True
                failure = RuntimeError(ENDED)
                failure.__cause__ = error
                for tell in tuple(self._waiting):  # the loop isn't closed: its files may be another's by now
                    tell(failure)

    async def _finish(self) -> None:
        """Cancel what runs before closing generators: one that is running cannot be closed."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.loop.shutdown_asyncgens()


def _fail(future: Future[Any], error: BaseException) -> None:
    """Tell whoever waits for a result that it won't come."""
    with suppress(InvalidStateError):
        future.set_exception(error)


_lock = threading.Lock()
_thread: LoopThread | None = None
_forking = threading.local()
"""What frees the loop thread after a fork, in each thread that forks."""


def loop_thread() -> LoopThread:
    """Return the process's loop thread; a forked child gets its own, and so does a process whose loop broke."""
    global _thread  # noqa: PLW0603 - one per process, made on first use
    with _lock:
        if _thread is None or _thread.ended:
            _thread = LoopThread()
        return _thread


def _before_fork() -> None:
    _forking.free = _thread.park() if _thread is not None else None


def _in_parent() -> None:
    if _forking.free is not None:
        _forking.free()


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

    @overload
    def chat(self, request: Prompt, **options: Unpack[RequestOptions]) -> ChatResponse: ...
    @overload
    def chat(
        self, request: Prompt, *, response_type: type[T], repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[T]: ...
    @overload
    def chat(
        self, request: Prompt, *, response_type: Any, repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[Any]: ...
    def chat(
        self, request: Prompt, *, response_type: Any = None, repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[Any]:
        """Answer one request, as ``Provider.chat`` does. Raises a TakoError."""
        PLUGINS.load()  # here rather than on the loop: they may call what blocks while they're imported
        return loop_thread().run(self._provider.chat(request, response_type=response_type, repairs=repairs, **options))

    @overload
    def stream(self, request: Prompt, **options: Unpack[RequestOptions]) -> BlockingStream: ...
    @overload
    def stream(
        self, request: Prompt, *, response_type: type[T], **options: Unpack[RequestOptions]
    ) -> BlockingTypedStream[T]: ...
    @overload
    def stream(
        self, request: Prompt, *, response_type: Any, **options: Unpack[RequestOptions]
    ) -> BlockingTypedStream[Any]: ...
    def stream(
        self, request: Prompt, *, response_type: Any = None, **options: Unpack[RequestOptions]
    ) -> BlockingStream:
        """Answer one request piece by piece: iterate, within ``with`` if you may leave early."""
        if response_type is None:
            return BlockingStream(self._provider.stream(request, **options))
        from tako.typed_blocking import BlockingTypedStream

        return BlockingTypedStream(self._provider.stream(request, response_type=response_type, **options))

    def run(
        self,
        request: Prompt,
        *,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> RunResult:
        """Answer one request with the help of its ``tools``, as ``Provider.run`` does."""
        PLUGINS.load()
        run = self._provider.run(request, max_rounds=max_rounds, max_cost=max_cost, approve=approve, **options)
        return loop_thread().run(awaited(run))

    def list_models(self) -> list[ModelInfo]:
        """List the models that there are, as ``Provider.list_models`` does."""
        PLUGINS.load()
        return loop_thread().run(self._provider.list_models())

    def count_tokens(self, request: Prompt, **options: Unpack[RequestOptions]) -> TokenCount:
        """Ask how many tokens a request has, as ``Provider.count_tokens`` does."""
        PLUGINS.load()
        return loop_thread().run(self._provider.count_tokens(request, **options))

    def upload(self, path: FilePath, *, mime: str | None = None, name: str | None = None) -> FileIdPart:
        """Give a file to the vendor, as ``Provider.upload`` does."""
        return loop_thread().run(self._provider.upload(path, mime=mime, name=name))

    def delete(self, file: FileIdPart) -> None:
        """Delete a file that was uploaded, as ``Provider.delete`` does."""
        loop_thread().run(self._provider.delete(file))

    def close(self) -> None:
        """Close the connections of the provider."""
        loop_thread().run(self._provider.aclose())

    def __repr__(self) -> str:
        return f"{self._provider!r}.blocking"


async def awaited(one: Awaitable[T]) -> T:
    """Wait for what isn't a coroutine."""
    return await one


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
        begun = getgeneratorstate(self._chunks) != GEN_CREATED
        self._chunks.close()
        if not begun:
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
    with thread.telling(pump.items.put):
        thread.run(pump.start())
        try:
            while (item := pump.take()) is not None:
                if isinstance(item, BaseException):
                    raise thread.told(item)
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
        except BaseException as error:
            self.items.put(error)  # it's raised again in the calling thread
            if isinstance(error, asyncio.CancelledError):
                raise

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
        done, _ = await asyncio.wait([self.task], timeout=LONGEST_ENDING)
        if done:
            await self.stream.aclose()
