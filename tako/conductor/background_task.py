"""A task that outlives the frames that wait for it, on asyncio and trio.

What yields cannot hold a task group: whoever leaves the loop over it, or lets it be collected, would end the group in
another task than the one that began it (https://peps.python.org/pep-0789/). So the group is in a task of its own.
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
    """One function, begun at once; whoever makes one calls ``stop``, whatever happens."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._error: BaseException | None = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            sys.modules["trio"].lowlevel.spawn_system_task(self._run, context=copy_context())
        else:  # the loop cancels its tasks when it ends, even those that have not begun
            self._task = loop.create_task(self._run())
            self._task.add_done_callback(lambda _: self._ended.set())

    async def stop(self) -> None:
        """Cancel the work unless it is done, and wait until nothing is left of it."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()

    def check(self) -> None:
        """Raise what the work raised."""
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._work()
        except BaseException as error:
            if isinstance(error, (anyio.get_cancelled_exc_class(), GeneratorExit)):
                raise
            self._error = error  # it's raised again where the work is waited for; out of a task, it would end the loop
        finally:
            self._ended.set()
