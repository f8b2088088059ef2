"""Calls of a reply: which of them a fragment belongs to, whatever a server makes of ``index`` and ``id``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tako.json_values import as_object, text_of
from tako.kit.completions.blocks import CALL_FIELDS, Block, fragment
from tako.kit.deltas import merge_pieces
from tako.kit.encoding import merge
from tako.kit.ids import CallIds, mint_id, read_id
from tako.parts import ToolCallPart
from tako.types import Delta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tako.parts import Part


class OpenCall:
    """A call as far as it has come. Its ``kind`` is the field of what it calls, "" if tako doesn't know its type."""

    def __init__(self, call: Block, id: str, position: int = 0) -> None:
        self.position = position
        self.wire_id = read_id(call.get("id"))
        self.id = id
        kind = text_of(call.get("type")) or "function"
        self.kind = _kind(call) or (kind if kind in CALL_FIELDS else "")
        self.name: str | None = None
        self.texts: list[str] = []
        self._other_fields: list[Block] = []

    @property
    def complete(self) -> bool:
        """Whether its arguments are whole JSON."""
        return _is_json("".join(self.texts))

    def add(self, call: Block) -> str:
        """Add a fragment, and return its piece of the arguments."""
        inner = as_object(call.get(self.kind)) or {}
        field = CALL_FIELDS.get(self.kind, "")
        text = fragment(inner.get(field))
        if self.name is not None and self.texts and inner.get("name"):
            text = self._new_text(text)
        self.name = self.name or text_of(inner.get("name")) or None
        self.texts.append(text)
        if not (inner.keys() <= {"name", field} and call.keys() <= {"index", "id", "type", self.kind}):
            self._other_fields.append(self._unusual_fields(call, inner))
        return text

    def _new_text(self, text: str) -> str:
        """Return what is new of a fragment that says the name again: some servers then say all arguments again.

        It's no repetition if a value begins there, since objects of one shape may be in one another.
        """
        received = "".join(self.texts)
        if not received or not text.startswith(received) or (received[-1] in ":[," and not _is_json(text)):
            return text
        return text[len(received) :]

    def repeats(self, call: Block) -> bool:
        """Whether a whole call is this one again."""
        inner = as_object(call.get(self.kind)) or {}
        text = fragment(inner.get(CALL_FIELDS.get(self.kind, "")))
        return inner.get("name") == self.name and text == "".join(self.texts) and self.complete

    def _unusual_fields(self, call: Block, inner: Block) -> Block:
        """Return what a fragment has beside the usual. The type is usual if it's one that tako knows."""
        usual_fields = ("index", "id", "type", self.kind) if self.kind else ("index", "id")
        fields = {name: value for name, value in call.items() if name not in usual_fields}
        more_of_function = {
            name: value for name, value in inner.items() if name not in ("name", CALL_FIELDS.get(self.kind))
        }
        return {**fields, self.kind: more_of_function} if more_of_function else fields

    def block(self) -> Block:
        """Return the call as a whole reply has it, with the id that tako gives it."""
        fields: Block = merge_pieces(self._other_fields) if self._other_fields else {}
        if not self.kind:
            return {"tool_calls": [{"id": self.wire_id, **fields} if self.wire_id else fields]}
        function = {"name": self.name or "", CALL_FIELDS[self.kind]: "".join(self.texts)}
        return merge(fields, {"id": self.id, "type": self.kind, self.kind: function})


def complete_calls(calls: Sequence[Block], mint: Callable[[], str]) -> Iterator[Block]:
    """List the calls of a whole reply, each with an id of its own."""
    ids = CallIds(mint)
    for call in map(_with_function, calls):
        open_call = OpenCall(call, ids.unique(read_id(call.get("id"))))
        open_call.add(call)
        yield open_call.block()


