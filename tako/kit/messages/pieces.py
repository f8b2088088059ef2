"""A block of a stream while its pieces come."""

from __future__ import annotations

from typing import Any

from tako.fold import arguments
from tako.loose import as_array, text_of
from tako.types import Delta, ToolCallDelta

LIVE = frozenset(("text", "thinking"))
"""The kinds of blocks whose text is handed over as it comes; it's in the field of the same name."""


class OpenBlock:
    """The fields that a block began with, and what has been added to them.

    ``live``: some of its text, reasoning or arguments has been handed over. ``call``: its place among the calls.
    ``texts``: the pieces of its text, if it is one.
    """

    __slots__ = ("call", "fields", "kind", "live", "pieces", "texts")

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields.copy()
        self.kind = text_of(fields.get("type"))
        self.live = False
        self.call: int | None = None
        self.pieces: dict[str, list[Any]] = {}
        self.texts = self.pieces.setdefault("text", [text_of(fields.get("text"))]) if self.kind == "text" else []

    def takes(self, name: str) -> bool:
        """Whether a piece of that field can be this block's: reasoning is in no text, and text in no reasoning."""
        return name == self.kind or name not in LIVE or self.kind not in LIVE

    def take(self, name: str, text: str) -> Delta | None:
        """Add a piece of text to a field, and return the delta that hands it over, if any does."""
        pieces = self.pieces.get(name)
        if pieces is None:
            pieces = self.pieces[name] = [text_of(self.fields.get(name))]
        pieces.append(text)
        if not text:
            return None
        if name == self.kind:
            self.live = True
            return Delta(text) if name == "text" else Delta(reasoning=text)
        if self.call is not None and name == "partial_json":
            self.live = True
            return Delta(tool_calls=[ToolCallDelta(self.call, None, None, text)])
        return None

    def add(self, name: str, value: Any) -> None:
        """Add a value to a field: text and lists grow, anything else replaces, null adds nothing."""
        if isinstance(value, str):
            self.pieces.setdefault(name, [text_of(self.fields.get(name))]).append(value)
        elif isinstance(value, list):
            self.pieces.setdefault(name, [as_array(self.fields.get(name)) or []]).append(value)
        elif value is not None:
            self.fields[name] = value

    def whole(self) -> dict[str, Any]:
        """Return the block as a whole reply has it."""
        whole = self.fields
        for name, pieces in self.pieces.items():
            texts = [piece for piece in pieces if isinstance(piece, str)]
            whole[name] = "".join(texts) if texts else [item for piece in pieces for item in piece]
        if text := whole.pop("partial_json", None):
            whole["input"] = arguments(text)
        return whole
