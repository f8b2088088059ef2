"""Ids of tool calls: always present and unique."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msgspec.structs import replace

from tako.json_values import text_of
from tako.parts import ToolCallPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tako.parts import Part


def mint_id() -> str:
    """Make an id for a call that came without one."""
    return f"call_{uuid4().hex[:24]}"


def read_id(value: Any) -> str:
    """Return a call's id as text, "" if it doesn't have one: servers number their calls, and write "null" for none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:.0f}" if float(value).is_integer() else str(value)
    return "" if value == "null" else text_of(value)


class CallIds:
    """The ids of one reply's calls."""

    def __init__(self, mint: Callable[[], str] = mint_id) -> None:
        self._used: dict[str, None] = {}  # a third of a set, and most replies have no calls
        self._mint = mint

    def __len__(self) -> int:
        return len(self._used)

    def unique(self, id: str | None) -> str:
        """Return the vendor's id, or a new one if it doesn't have one or gave it to another call of this reply."""
        unique_id = id if id and id not in self._used else self._mint()
        self._used[unique_id] = None
        return unique_id

    def give(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Yield the parts, each call with an id that no other call of this reply has."""
        for part in parts:
            if isinstance(part, ToolCallPart) and (id := self.unique(part.id)) != part.id:
                yield replace(part, id=id)
            else:
                yield part