class CallIndex:
    """Gives each call of a stream one index and one unique id.

    Servers omit ``index``, send 0 for every call, change ids within a call, repeat id and name with every fragment, or
    send whole calls at once. A fragment opens a new call when its index is new, or when it has a name and an id of its
    own (or no index) and the call that it would continue is complete, or is of another name.
    """

    def __init__(self, mint: Callable[[], str] = mint_id) -> None:
        self.calls: list[OpenCall] = []
        self._by_index: dict[int, OpenCall] = {}
        self._ids = CallIds(mint)
        self._parallel: list[OpenCall] = []

    def __bool__(self) -> bool:
        return bool(self.calls)

    def pieces(self, calls: Sequence[Block]) -> Iterator[ToolCallDelta | OpenCall]:
        """Yield the fragments of one delta as tako numbers them; of a call whose kind it doesn't know, the call.

        Where several come without index, id and name, each continues the call that stood in its place before.
        """
        if len(calls) == 1:
            yield self.piece(_with_function(calls[0]))
            return
        calls = [*map(_with_function, calls)]
        previous, self._parallel = self._parallel, []
        for i, call in enumerate(calls):
            name = _name(call)
            continued = self._find(call, name)
            if not (isinstance(call.get("index"), int) or read_id(call.get("id"))):
                if name is None:
                    continued = previous[i] if len(previous) == len(calls) else continued
                elif continued in self._parallel:
                    continued = None
            open_call, piece = self._add(call, continued)
            self._parallel.append(open_call)
            yield piece

    def contains(self, call: Block) -> bool:
        """Whether a whole call has come already."""
        return any(earlier.repeats(_with_function(call)) for earlier in self.calls)

    def add_arguments(self, index: int, text: str) -> ToolCallDelta | None:
        """Add a piece of its arguments to the function call of that index, if there is one."""
        open_call = self._by_index.get(index)
        if open_call is None or open_call.kind != "function":
            return None
        open_call.texts.append(text)
        return ToolCallDelta(open_call.position, None, None, text)

    def states(self, decode: Callable[[Block], Part | None]) -> Iterator[Delta]:
        """Yield the states of the calls, which only the end of a stream tells."""
        for call in self.calls:
            part = decode(call.block()) if call.kind else None
            if isinstance(part, ToolCallPart) and part.state is not None:
                yield Delta(tool_calls=[ToolCallDelta(call.position, state=part.state)])

    def piece(self, call: Block) -> ToolCallDelta | OpenCall:
        """Return a fragment as tako numbers it."""
        return self._add(call, self._find(call, _name(call)))[1]

    def _add(self, call: Block, continued: OpenCall | None) -> tuple[OpenCall, ToolCallDelta | OpenCall]:
        """Add a fragment to the call that it continues, or begin one with it."""
        open_call, is_new = continued, continued is None
        if open_call is None:
            open_call = OpenCall(call, self._ids.unique(read_id(call.get("id"))), len(self.calls))
            self.calls.append(open_call)
            if isinstance(call.get("index"), int):
                self._by_index[call["index"]] = open_call
        has_late_name = open_call.name is None
        text = open_call.add(call)
        if not open_call.kind:
            return open_call, open_call
        return open_call, ToolCallDelta(
            open_call.position, open_call.id if is_new else None, open_call.name if has_late_name else None, text
        )

    def _find(self, call: Block, name: str | None) -> OpenCall | None:
        """Find the open call that a fragment continues, or None where it begins one."""
        id, index = read_id(call.get("id")), call.get("index")
        same_id_call = next((continued for continued in self.calls if continued.wire_id == id), None) if id else None
        if not isinstance(index, int):
            is_new = same_id_call is not None and name is not None and same_id_call.complete and _has_text(call)
            if is_new and same_id_call is not None and not same_id_call.repeats(call):
                return None  # another one that has the same id
            last = self.calls[-1] if self.calls else None
            known = same_id_call or last
            is_beginning = same_id_call is None and name is not None and (bool(id) or _is_over(last, name))
            return None if is_beginning else known
        known = self._by_index.get(index)
        if known is None:
            return same_id_call if name is None else None  # an index that changes within a call
        is_beginning = same_id_call is not known and name is not None and bool(id) and _is_over(known, name)
        return None if is_beginning else known


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def _is_over(open_call: OpenCall | None, name: str) -> bool:
    """Whether a fragment of this name cannot belong to the call before."""
    return open_call is None or open_call.complete or open_call.name not in (None, name)


def _name(call: Block) -> str | None:
    """Return what a fragment calls; of a call whose kind tako doesn't know its type, which only its first piece has."""
    if kind := _kind(call):
        return text_of(call[kind].get("name")) or None
    kind = text_of(call.get("type"))
    return kind if kind and kind not in CALL_FIELDS else None


def _has_text(call: Block) -> bool:
    """Whether a fragment has a piece of arguments."""
    kind = _kind(call)
    return bool(kind and call[kind].get(CALL_FIELDS[kind]))


def _with_function(call: Block) -> Block:
    """Return a call whose name and arguments stand where the wire has them: some servers have them one level up."""
    if _kind(call) or not ("name" in call or "arguments" in call) or text_of(call.get("type")) not in ("", "function"):
        return call
    other_fields = {name: value for name, value in call.items() if name not in ("name", "arguments", "function")}
    return {**other_fields, "function": {name: call[name] for name in ("name", "arguments") if name in call}}


def _kind(call: Block) -> str:
    """Tell what a fragment calls by the field that it has for it, or return "" if it doesn't have one."""
    return next((kind for kind in CALL_FIELDS if isinstance(call.get(kind), dict)), "")
