"""Waiting for one socket."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MILLISECONDS = 2**31 - 1
"""The longest wait that the system takes: 24 days."""


def poller(place: int, *, is_to_send: bool = False) -> Callable[[float], bool]:
    """Return a function that waits some seconds until a socket can receive, or send. It returns whether it can.

    The end of the connection counts, too. ``place`` is the socket's ``fileno()``.
    """
    if not hasattr(select, "poll"):  # Windows

        def is_ready(seconds: float) -> bool:
            wait = min(max(0.0, seconds), MAX_MILLISECONDS / 1000)
            places: list[int] = [place]
            ready = select.select([], places, places, wait) if is_to_send else select.select(places, [], [], wait)
            return any(ready)

        return is_ready
    poll = select.poll()
    poll.register(place, select.POLLOUT if is_to_send else select.POLLIN)
    return lambda seconds: bool(poll.poll(min(max(0.0, seconds * 1000), MAX_MILLISECONDS)))
