"""Blocking calls that run in the calling thread. They need no event loop, and wake no other thread.

A chat is a coroutine. Most of the time, it waits for nothing but its server. So ``run_directly`` runs it with
``send(None)``, as an event loop would, and each time it has to wait, the thread itself waits::

    await waiting(partial(time.sleep, 0.02))  # in the coroutine, only if `is_direct()`

The waiting happens outside of the coroutine, so an exception of a signal's handler (Ctrl-C, ``signal.alarm``) reaches
the caller as it is, and the coroutine is closed. Code that needs an event loop first awaits ``event_loop()``. Then the
coroutine goes on there, on the background thread. Whatever else the coroutine waits for has the same effect.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

T = TypeVar("T")


class _State(threading.local):
    is_direct = False


_STATE = _State()


def is_direct() -> bool:
    """Whether this code runs in a call without an event loop."""
    return _STATE.is_direct


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return asyncio's event loop that runs in this thread, None if there isn't one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Wait:
    """What a coroutine yields to have its thread wait."""

    def __init__(self, wait: Callable[[], Any]) -> None:
        self.wait = wait


@coroutine
def waiting(wait: Callable[[], T]) -> Generator[Any, Any, T]:
    """Call a function that blocks, outside of the coroutine. It mustn't raise: its exceptions are the caller's."""
    return (yield _Wait(wait))  # type: ignore[no-any-return]  # what `wait` returned


@coroutine
def _leave() -> Generator[None, None, None]:
    yield


async def event_loop() -> None:
    """Go on with an event loop. No reply may be open: a blocking connection would hold up the loop."""
    if _STATE.is_direct:
        await _leave()


def run_directly(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in this thread, or from where it needs an event loop, on the background thread."""
    context = copy_context()  # what the coroutine sets stays its own, as in a task
    answer: Any = None
    while True:
        outer, _STATE.is_direct = _STATE.is_direct, True
        try:
            step = context.run(work.send, answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the coroutine returned
        finally:
            _STATE.is_direct = outer
        if step.__class__ is not _Wait:
            from tako.loop_thread import loop_thread

            return loop_thread().run(_resume(work), context)
        try:
            answer = step.wait()
        except BaseException:
            work.close()
            raise


async def _resume(work: Coroutine[Any, Any, T]) -> T:
    """Go on with a coroutine that has started."""
    return await _rest_of(work)


@coroutine
def _rest_of(work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Wait for what is left of a coroutine: ``await`` takes one that hasn't started."""
    return (yield from cast("Generator[Any, Any, T]", work))
