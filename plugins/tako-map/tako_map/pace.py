"""How many calls at once."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from tako.errors import OverloadedError, RateLimitError

if TYPE_CHECKING:
    from tako.errors import ProviderError

FIRST = 16
"""Calls at once at the beginning; doubled every round until the vendor first says that it is too much."""


def now() -> float:
    """Return the event loop's time, in seconds: all that waits goes by it."""
    return asyncio.get_running_loop().time()


class Pace:
    """Concurrency that adapts (additive up, multiplicative down), and pauses that hold for everybody."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(most, FIRST))
        self.in_flight = 0
        self.paused_until = 0.0
        self._cut = float("-inf")
        self._climbing = True
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a place."""
        if self.in_flight < self.limit and not self._waiting:
            self.in_flight += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        await place  # whoever made room has counted it

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._admit()

    @property
    def crowded(self) -> bool:
        """Whether there are more calls than there should be, so that one who is done should leave its place."""
        return self.in_flight > self.limit

    def succeeded(self) -> None:
        """Go up: by one a round, by as many again while nothing has been refused yet."""
        if self.limit < self.most:
            self.limit = min(self.most, self.limit + (1.0 if self._climbing else 1.0 / self.limit))
            self._admit()

    def failed(self, error: ProviderError, began: float) -> bool:
        """Go down where the vendor has too much, once for all calls that were under way, and pause where it says so.

        ``began`` is when the call did, by ``now``. Returns whether there is a pause that there was not before.
        """
        if not isinstance(error, (RateLimitError, OverloadedError)):
            return False
        if began >= self._cut:
            self._cut = now()
            self._climbing = False
            self.limit = max(1.0, self.limit / 2)
        until = now() + (error.retry_after or 0.0)
        if not error.retry_after or until <= self.paused_until:
            return False
        self.paused_until = until
        return True

    async def pause_over(self) -> None:
        """Wait until nobody has to pause any more."""
        while (left := self.paused_until - now()) > 0:  # noqa: ASYNC110 - it is a time, and may move
            await asyncio.sleep(left)

    def _admit(self) -> None:
        while self._waiting and self.in_flight < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)
