"""How many calls there are at once."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from tako.errors import OverloadedError, RateLimitError

if TYPE_CHECKING:
    from tako.errors import ProviderError

FIRST = 16
"""Calls at once at the beginning. The number doubles every round until the vendor first refuses one."""


def now() -> float:
    """Return the event loop's time, in seconds: everything that waits goes by it."""
    return asyncio.get_running_loop().time()


class Pace:
    """Concurrency that adapts (additive increase, multiplicative decrease), and pauses of all calls."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.limit = float(min(maximum, FIRST))
        self.in_flight = 0
        self.paused_until = 0.0
        self._cut = float("-inf")
        self._is_doubling = True
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait until one more call may be under way."""
        if self.in_flight < self.limit and not self._waiting:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn  # the call that made room has counted this one

    def leave(self) -> None:
        """Let another call be under way."""
        self.in_flight -= 1
        self._admit()

    @property
    def is_crowded(self) -> bool:
        """Whether there are more calls than there should be, so that a task that is done should leave."""
        return self.in_flight > self.limit

    def note_success(self) -> None:
        """Allow more calls: by one a round, or to twice as many while the vendor has refused nothing yet."""
        if self.limit < self.maximum:
            self.limit = min(self.maximum, self.limit + (1.0 if self._is_doubling else 1.0 / self.limit))
            self._admit()

    def note_error(self, error: ProviderError, began: float) -> bool:
        """Allow fewer calls if the vendor has too many, once for all that were under way, and pause if it says so.

        ``began`` is when the call started, by ``now``. Returns whether this is a new pause.
        """
        if not isinstance(error, (RateLimitError, OverloadedError)):
            return False
        if began >= self._cut:
            self._cut = now()
            self._is_doubling = False
            self.limit = max(1.0, self.limit / 2)
        until = now() + (error.retry_after or 0.0)
        if not error.retry_after or until <= self.paused_until:
            return False
        self.paused_until = until
        return True

    async def wait_for_pause(self) -> None:
        """Wait until the pause is over."""
        while (left := self.paused_until - now()) > 0:  # noqa: ASYNC110 - the end of a pause may move
            await asyncio.sleep(left)

    def _admit(self) -> None:
        while self._waiting and self.in_flight < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
