"""Waiting for one socket."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MILLISECONDS = 2**31 - 1
"""The longest wait that the system takes: 24 days."""


def poller(fileno: int, *, is_to_receive: bool = True, is_to_send: bool = False) -> Callable[[float], bool]:
    """Return a function that waits some seconds until a socket can receive, or send. It returns whether it can.

    The end of the connection counts, too.
    """
    if not hasattr(select, "poll"):  # Windows

        def is_ready(seconds: float) -> bool:
            wait = min(max(0.0, seconds), MAX_MILLISECONDS / 1000)
            sockets: list[int] = [fileno]
            return any(select.select(sockets * is_to_receive, sockets * is_to_send, sockets * is_to_send, wait))

        return is_ready
    poll = select.poll()
    poll.register(fileno, select.POLLIN * is_to_receive | select.POLLOUT * is_to_send)
    return lambda seconds: bool(poll.poll(min(max(0.0, seconds * 1000), MAX_MILLISECONDS)))
