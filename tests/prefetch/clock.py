"""Event loops whose clock jumps ahead as soon as nobody has anything to do: seconds pass at once, and on any machine.

For scripted worlds alone: they do not know of sockets and threads that somebody waits for.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

import anyio
import trio
from trio.testing import MockClock

if TYPE_CHECKING:
    from collections.abc import Callable


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]  # which class it is depends on the system
    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(timeout and 0)
        if not ready and timeout:
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop of asyncio's on such a clock."""

    def __init__(self) -> None:
        self._jumping = _Selector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(function: Callable[..., Any], *args: Any, backend: str = "asyncio") -> Any:
    """Run an async function on such a loop, or on trio's."""
    if backend == "trio":  # not by anyio, which kept the clock from it for long
        return trio.run(function, *args, clock=MockClock(autojump_threshold=0))
    return anyio.run(function, *args, backend=backend, backend_options={"loop_factory": JumpingLoop})
