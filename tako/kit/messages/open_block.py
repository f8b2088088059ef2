"""A block of a stream while its pieces come."""

from __future__ import annotations

from typing import Any

from tako.fold import arguments
from tako.json_values import as_array, text_of
from tako.types import Delta, ToolCallDelta

LIVE = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}
"""The kinds of blocks that are handed over as they come, and the field that their pieces are in."""


class OpenBlock:
    """The fields that a block began with, and what has been added to them.

    ``main`` is the field whose pieces are handed over as they come, "" if none is; ``texts`` are those pieces. ``call``
    is the block's place among the calls.
    """

    __slots__ = ("call", "fields", "kind", "main", "pieces", "texts")

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields.copy()
        self.kind = text_of(fields.get("type"))
        self.main = LIVE.get(self.kind, "")
        self.call = -1
        self.texts: list[str] = [text_of(fields.get(self.main))]
        self.pieces: dict[str, list[Any]] = {self.main: self.texts} if self.main else {}

    @property
    def live(self) -> bool:
        """Whether some of its text, reasoning or arguments has been handed over."""
        return any(self.texts)

    def takes(self, name: str) -> bool:
        """Whether a piece of that field can be this block's: reasoning is in no text, and text in no reasoning."""
        return name == self.main or name not in LIVE or self.kind not in LIVE

    def delta(self, text: str) -> Delta:
        """Return a piece of the main field as a delta."""
        if self.call >= 0:
            return Delta(tool_calls=[ToolCallDelta(self.call, None, None, text)])
        return Delta(text) if self.kind == "text" else Delta(reasoning=text)

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
