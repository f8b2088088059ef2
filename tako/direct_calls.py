"""Blocking calls that run in the calling thread, without an event loop.

A chat is a coroutine. Most of the time, it waits for nothing but its server. So ``run_directly`` runs it with
``send(None)``, as an event loop would, and each time it has to wait, the thread itself waits::

    await waiting(partial(time.sleep, 0.02))  # in the coroutine, only if `is_direct()`

The waiting happens outside of the coroutine, so an exception of a signal's handler (Ctrl-C, ``signal.alarm``) reaches
the caller as it is. Then the coroutine is cancelled on the background loop, as a task would be.

Code that needs an event loop first awaits ``event_loop()``. Then the coroutine goes on there, in the background thread.
So does ``asyncio.sleep(0)``; anything else of asyncio raises an error without a loop.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from contextvars import copy_context
from inspect import CORO_CREATED, CORO_SUSPENDED, getcoroutinestate
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

T = TypeVar("T")


class _State(threading.local):
    is_direct = False


_STATE = _State()


def is_direct() -> bool:
    """Whether this code runs in a call without an event loop."""
    return _STATE.is_direct and asyncio_loop() is None  # a plugin may run a loop of its own within a call


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return asyncio's event loop that runs in this thread, None if there isn't one."""
    return asyncio._get_running_loop()  # noqa: SLF001 - `get_running_loop` takes five times as long if there's none


class _Wait:
    """What a coroutine yields to have its thread wait."""

    def __init__(self, wait: Callable[[], Any]) -> None:
        self.wait = wait


@coroutine
def waiting(wait: Callable[[], T]) -> Generator[Any, Any, T]:
    """Call a function that blocks, outside of the coroutine.

    If it raises, the caller of ``run_directly`` gets the exception, and the coroutine is cancelled.
    """
    return (yield _Wait(wait))  # type: ignore[no-any-return]  # what `wait` returned


@coroutine
def _leave() -> Generator[None, None, None]:
    yield


async def event_loop() -> None:
    """Go on with an event loop. No reply may be open: a blocking connection would hold up the loop."""
    if is_direct():
        await _leave()


def run_directly(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in this thread, or from where it needs an event loop, on the background thread."""
    context = copy_context()  # what the coroutine sets stays its own, as in a task
    answer: Any = None
    try:
        while (step := _step(work, context, answer)).__class__ is _Wait:
            answer = step.wait()
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # what the coroutine returned
    except BaseException:
        _cancel(work, context)
        raise
    from tako.loop_thread import loop_thread

    return loop_thread().run(_resume(work), context)


def _step(work: Coroutine[Any, Any, Any], context: Context, answer: Any) -> Any:
    """Run a coroutine until it waits, and return what for."""
    outer, _STATE.is_direct = _STATE.is_direct, True
    try:
        return context.run(work.send, answer)
    finally:
        _STATE.is_direct = outer


def _cancel(work: Coroutine[Any, Any, Any], context: Context) -> None:
    """Cancel a call that its caller leaves. It's done by the background loop, as of a task: its cleanup may wait."""
    state = getcoroutinestate(work)
    if state == CORO_CREATED:
        work.close()
    elif state == CORO_SUSPENDED:
        from tako.loop_thread import loop_thread

        with suppress(RuntimeError):  # the program ends
            loop_thread().leave(_thrown(work), context)


async def _thrown(work: Coroutine[Any, Any, Any]) -> None:
    with suppress(BaseException):  # nobody waits for it
        await _rest_of(work, asyncio.CancelledError())


async def _resume(work: Coroutine[Any, Any, T]) -> T:
    """Go on with a coroutine that has started."""
    return await _rest_of(work)


@coroutine
def _rest_of(work: Coroutine[Any, Any, T], error: BaseException | None = None) -> Generator[Any, Any, T]:
    """Wait for what is left of a coroutine: ``await`` takes one that hasn't started."""
    if error is not None:
        try:
            yield work.throw(error)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the coroutine returned
    return (yield from cast("Generator[Any, Any, T]", work))
