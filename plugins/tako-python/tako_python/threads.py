"""Worker threads for callables: daemons, so that one that never returns doesn't keep the program from ending."""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections import deque
from contextlib import AsyncExitStack, suppress
from contextvars import ContextVar, copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    Jobs = SimpleQueue[Callable[[], None]]

IDLE = 10.0
"""Seconds that a thread waits for more work."""
_idle: deque[Jobs] = deque()
"""The queues of threads that wait; the one that was busy last is used first."""
_within: ContextVar[bool] = ContextVar("tako_python_within", default=False)

os.register_at_fork(after_in_child=_idle.clear)  # the threads stayed with the parent


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a worker thread; a caller that is cancelled leaves at once.

    As many run at once as anyio's limit of threads allows. A callable that asks another one waits for no place: with
    all places taken by such callables, nobody would ever get one.
    """

    def call() -> Any:
        _within.set(True)
        try:
            return function(*args)
        except (StopIteration, GeneratorExit) as error:  # a future can't hold the one, nor trio's tasks the other
            raise RuntimeError(f"{type(error).__name__} was raised outside of a generator") from error

    async with AsyncExitStack() as stack:
        if not _within.get():
            await stack.enter_async_context(anyio.to_thread.current_default_thread_limiter())
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # trio's own threads are daemons
            free = anyio.CapacityLimiter(math.inf)
            return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=free)
        future: asyncio.Future[Any] = loop.create_future()
        _submit(partial(_carry_out, copy_context().run, call, loop, future))
        return await future


def _carry_out(
    run: Callable[..., Any], call: Callable[[], Any], loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]
) -> None:
    """Call, and hand over what came of it; where the loop is closed nobody waits."""
    try:
        settle = partial(future.set_result, run(call))
    except BaseException as error:  # noqa: BLE001 - it's raised again where the call is waited for
        settle = partial(future.set_exception, error)
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(lambda: None if future.done() else settle())


def _submit(job: Callable[[], None]) -> None:
    try:
        jobs = _idle.pop()
    except IndexError:
        jobs = SimpleQueue()
        threading.Thread(target=_work, args=(jobs,), name="tako-python", daemon=True).start()
    jobs.put(job)


def _work(jobs: Jobs) -> None:
    while True:
        try:
            job = jobs.get(timeout=IDLE)
        except Empty:
            with suppress(ValueError):  # which says that somebody has just taken this one: a job comes
                _idle.remove(jobs)
                return
            continue
        job()
        del job
        _idle.append(jobs)
