"""A background task for asyncio and trio, which isn't bound to the frame that started it.

A generator can't hold a task group: if it's left early or garbage-collected, the group would end in another task than
the one that started it (https://peps.python.org/pep-0789/). So the group is in a task of its own.
"""

from __future__ import annotations

import asyncio
import sys
from contextvars import copy_context
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class BackgroundTask:
    """Runs one function, which starts at once. You have to call ``stop`` in any case."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._error: BaseException | None = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            sys.modules["trio"].lowlevel.spawn_system_task(self._run, context=copy_context())
        else:  # the loop cancels its tasks when it ends, even those that haven't started
            self._task = loop.create_task(self._run())
            self._task.add_done_callback(lambda _: self._ended.set())

    async def stop(self) -> None:
        """Cancel the function unless it has finished, and wait until it has ended."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()

    def check(self) -> None:
        """Raise the exception of the function, if there was one."""
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._work()
        except BaseException as error:
            if isinstance(error, (anyio.get_cancelled_exc_class(), GeneratorExit)):
                raise
            self._error = error  # `check` raises it again; raised out of the task, it would end the loop
        finally:
            self._ended.set()
