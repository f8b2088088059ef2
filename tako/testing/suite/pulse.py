"""Whether calls run side by side and the event loop goes on: by counts, which a slow machine does not change."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from tako.testing.server import Condition

TURN = 0.001
"""Seconds of a turn, on a machine with nothing else to do."""
MAX_TURNS_MISSED = 300
"""Turns of a thread without one of the event loop, from which on the loop has stood still."""


class Pulse:
    """Counts an event loop's turns, and those of a thread beside it: what slows the machine down slows both."""

    def __init__(self) -> None:
        self.turns = 0
        """Turns of the event loop."""
        self.still = 0
        """The most turns of the thread for which the loop stood still."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)

    @property
    def seconds(self) -> float:
        """The longest stretch for which the loop stood still, on a machine with nothing else to do."""
        return self.still * TURN

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._beat())
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _beat(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(TURN)

    def _count(self) -> None:
        seen, still = self.turns, 0
        while not self._over.wait(TURN):
            still = still + 1 if self.turns == seen else 0
            seen = self.turns
            self.still = max(self.still, still)


class Gate:
    """Holds replies back until all calls have come, and the event loop of those who called has turned since.

    When that does not come to pass in ``patience`` seconds, the gate opens all the same and says so.
    """

    def __init__(self, count: int, pulse: Pulse, patience: float) -> None:
        self.most = 0
        """Calls that have come, up to the moment when the gate opened."""
        self.gave_up = False
        self.stalled = False
        """Whether it gave up because the event loop did not turn."""
        self._count, self._pulse, self._patience = count, pulse, patience
        self._open = False
        self._since = 0
        self._until = 0.0

    def enter(self) -> Condition:
        """Note a call that has come; returns what its reply waits for."""
        if not self._open:
            self.most += 1
            self._since = self._pulse.turns
            self._until = time.monotonic() + self._patience
        return self._is_open

    def _is_open(self) -> bool:
        turned = self._pulse.turns > self._since + 1
        if not self._open and time.monotonic() > self._until:
            self._open = self.gave_up = True
            self.stalled = not turned
        self._open = self._open or (self.most == self._count and turned)
        return self._open
