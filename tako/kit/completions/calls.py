"""Which call a fragment belongs to, whatever a server makes of ``index`` and ``id``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tako.kit.completions.decode import mint_id
from tako.kit.completions.shapes import fragment
from tako.types import ToolCallDelta

if TYPE_CHECKING:
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
        except msgspec.DecodeError:
            return False
        return True


class CallIndex:
    """Gives each call of a stream one index and one unique id.

    Servers omit ``index``, send 0 for every call, change ids within a call, repeat id and name with every fragment, or
    send whole calls at once. A fragment opens a new call when its index is new, or when it has a name and an id of its
    own (or no index) and the call that it would continue is complete.
    """

    def __init__(self) -> None:
        self._calls: list[_Open] = []
        self._by_index: dict[int, _Open] = {}
        self._ids: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._calls)

    def piece(self, call: Call) -> ToolCallDelta:
        """Return a fragment as tako numbers it."""
        function = call.function
        name = function.name or None if function else None
        text = fragment(function.arguments) if function else ""
        known = self._find(call, name)
        if known is not None:
            known.texts.append(text)
            late = name if known.name is None else None
            known.name = known.name or name
            return ToolCallDelta(known.position, None, late, text)
        opened = _Open(len(self._calls), call.id or None, name)
        opened.texts.append(text)
        self._calls.append(opened)
        if call.index is not None:
            self._by_index[call.index] = opened
        id = call.id if call.id and call.id not in self._ids else mint_id()
        self._ids.add(id)
        return ToolCallDelta(opened.position, id, name, text)

    def _find(self, call: Call, name: str | None) -> _Open | None:
        """Find the open call that a fragment continues, or None where it begins one."""
        same_id = next((known for known in self._calls if call.id and known.wire_id == call.id), None)
        if call.index is None:
            last = self._calls[-1] if self._calls else None
            known = same_id or last
            begins = same_id is None and name is not None and (bool(call.id) or last is None or last.complete)
            return None if begins else known
        known = self._by_index.get(call.index)
        if known is None or same_id is known:
            return known
        begins = name is not None and bool(call.id) and known.complete
        return None if begins else known
