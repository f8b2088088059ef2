"""Pauses of providers that failed."""

from __future__ import annotations

import time


class Pauses:
    """The pauses of providers, by their index in the list. ``seconds`` is the length, unless the vendor sends one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until: dict[int, float] = {}

    def start(self, index: int, retry_after: float | None) -> None:
        """Start a pause."""
        self._until[index] = time.monotonic() + (self.seconds if retry_after is None else retry_after)

    def end(self, index: int) -> None:
        """End a pause, because the provider answered."""
        self._until.pop(index, None)

    def seconds_left(self, index: int) -> float:
        """Return the remaining seconds of a pause, 0 if there isn't one."""
        until = self._until.get(index)
        return 0.0 if until is None else max(0.0, until - time.monotonic())

    def __reduce__(self) -> tuple[type[Pauses], tuple[float]]:
        return Pauses, (self.seconds,)  # another process has another clock
