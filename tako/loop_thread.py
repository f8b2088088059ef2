"""The background event loop of the blocking methods, started on first use."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from concurrent.futures import CancelledError as ConcurrentCancelledError
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

T = TypeVar("T")

MAX_PARK_SECONDS = 1.0
"""Seconds that a fork waits for the loop thread to be between two callbacks."""
MAX_STOP_SECONDS = 5.0
"""Seconds that the end of a stream, or of the program, waits for tasks that ignore their cancellation."""
ON_LOOP_THREAD = "the blocking face was called on its own loop thread; await the provider there"
LOST = "this stream was begun by the process that this one was forked from, and stays there"
ENDED = "the event loop of the blocking face has ended: it broke (a new call starts another one), or the program ends"


class LoopThread:
    """An event loop in a daemon thread. Exceptions in tasks don't end it."""

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
        except RuntimeError as error:  # the interpreter is shutting down
            self.loop.close()
            raise RuntimeError(ENDED) from error
        atexit.register(self.stop)

    @property
    def ended(self) -> bool:
        """Whether the loop has stopped."""
        return self.lost or self._stopping

    def run(self, work: Coroutine[Any, Any, T], context: Context | None = None) -> T:
        """Run a coroutine on the loop and wait for it; leaving early (Ctrl-C) cancels it.

        It runs in ``context``, or in a copy of the current one.
        """
        if self.ended or threading.get_ident() == self.thread.ident:
            work.close()
            raise RuntimeError(LOST if self.lost else ENDED if self.ended else ON_LOOP_THREAD)
        call = _Call(work)
        with self.notifying(call.fail):
            try:
                self.loop.call_soon_threadsafe(call.start, self.loop, context or copy_context())
                return call.result()
            except asyncio.CancelledError:  # what ran has cancelled itself, or the program ends
                raise self.error_to_raise(asyncio.CancelledError()) from None
            finally:
                if not call.ended:
                    self.loop.call_soon_threadsafe(call.cancel)
                del call  # it refers to what it raises, whose traceback refers to this frame

    def leave(self, work: Coroutine[Any, Any, None], context: Context) -> None:
        """Run a coroutine on the loop without waiting for it."""
        try:
            self.loop.call_soon_threadsafe(self._start_cleanup, work, context)
        except RuntimeError:  # the program ends
            work.close()
            raise

    def error_to_raise(self, error: BaseException) -> BaseException:
        """Return the exception for a waiting thread. At the program's end, it's one that ends the thread silently."""
        return SystemExit(ENDED) if self._ending and isinstance(error, asyncio.CancelledError) else error

    @contextmanager
    def notifying(self, notify: Callable[[BaseException], object]) -> Generator[None]:
        """Call a function if the loop breaks within the block, since a thread waits for it."""
        self._waiters.add(notify)
        try:
            if self._stopping:  # it has just stopped
                notify(RuntimeError(ENDED))
            yield
        finally:
            self._waiters.discard(notify)

    def run_cleanup(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a cleanup coroutine, wherever Python may finalise a stream: at exit, after a fork, on the loop."""
        if self.ended or self._ending:  # the loop cleans up by itself when it stops
            work.close()
        elif threading.current_thread() is self.thread:
            self._start_cleanup(work)
        else:
            self.run(work)

    def _start_cleanup(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> None:
        """Start a task that nobody waits for. A loop alone doesn't keep its tasks."""
        task = self.loop.create_task(work, context=context)
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    def park(self) -> Callable[[], object] | None:
        """Pause the thread between two callbacks, without a lock that a fork would copy. Returns what resumes it."""
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
        """Close everything on the loop, then end the thread."""
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
        """Run the loop until ``stop``. asyncio raises two exceptions out of it, although their tasks keep them."""
        while not self._stopping:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                continue
            except BaseException as error:  # noqa: BLE001 - the loop itself broke, perhaps because its file was closed
                self._stopping = True
                failure = RuntimeError(ENDED)
                failure.__cause__ = error
                for notify in tuple(
                    self._waiters
                ):  # the loop isn't closed, since its file numbers may be reused by now
                    notify(failure)

    async def _finish(self) -> None:
        """Cancel running tasks, then close generators: a running generator can't be closed."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.loop.shutdown_asyncgens()


class _Call(Generic[T]):
    """A coroutine that runs on the loop, and the thread that waits for it.

    asyncio's ``run_coroutine_threadsafe`` needs two futures, a condition, and callbacks between them, which takes as
    long as the rest of tako's work for a call.
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

    def start(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        """Start the task. Runs on the loop."""
        if not self.ended:
            self._task = loop.create_task(self._run(), context=context)

    def cancel(self) -> None:
        """Cancel the task, since nobody waits for it. Runs on the loop."""
        if self._task is not None:
            self._task.cancel()
        self.fail(asyncio.CancelledError())

    def fail(self, error: BaseException) -> None:
        """End the call with an error, unless it has already ended."""
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
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
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
"""The function that resumes the loop thread after a fork, for each thread that forks."""


def loop_thread() -> LoopThread:
    """Return the loop thread of this process. After a fork, or if its loop broke, it's a new one."""
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
