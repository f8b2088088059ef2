"""Blocking work in its own thread, for an event loop that reads the results one by one.

When a process ends, it tells its threads to stop and waits for them. A thread that is still inside llama.cpp when the
interpreter ends would abort the process.
"""

from __future__ import annotations

import asyncio
import atexit
import sys
import threading
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

MAX_AHEAD = 64
"""The most items that the thread may be ahead of the loop."""

T = TypeVar("T")

_running: dict[threading.Thread, Callable[[], None]] = {}


@atexit.register
def _stop_all() -> None:
    """Stop running threads. This waits until llama.cpp has finished its current token or prompt."""
    for thread, leave in list(_running.items()):
        leave()
        thread.join()


class Worker(Generic[T]):
    """Runs ``work(put)`` in a thread; ``items()`` yields what it puts, on the loop.

    ``put`` waits while the loop is MAX_AHEAD items behind. It returns True as soon as no more items are needed.
    """

    def __init__(self, work: Callable[[Callable[[T], bool]], object]) -> None:
        self._work = work
        self._items: deque[T] = deque()
        self._room = threading.Semaphore(MAX_AHEAD)
        self._is_left = False
        self._is_done = False
        self._failure: BaseException | None = None
        self._arrived = anyio.Event()
        self._call_soon = _call_soon()

    async def items(self) -> AsyncGenerator[T, None]:
        """Iterate over the items of the thread, then raise its error, if any. Leaving stops the thread."""
        thread = threading.Thread(target=self._run, name="tako-llamacpp", daemon=True)
        _running[thread] = self.leave
        thread.start()
        try:
            while True:
                self._arrived = anyio.Event()
                is_done = self._is_done  # read before the items, because the last items are put before it is set
                while self._items:
                    item = self._items.popleft()
                    self._room.release()
                    yield item
                if is_done:
                    break
                await self._arrived.wait()
        finally:
            self.leave()
        if self._failure is not None:
            raise self._failure

    def leave(self) -> None:
        """Tell the thread to stop."""
        self._is_left = True
        self._room.release()

    def _run(self) -> None:
        try:
            self._work(self._put)
        except BaseException as error:  # noqa: BLE001 - the loop raises it again
            self._failure = error
        del self._work  # it may hold the last reference to a model
        self._is_done = True
        self._wake()
        _running.pop(threading.current_thread(), None)

    def _put(self, item: T) -> bool:
        self._room.acquire()
        if self._is_left:
            return True
        self._items.append(item)
        return self._wake()

    def _wake(self) -> bool:
        try:
            self._call_soon(self._notify)
        except RuntimeError:  # the loop is closed, so nobody waits
            self._is_left = True
        return self._is_left

    def _notify(self) -> None:
        self._arrived.set()


async def in_thread(function: Callable[[], T]) -> T:
    """Call a blocking function. If the caller is cancelled, it returns at once, and the result is dropped."""
    async with aclosing(Worker[T](lambda put: put(function())).items()) as results:
        return await anext(results)


def running_loop() -> Any:
    """Return the running event loop: asyncio's loop, or trio's token."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return sys.modules["trio"].lowlevel.current_trio_token()


def _call_soon() -> Callable[..., object]:
    """Return a function that schedules a call on the running loop from another thread."""
    loop = running_loop()
    return loop.call_soon_threadsafe if isinstance(loop, asyncio.AbstractEventLoop) else loop.run_sync_soon
