"""Ids of tool calls: present and unique, whatever a vendor sends."""

from __future__ import annotations

from tako.kit.completions.decode import mint_id


class CallIds:
    """The ids of one reply's calls."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unique(self, id: str | None) -> str:
        """Return the vendor's id, or a new one where it has none or gave it to another call of this reply."""
        chosen = id if id and id not in self._used else mint_id()
        self._used.add(chosen)
        return chosen
