"""Blocking work in a thread of its own, for an event loop that wants its results one by one.

A process that ends tells its threads to stop and waits for them: one that is still inside llama.cpp when the
interpreter goes would abort the process.
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

AHEAD = 64
"""How many items the thread may be ahead of the loop."""

T = TypeVar("T")

_running: dict[threading.Thread, Callable[[], None]] = {}


@atexit.register
def _stop_all() -> None:
    """Stop what still runs; this waits for the word, or the prompt, that llama.cpp is at."""
    for thread, leave in list(_running.items()):
        leave()
        thread.join()


class Worker(Generic[T]):
    """Runs ``work(put)`` in a thread; what is put comes out of ``items()`` on the loop.

    ``put`` waits while the loop is AHEAD items behind, and returns True as soon as nobody wants more.
    """

    def __init__(self, work: Callable[[Callable[[T], bool]], object]) -> None:
        self._work = work
        self._items: deque[T] = deque()
        self._room = threading.Semaphore(AHEAD)
        self._left = False
        self._done = False
        self._failure: BaseException | None = None
        self._arrived = anyio.Event()
        self._call_soon = _call_soon()

    async def items(self) -> AsyncGenerator[T, None]:
        """Iterate over what the thread puts, then raise what it raised. Leaving tells the thread to stop."""
        thread = threading.Thread(target=self._run, name="tako-llamacpp", daemon=True)
        _running[thread] = self.leave
        thread.start()
        try:
            while True:
                self._arrived = anyio.Event()
                done = self._done  # looked at before the items: the last ones are put before it is set
                while self._items:
                    item = self._items.popleft()
                    self._room.release()
                    yield item
                if done:
                    break
                await self._arrived.wait()
        finally:
            self.leave()
        if self._failure is not None:
            raise self._failure

    def leave(self) -> None:
        """Tell the thread that nobody wants more."""
        self._left = True
        self._room.release()

    def _run(self) -> None:
        try:
            self._work(self._put)
        except BaseException as error:  # noqa: BLE001 - it is raised again on the loop
            self._failure = error
        del self._work  # it may hold the last reference to a model
        self._done = True
        self._wake()
        _running.pop(threading.current_thread(), None)

    def _put(self, item: T) -> bool:
        self._room.acquire()
        if self._left:
            return True
        self._items.append(item)
        return self._wake()

    def _wake(self) -> bool:
        try:
            self._call_soon(self._notify)
        except RuntimeError:  # the loop is over, and so is whoever was waiting
            self._left = True
        return self._left

    def _notify(self) -> None:
        self._arrived.set()


async def in_thread(function: Callable[[], T]) -> T:
    """Call a blocking function; a caller that is cancelled leaves at once, and the result is dropped."""
    async with aclosing(Worker[T](lambda put: put(function())).items()) as results:
        return await anext(results)


def running_loop() -> Any:
    """Return what stands for the running event loop: asyncio's loop, or trio's token."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return sys.modules["trio"].lowlevel.current_trio_token()


def _call_soon() -> Callable[..., object]:
    """Return what schedules a call on the running loop from another thread."""
    loop = running_loop()
    return loop.call_soon_threadsafe if isinstance(loop, asyncio.AbstractEventLoop) else loop.run_sync_soon
