"""The event loop that runs in this thread, of asyncio or trio, and time limits on asyncio's."""

from __future__ import annotations

import asyncio
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from tako.direct_calls import asyncio_loop, is_direct

if TYPE_CHECKING:
    from types import TracebackType

BLOCKING = "blocking"
"""What stands for the loop of blocking calls, which have none."""
STILL = 0.005
"""Seconds. If the end of a limit is seen later than this, the event loop stood still, or the machine."""


def loop_key() -> Any:
    """Return the running loop, or what stands for it: trio's token, or ``BLOCKING``."""
    loop = asyncio_loop()
    if loop is not None:
        return loop
    return BLOCKING if is_direct() else sys.modules["trio"].lowlevel.current_trio_token()


def is_closed(loop: Any) -> bool:
    """Whether a loop will never run again."""
    return isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed()


class Limit:
    """When a wait has to end. If nobody could look at the clock at that time, there's more of it, once.

    Programs block their event loop, and machines sleep. Then what came meanwhile is seen too late.
    """

    def __init__(self, seconds: float) -> None:
        self.until = monotonic() + seconds
        """By ``time.monotonic``, which asyncio's loops use, too."""
        self._seconds = seconds
        self._was_extended = False

    def is_over(self) -> bool:
        """Ask when the time is up: whether that's the end.

        If that's late, the end moves by as much again: by a second at least, and by no more than the limit itself.
        """
        late = monotonic() - self.until
        if late <= STILL or self._was_extended:
            return True
        self._was_extended = True
        self.until += late + min(self._seconds, max(1.0, late))
        return False


class TimeLimit:
    """Like ``asyncio.timeout``, with a ``Limit``."""

    _timer: asyncio.TimerHandle

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._timeout.__aexit__(kind, error, traceback)

    def _start(self) -> None:
        seconds = self._limit.until - monotonic()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        if self._limit.is_over():
            self._timeout.reschedule(asyncio.get_running_loop().time())
        else:
            self._start()
