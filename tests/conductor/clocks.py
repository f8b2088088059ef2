"""Event loops whose time passes only while everybody waits for it: hours take no time, and nobody is late by accident.

What runs on them waits for nothing but time and one another: no sockets, no threads.
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

BACKENDS = ("asyncio", "trio")


class Skipping(selectors.DefaultSelector):
    """A selector that does not wait for a time to come, but has it come."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        events = super().select(0)
        if not events:
            self.skipped += timeout
        return events


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop with that selector; its clock stands still otherwise."""

    def __init__(self) -> None:
        self.selector = Skipping()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.skipped


def in_no_time(main: Callable[[], Any], backend: str) -> Any:
    """Run an async function on a loop with such a clock."""
    if backend == "trio":  # not by anyio, which kept the clock from it for long
        return trio.run(main, clock=MockClock(autojump_threshold=0))
    return anyio.run(main, backend=backend, backend_options={"loop_factory": SkippingLoop})
