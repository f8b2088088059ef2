"""Work that many callers wait for: done once, and not cancelled because one of them leaves.

What an SDK does to find or refresh credentials (imports, files, metadata services) blocks, and a hundred calls that
start together need it once. ::

    tokens = SingleFlight(load_token)  # a function: in a worker thread, once for all event loops and threads
    token = await tokens.result()

``TaskFlight`` does the same with a coroutine function, which belongs to an event loop: once for each loop. A caller
that is cancelled leaves; the work goes on for the others. Safe across event loops, threads and fork.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tako.errors import TakoError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

T = TypeVar("T")


class Flight(Generic[T]):
    """Whoever asks while the work runs gets the result of that run. Use one of the two kinds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[T]] = {}

    def begin(self) -> Future[T]:
        """Start the work unless it runs already, and do not wait for it."""
        where = self._where()
        with self._lock:
            running = self._running.get(where)
            if running is not None:
                return running
            future = self._running[where] = Future[T]()
        future.set_running_or_notify_cancel()
        self._start(where, future)
        return future

    async def result(self) -> T:
        """Start the work or join it, and wait; raises what the work raises.

        Each caller gets a TakoError of its own, for tracebacks grow as they are raised.
        """
        try:
            return await _wait(self.begin())
        except TakoError as error:
            failure, cause = copy(error), error.__cause__
        raise failure from cause

    def _where(self) -> Hashable:
        """Return what the runs are told apart by."""
        raise AssertionError

    def _start(self, where: Hashable, future: Future[T]) -> None:
        """Let the work run, and then ``_land`` it."""
        raise AssertionError

    def _land(self, where: Hashable) -> None:
        """Be over before anyone hears of it: whoever asks because of this result wants another run."""
        with self._lock:
            self._running.pop(where, None)


class SingleFlight(Flight[T]):
    """One function without arguments, which may block: it runs in a daemon thread of that name."""

    def __init__(self, work: Callable[[], T], name: str = "tako-worker") -> None:
        super().__init__()
        self._work = work
        self._name = name

    def _where(self) -> Hashable:
        return os.getpid()  # a fork leaves the thread behind

    def _start(self, where: Hashable, future: Future[T]) -> None:
        threading.Thread(target=self._run, args=(where, future), name=self._name, daemon=True).start()

    def _run(self, where: Hashable, future: Future[T]) -> None:
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - it is the waiters' to see
            self._land(where)
            future.set_exception(error)
        else:
            self._land(where)
            future.set_result(result)


class TaskFlight(Flight[T]):
    """One coroutine function without arguments: it runs in a task of the event loop that asks."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        super().__init__()
        self._work = work
        self._tasks: set[asyncio.Task[None]] = set()  # a loop alone does not keep its tasks

    def _where(self) -> Hashable:
        loop = _asyncio_loop()
        where: Hashable = sys.modules["trio"].lowlevel.current_trio_token() if loop is None else loop
        return where

    def _start(self, where: Hashable, future: Future[T]) -> None:
        loop = _asyncio_loop()
        if loop is None:
            sys.modules["trio"].lowlevel.spawn_system_task(self._run, where, future)
            return
        task = loop.create_task(self._run(where, future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, where: Hashable, future: Future[T]) -> None:
        try:
            result = await self._work()
        except BaseException as error:
            self._land(where)
            future.set_exception(error)
            if not isinstance(error, Exception):
                raise  # the loop is over
        else:
            self._land(where)
            future.set_result(result)


def _asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs here; None stands for trio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _wait(future: Future[T]) -> T:
    """Wait for a result on whichever event loop runs."""
    if _asyncio_loop() is not None:
        return await asyncio.wrap_future(future)
    trio = sys.modules["trio"]
    event, token = trio.Event(), trio.lowlevel.current_trio_token()

    def wake(_: Future[T]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    future.add_done_callback(wake)
    await event.wait()
    return future.result()
