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
STILL = 0.005
"""If a timer is later than this, in seconds, the event loop stood still."""


def loop_key() -> Any:
    """Return the running loop, or what stands for it: trio's token, or ``BLOCKING``."""
    loop = asyncio_loop()
    if loop is not None:
        return loop
    return BLOCKING if is_direct() else sys.modules["trio"].lowlevel.current_trio_token()


def is_closed(loop: Any) -> bool:
    """Whether a loop will never run again."""
    return isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed()


def more_time(seconds: float, late: float) -> float:
    """Return how much longer a wait may take if the event loop stood still, and sees so late that its time is over."""
    return min(seconds, max(1.0, late))


class TimeLimit:
    """Like ``asyncio.timeout``, but if the event loop stood still when the time was over, there's more of it, once.

    Such a loop would end the wait before it sees what came meanwhile. Programs block their loop, and machines sleep.
    """

    _timer: asyncio.TimerHandle

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._has_more = False

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._start(self._seconds)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    def _start(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        now = asyncio.get_running_loop().time()
        late = now - self._timer.when()
        if late > STILL and not self._has_more:
            self._has_more = True
            self._start(more_time(self._seconds, late))
        else:
            self._limit.reschedule(now)
