"""Who is passed over for a while."""

from __future__ import annotations

import time


class Pauses:
    """The pauses of providers, by their places in the list. ``seconds``: how long, unless the vendor says."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until: dict[int, float] = {}

    def begin(self, place: int, retry_after: float | None) -> None:
        """Let one pause."""
        self._until[place] = time.monotonic() + (self.seconds if retry_after is None else retry_after)

    def over(self, place: int) -> None:
        """End a pause, since the provider answers."""
        self._until.pop(place, None)

    def left(self, place: int) -> float:
        """Return the seconds that are left of a pause, 0 if there is none."""
        until = self._until.get(place)
        return 0.0 if until is None else max(0.0, until - time.monotonic())

    def __reduce__(self) -> tuple[type[Pauses], tuple[float]]:
        return Pauses, (self.seconds,)  # another process has another clock
