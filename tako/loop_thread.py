"""The one background event loop of the blocking face, started when it is first needed."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from concurrent.futures import CancelledError as ConcurrentCancelledError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

T = TypeVar("T")

MAX_PARK_SECONDS = 1.0
"""Seconds that a fork waits for the loop thread to be between two callbacks."""
MAX_STOP_SECONDS = 5.0
"""Seconds that the end of a stream, or of the program, waits for what refuses to be cancelled."""
ON_LOOP_THREAD = "the blocking face was called on its own loop thread; await the provider there"
LOST = "this stream was begun by the process that this one was forked from, and stays there"
ENDED = "the event loop of the blocking face has ended: it broke (a new call starts another one), or the program ends"


class LoopThread:
    """An event loop in a daemon thread. It outlives whatever is raised in it."""

    def __init__(self) -> None:
        self.lost = False  # in a forked child: the thread stayed with the parent
        self.loop = asyncio.new_event_loop()
        self._ending = False
        self._stopping = False
        self._cleanups: set[asyncio.Task[None]] = set()
        self._waiters: set[Callable[[BaseException], object]] = set()
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
        return self.lost or self._stopping

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it; leaving early (Ctrl-C) cancels it."""
        if self.ended or threading.get_ident() == self.thread.ident:
            work.close()
            raise RuntimeError(LOST if self.lost else ENDED if self.ended else ON_LOOP_THREAD)
        call = _Call(work)
        with self.notifying(call.fail):
            try:
                self.loop.call_soon_threadsafe(call.start, self.loop)
                return call.result()
            except asyncio.CancelledError:  # what ran has cancelled itself, or the program ends
                raise self.error_to_raise(asyncio.CancelledError()) from None
            finally:
                if not call.ended:
                    self.loop.call_soon_threadsafe(call.cancel)
                del call  # it refers to what it raises, whose traceback refers to this frame

    def error_to_raise(self, error: BaseException) -> BaseException:
        """Return what is raised in a thread that waits: as the program ends, what ends a thread without a word."""
        return SystemExit(ENDED) if self._ending and isinstance(error, asyncio.CancelledError) else error

    @contextmanager
    def notifying(self, notify: Callable[[BaseException], object]) -> Generator[None]:
        """Call a function should the loop break; somebody waits for it."""
        self._waiters.add(notify)
        try:
            if self._stopping:  # it has broken in this moment
                notify(RuntimeError(ENDED))
            yield
        finally:
            self._waiters.discard(notify)

    def run_cleanup(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that tidies up, wherever Python may finalise a stream: at exit, after a fork, on the loop."""
        if self.ended or self._ending:  # the loop tidies up by itself as it ends
            work.close()
        elif threading.current_thread() is self.thread:
            task = self.loop.create_task(work)
            self._cleanups.add(task)
            task.add_done_callback(self._cleanups.discard)
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
        parked.wait(MAX_PARK_SECONDS)
        return free.set

    def stop(self) -> None:
        """Close what still lives on the loop, then end the thread."""
        if self.ended:
            return
        self._ending = True
        with suppress(TimeoutError, ConcurrentCancelledError):
            asyncio.run_coroutine_threadsafe(self._finish(), self.loop).result(MAX_STOP_SECONDS)
        self._stopping = True
        for notify in tuple(self._waiters):
            notify(asyncio.CancelledError())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(MAX_PARK_SECONDS)
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
                for notify in tuple(self._waiters):  # the loop isn't closed: its files may be another's by now
                    notify(failure)

    async def _finish(self) -> None:
        """Cancel what runs before closing generators: one that is running cannot be closed."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.loop.shutdown_asyncgens()


class _Call(Generic[T]):
    """A coroutine that runs on the loop, and the thread that waits for it.

    asyncio's ``run_coroutine_threadsafe`` does it with two futures, a condition, and callbacks between them: as much
    work as a call's whole way through tako.
    """

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.ended = False
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._has_started = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._done_lock = threading.Lock()
        self._done_lock.acquire()  # until the call has ended

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; on the loop."""
        if not self.ended:
            self._task = loop.create_task(self._run())

    def cancel(self) -> None:
        """End the work, since nobody waits for it; on the loop."""
        if self._task is not None:
            self._task.cancel()
        self.fail(asyncio.CancelledError())

    def fail(self, error: BaseException) -> None:
        """End the waiting with an error, unless there is an outcome already."""
        if self.ended:
            return
        if not self._has_started:
            self._work.close()
        self._error = error
        self._end()

    def result(self) -> T:
        """Wait, and return what the coroutine returned, or raise what it raised."""
        self._done_lock.acquire()
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._value  # type: ignore[no-any-return]  # as the coroutine returned it
        finally:
            del error  # its traceback refers to this frame

    async def _run(self) -> None:
        self._has_started = True
        try:
            self._value = await self._work
        except BaseException as error:  # noqa: BLE001 - whatever it is, the thread that waits raises it
            self.fail(error)
        else:
            self._end()

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._done_lock.release()


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
