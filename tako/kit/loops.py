"""The event loop that runs in this thread, of asyncio or trio, and time limits on asyncio's."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from tako.direct_calls import asyncio_loop, is_direct

if TYPE_CHECKING:
    from types import TracebackType

BLOCKING = "blocking"
"""What stands for the loop of blocking calls, which have none."""
STILL = 0.1
"""Seconds that a timer is late where the event loop stood still; asyncio's debug mode complains of as many."""


def loop_key() -> Any:
    """Return the running loop, or what stands for it: trio's token, or ``BLOCKING``."""
    loop = asyncio_loop()
    if loop is not None:
        return loop
    return BLOCKING if is_direct() else sys.modules["trio"].lowlevel.current_trio_token()


def is_closed(loop: Any) -> bool:
    """Whether a loop will never run again."""
    return isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed()


class TimeLimit:
    """Like ``asyncio.timeout``, but for an event loop that stood still meanwhile.

    Such a loop sees that the time is over before it sees what came in that time. Then the limit begins anew, once.
    Programs block their loop, and machines sleep.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._has_begun_anew = False

    async def __aenter__(self) -> None:
        self._start()
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    def _start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._timer.when() > STILL and not self._has_begun_anew:
            self._has_begun_anew = True
            self._start()
        else:
            self._limit.reschedule(now)
