"""The event loop that runs in this thread, of asyncio or trio."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from tako.direct_calls import asyncio_loop, is_direct

BLOCKING = "blocking"
"""What stands for the loop of blocking calls, which have none."""


def loop_key() -> Any:
    """Return the running loop, or what stands for it: trio's token, or ``BLOCKING``."""
    loop = asyncio_loop()
    if loop is not None:
        return loop
    return BLOCKING if is_direct() else sys.modules["trio"].lowlevel.current_trio_token()


def is_closed(loop: Any) -> bool:
    """Whether a loop will never run again."""
    return isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed()
