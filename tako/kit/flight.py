"""Blocking work for many who wait: in one worker thread, once at a time, and off the event loop.

What an SDK does to find or refresh credentials (imports, files, metadata services) blocks, and a hundred calls that
start together need it once. ::

    tokens = SingleFlight(load_token)
    token = await tokens.result()

A caller that is cancelled leaves; the work goes on for the others. Safe across event loops, threads and fork.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """One function without arguments; whoever asks while it runs gets the result of that run."""

    def __init__(self, work: Callable[[], T], name: str = "tako-worker") -> None:
        self._work = work
        self._name = name
        self._lock = threading.Lock()
        self._running: tuple[int, Future[T]] | None = None

    def begin(self) -> Future[T]:
        """Start the work unless it runs already, and do not wait for it."""
        with self._lock:
            if self._running is not None and self._running[0] == os.getpid():  # a fork leaves the thread behind
                return self._running[1]
            future: Future[T] = Future()
            future.set_running_or_notify_cancel()
            self._running = os.getpid(), future
        threading.Thread(target=self._run, args=(future,), name=self._name, daemon=True).start()
        return future

    async def result(self) -> T:
        """Start the work or join it, and wait; raises what the work raises."""
        return await _wait(self.begin())

    def _run(self, future: Future[T]) -> None:
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - it is the waiters' to see
            self._land()
            future.set_exception(error)
        else:
            self._land()
            future.set_result(result)

    def _land(self) -> None:
        """Be over before anyone hears of it: whoever asks because of this result wants another run."""
        with self._lock:
            self._running = None


async def _wait(future: Future[T]) -> T:
    """Wait for a thread's result on whichever event loop runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules["trio"]
        event, token = trio.Event(), trio.lowlevel.current_trio_token()

        def wake(_: Future[T]) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(event.set)

        future.add_done_callback(wake)
        await event.wait()
        return future.result()
    return await asyncio.wrap_future(future)
