"""Worker threads for callables. They're daemons, so that a callable that never returns doesn't block the exit."""

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

IDLE_SECONDS = 10.0
"""Seconds until an idle thread ends."""
_idle: deque[Jobs] = deque()
"""The queues of idle threads; the thread that was busy last is used first."""
_in_worker: ContextVar[bool] = ContextVar("tako_python_within", default=False)

os.register_at_fork(after_in_child=_idle.clear)  # the child has no threads


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a worker thread. If the caller is cancelled, it doesn't wait for the function.

    anyio's limit of threads applies. It doesn't apply to a callable that another callable calls, because they would
    wait for each other if all threads were taken.
    """

    def call() -> Any:
        _in_worker.set(True)
        try:
            return function(*args)
        except (
            StopIteration,
            GeneratorExit,
        ) as error:  # a future can't hold StopIteration, and trio's tasks can't hold GeneratorExit
            raise RuntimeError(f"{type(error).__name__} was raised outside of a generator") from error

    async with AsyncExitStack() as stack:
        if not _in_worker.get():
            await stack.enter_async_context(anyio.to_thread.current_default_thread_limiter())
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # trio's own threads are daemons
            unlimited = anyio.CapacityLimiter(math.inf)
            return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=unlimited)
        future: asyncio.Future[Any] = loop.create_future()
        _submit(partial(_run_job, copy_context().run, call, loop, future))
        return await future


def _run_job(
    run: Callable[..., Any], call: Callable[[], Any], loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]
) -> None:
    """Call, and pass on the result or the error. If the loop is closed, nobody waits for it."""
    try:
        settle = partial(future.set_result, run(call))
    except BaseException as error:  # noqa: BLE001 - the caller raises it again
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
            job = jobs.get(timeout=IDLE_SECONDS)
        except Empty:
            with suppress(ValueError):  # another caller has just taken this queue, so a job will follow
                _idle.remove(jobs)
                return
            continue
        job()
        del job
        _idle.append(jobs)
