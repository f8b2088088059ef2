"""The blocking methods of a provider. Chats run in the calling thread if they can, all else on one background loop."""

from __future__ import annotations

import asyncio
import queue
from inspect import GEN_CREATED, getgeneratorstate
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, Self, TypeVar, Unpack, overload

from tako.direct_calls import asyncio_loop, run_directly
from tako.form_hints import wrong_form
from tako.hooks import PLUGINS
from tako.loop_thread import LOST, MAX_STOP_SECONDS, LoopThread, loop_thread
from tako.runs import RunEvent
from tako.types import Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator, Iterator
    from types import TracebackType

    from tako.capabilities import Capabilities
    from tako.files import FilePath
    from tako.keywords import Prompt, RequestOptions
    from tako.listing import ModelInfo, TokenCount
    from tako.parts import FileIdPart
    from tako.provider import Provider
    from tako.run_loop import Approve
    from tako.runs import Run, RunResult
    from tako.stream import ChatStream
    from tako.typed_blocking import BlockingTypedStream
    from tako.types import ChatResponse

T = TypeVar("T")
Item = TypeVar("Item")
T_co = TypeVar("T_co", covariant=True)

MAX_AHEAD = 256
"""How many chunks the loop thread may be ahead of the caller."""


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
        run = run_directly if self._runs_directly() else loop_thread().run
        return run(self._provider.chat(request, response_type=response_type, repairs=repairs, **options))

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

    @overload
    def run(
        self,
        request: Prompt,
        *,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> RunResult: ...
    @overload
    def run(
        self,
        request: Prompt,
        *,
        response_type: type[T],
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> RunResult[T]: ...
    @overload
    def run(
        self,
        request: Prompt,
        *,
        response_type: Any,
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> RunResult[Any]: ...
    def run(self, request: Prompt, **options: Any) -> RunResult[Any]:
        """Answer one request with the help of its ``tools``, as ``Provider.run`` does."""
        PLUGINS.load()
        return loop_thread().run(wait_for(self._provider.run(request, **options)))

    @overload
    def run_stream(
        self,
        request: Prompt,
        *,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> BlockingRun[Any]: ...
    @overload
    def run_stream(
        self,
        request: Prompt,
        *,
        response_type: type[T],
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> BlockingRun[T]: ...
    @overload
    def run_stream(
        self,
        request: Prompt,
        *,
        response_type: Any,
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> BlockingRun[Any]: ...
    def run_stream(self, request: Prompt, **options: Any) -> BlockingRun[Any]:
        """Answer one request as ``run`` does, and iterate over the events, within ``with`` if you may leave early."""
        return BlockingRun(self._provider.run(request, **options))

    def discover(self) -> Capabilities:
        """Ask the server what the model can do, as ``Provider.discover`` does."""
        PLUGINS.load()
        return loop_thread().run(self._provider.discover())

    def list_models(self) -> list[ModelInfo]:
        """List the models, as ``Provider.list_models`` does."""
        PLUGINS.load()
        return loop_thread().run(self._provider.list_models())

    def count_tokens(self, request: Prompt, **options: Unpack[RequestOptions]) -> TokenCount:
        """Ask how many tokens a request has, as ``Provider.count_tokens`` does."""
        PLUGINS.load()
        return loop_thread().run(self._provider.count_tokens(request, **options))

    def upload(self, path: FilePath, *, mime: str | None = None, name: str | None = None) -> FileIdPart:
        """Upload a file to the vendor, as ``Provider.upload`` does."""
        return loop_thread().run(self._provider.upload(path, mime=mime, name=name))

    def delete(self, file: FileIdPart) -> None:
        """Delete a file that was uploaded, as ``Provider.delete`` does."""
        loop_thread().run(self._provider.delete(file))

    def close(self) -> None:
        """Close the connections of the provider."""
        loop_thread().run(self._provider.aclose())

    def _runs_directly(self) -> bool:
        """Whether a chat begins in this thread. Plugins' hooks may use asyncio, so they're called on the loop."""
        provider = self._provider
        if provider.needs_event_loop or asyncio_loop() is not None:
            return False
        if not provider.is_bound:
            loop_thread().run(_bind(provider))
        return provider.is_direct

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    if not TYPE_CHECKING:
        __aenter__ = __aexit__ = wrong_form("write `async with provider`, without `.blocking`, or `with` for this one")

    def __repr__(self) -> str:
        return f"{self._provider!r}.blocking"


async def _bind(provider: Provider) -> None:
    _ = provider.is_direct


async def wait_for(awaitable: Awaitable[T]) -> T:
    """Turn an awaitable into a coroutine."""
    return await awaitable


class Source(Protocol[T_co]):
    """An async iterator on the loop thread."""

    def __aiter__(self) -> AsyncIterator[T_co]: ...
    def aclose(self) -> Coroutine[Any, Any, None]:
        """Leave it."""
        ...


class LoopIterator(Generic[Item]):
    """An iterator and a context manager over the items of an async iterator on the loop thread."""

    def __init__(self, source: Source[Item]) -> None:
        self._source = source
        self._thread = loop_thread()
        self._items = _items_from_loop(source, self._thread)

    def __iter__(self) -> Iterator[Item]:
        return self._items

    def __next__(self) -> Item:
        return next(self._items)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a stream is bound to its connection."""
        raise TypeError("a stream can't be pickled or copied; its response can: `stream.response()`")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    if not TYPE_CHECKING:
        __aenter__ = __aexit__ = wrong_form("write `with` and `for` without `async`, or leave out `.blocking`")

    def close(self) -> None:
        """Stop iterating. The connection is closed unless the reply is complete."""
        has_started = getgeneratorstate(self._items) != GEN_CREATED
        self._items.close()
        if not has_started:
            self._thread.run_cleanup(self._source.aclose())


class BlockingRun(LoopIterator[RunEvent], Generic[T]):
    """The events of one run: an iterator and a context manager."""

    def __init__(self, run: Run[T]) -> None:
        super().__init__(run.stream())
        self._run = run

    def result(self) -> RunResult[T]:
        """Return the result of the run. Reads the events that you haven't read."""
        for _ in self._items:
            pass
        return self._thread.run(wait_for(self._run))


class BlockingStream(LoopIterator[Chunk]):
    """The chunks of one reply: an iterator and a context manager."""

    def __init__(self, stream: ChatStream) -> None:
        super().__init__(stream)
        self._stream = stream

    @property
    def text(self) -> Iterator[str]:
        """The pieces of text alone."""
        return (chunk.text for chunk in self._items if chunk.kind == "delta" and chunk.text)

    @property
    def partial(self) -> ChatResponse:
        """The reply so far."""
        return self._stream.partial

    def response(self) -> ChatResponse:
        """Return the whole reply. Reads the chunks that you haven't read."""
        for _ in self._items:
            pass
        return self._thread.run(self._stream.response())


def _items_from_loop(source: Source[Item], thread: LoopThread) -> Generator[Item, None, None]:
    """Take items from a task on the loop thread, which may be up to ``MAX_AHEAD`` items ahead.

    This isn't a method, so that an unreferenced stream is freed, and closed, at once.
    """
    pump = _Pump(source, thread)
    with thread.notifying(pump.items.put):
        thread.run(pump.start())
        try:
            while (item := pump.take()) is not None:
                if isinstance(item, BaseException):
                    raise thread.error_to_raise(item)
                yield item
        finally:
            thread.run_cleanup(pump.stop())


class _Pump(Generic[Item]):
    """Moves items from the loop to the calling thread."""

    def __init__(self, source: Source[Item], thread: LoopThread) -> None:
        self.source = source
        self.thread = thread
        self.items: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()
        self.has_room = asyncio.Event()
        self.is_waiting = False

    async def start(self) -> None:
        self.task = asyncio.ensure_future(self.run())

    async def run(self) -> None:
        try:
            async for item in self.source:
                self.items.put(item)
                if self.items.qsize() >= MAX_AHEAD:
                    await self.wait()
            self.items.put(None)
        except BaseException as error:
            self.items.put(error)  # it's raised again in the calling thread
            if isinstance(error, asyncio.CancelledError):
                raise

    async def wait(self) -> None:
        self.has_room.clear()
        self.is_waiting = True  # before the queue is checked again, so that the caller can't empty it unnoticed
        if self.items.qsize() >= MAX_AHEAD:
            await self.has_room.wait()
        self.is_waiting = False

    def take(self) -> Item | BaseException | None:
        if self.thread.lost:
            raise RuntimeError(LOST)
        item = self.items.get()
        if self.is_waiting and self.items.qsize() < MAX_AHEAD // 2:
            self.thread.loop.call_soon_threadsafe(self.has_room.set)
        return item

    async def stop(self) -> None:
        self.task.cancel()
        done, _ = await asyncio.wait([self.task], timeout=MAX_STOP_SECONDS)
        if done:
            await self.source.aclose()
