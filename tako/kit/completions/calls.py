"""Which call a fragment belongs to, whatever a server makes of ``index`` and ``id``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tako.kit.completions.decode import mint_id
from tako.kit.completions.shapes import fragment
from tako.types import ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tako.kit.completions.shapes import Call


class _Open:
    """A call as far as it has come."""

    def __init__(self, position: int, id: str | None, name: str | None) -> None:
        self.position = position
        self.wire_id = id
        self.name = name
        self.texts: list[str] = []

    @property
    def complete(self) -> bool:
        """Whether its arguments are whole JSON."""
        try:
            msgspec.json.decode("".join(self.texts))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return False
        return True


class CallIndex:
    """Gives each call of a stream one index and one unique id.

    Servers omit ``index``, send 0 for every call, change ids within a call, repeat id and name with every fragment, or
    send whole calls at once. A fragment opens a new call when its index is new, or when it has a name and an id of its
    own (or no index) and the call that it would continue is complete, or is of another name.
    """

    def __init__(self) -> None:
        self._calls: list[_Open] = []
        self._by_index: dict[int, _Open] = {}
        self._ids: set[str] = set()
        self._together: list[_Open] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def pieces(self, calls: Sequence[Call]) -> list[ToolCallDelta]:
        """Return the fragments of one delta as tako numbers them.

        Where several come without index, id and name, each continues the call that stood in its place before.
        """
        if len(calls) == 1:
            return [self.piece(calls[0])]
        before, self._together = self._together, []
        made: list[ToolCallDelta] = []
        for place, call in enumerate(calls):
            known = self._find(call, _name(call))
            if not (isinstance(call.index, int) or call.id):
                if _name(call) is None:
                    known = before[place] if len(before) == len(calls) else known
                elif known in self._together:
                    known = None
            made.append(self._add(call, known))
            self._together.append(self._calls[made[-1].index])
        return made

    def piece(self, call: Call) -> ToolCallDelta:
        """Return a fragment as tako numbers it."""
        return self._add(call, self._find(call, _name(call)))

    def _add(self, call: Call, known: _Open | None) -> ToolCallDelta:
        """Add a fragment to the call that it continues, or begin one with it."""
        function, name = call.called, _name(call)
        text = fragment(function.arguments) if function else ""
        if known is not None:
            known.texts.append(text)
            late = name if known.name is None else None
            known.name = known.name or name
            return ToolCallDelta(known.position, None, late, text)
        opened = _Open(len(self._calls), call.id or None, name)
        opened.texts.append(text)
        self._calls.append(opened)
        if isinstance(call.index, int):
            self._by_index[call.index] = opened
        id = call.id if call.id and call.id not in self._ids else mint_id()
        self._ids.add(id)
        return ToolCallDelta(opened.position, id, name, text)

    def _find(self, call: Call, name: str | None) -> _Open | None:
        """Find the open call that a fragment continues, or None where it begins one."""
        same_id = next((known for known in self._calls if call.id and known.wire_id == call.id), None)
        if not isinstance(call.index, int):
            last = self._calls[-1] if self._calls else None
            known = same_id or last
            begins = same_id is None and name is not None and (bool(call.id) or _is_over(last, name))
            return None if begins else known
        known = self._by_index.get(call.index)
        if known is None:
            return same_id if name is None else None  # an index that changes within a call
        begins = same_id is not known and name is not None and bool(call.id) and _is_over(known, name)
        return None if begins else known


def _is_over(known: _Open | None, name: str) -> bool:
    """Whether a fragment of this name cannot belong to the call before."""
    return known is None or known.complete or known.name not in (None, name)


def _name(call: Call) -> str | None:
    function = call.called
    return function.name or None if function else None
