"""Work that many callers wait for: it runs once, and isn't cancelled when one of them leaves.

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

from tako.direct_calls import asyncio_loop, event_loop
from tako.errors import TakoError
from tako.kit.loops import loop_key

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

T = TypeVar("T")


class Flight(Generic[T]):
    """A caller that asks while the work runs gets the result of that run. Use one of the two subclasses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[T]] = {}

    def start(self) -> Future[T]:
        """Start the work unless it runs already, and don't wait for it."""
        key = self._key()
        with self._lock:
            pending = self._running.get(key)
            if pending is not None:
                return pending
            future = self._running[key] = Future[T]()
        future.set_running_or_notify_cancel()
        self._start(key, future)
        return future

    async def result(self) -> T:
        """Start the work or join it, and wait; raises what the work raises.

        Each caller gets a TakoError of its own, because tracebacks grow as they're raised.
        """
        await event_loop()
        try:
            return await _wait(self.start())
        except TakoError as error:
            failure, cause = copy(error), error.__cause__
        raise failure from cause

    def _key(self) -> Hashable:
        """Return the key of a run: callers with the same key share it."""
        raise AssertionError

    def _start(self, key: Hashable, future: Future[T]) -> None:
        """Let the work run, and then ``_finish`` it."""
        raise AssertionError

    def _finish(self, key: Hashable) -> None:
        """End the run before its result is set: a caller that asks again because of the result needs a new run."""
        with self._lock:
            self._running.pop(key, None)


class SingleFlight(Flight[T]):
    """One function without arguments, which may block: it runs in a daemon thread of that name."""

    def __init__(self, work: Callable[[], T], name: str = "tako-worker") -> None:
        super().__init__()
        self._work = work
        self._name = name

    def _key(self) -> Hashable:
        return os.getpid()  # a fork leaves the thread behind

    def _start(self, key: Hashable, future: Future[T]) -> None:
        threading.Thread(target=self._run, args=(key, future), name=self._name, daemon=True).start()

    def _run(self, key: Hashable, future: Future[T]) -> None:
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - it is the waiters' to see
            self._finish(key)
            future.set_exception(error)
        else:
            self._finish(key)
            future.set_result(result)


class TaskFlight(Flight[T]):
    """One coroutine function without arguments: it runs in a task of the event loop that asks."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        super().__init__()
        self._work = work
        self._tasks: set[asyncio.Task[None]] = set()  # a loop alone does not keep its tasks

    def _key(self) -> Hashable:
        key: Hashable = loop_key()
        return key

    def _start(self, key: Hashable, future: Future[T]) -> None:
        loop = asyncio_loop()
        if loop is None:
            sys.modules["trio"].lowlevel.spawn_system_task(self._run, key, future)
            return
        task = loop.create_task(self._run(key, future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: Hashable, future: Future[T]) -> None:
        try:
            result = await self._work()
        except BaseException as error:
            self._finish(key)
            future.set_exception(error)
            if not isinstance(error, Exception):
                raise  # the loop is over
        else:
            self._finish(key)
            future.set_result(result)


async def _wait(future: Future[T]) -> T:
    """Wait for a result on whichever event loop runs."""
    if asyncio_loop() is not None:
        return await asyncio.wrap_future(future)
    trio = sys.modules["trio"]
    event, token = trio.Event(), trio.lowlevel.current_trio_token()

    def wake(_: Future[T]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    future.add_done_callback(wake)
    await event.wait()
    return future.result()
