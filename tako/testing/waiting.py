"""Waiting for what another thread or process does, instead of sleeping and hoping.

The patience is a guard against hanging, no measure: what is waited for comes at once, also where the machine is slow.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which what has not come does not come."""
POLL = 0.005


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds; raises AssertionError where it does not come to that."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "what the test waits for hasn't come"
        time.sleep(POLL)


async def until_async(condition: Callable[[], object]) -> None:
    """Wait likewise, and let the event loop go on."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "what the test waits for hasn't come"
        await asyncio.sleep(POLL)
