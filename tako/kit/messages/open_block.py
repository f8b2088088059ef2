"""A block of a stream while its pieces come."""

from __future__ import annotations

from typing import Any

from tako.fold import parse_arguments
from tako.json_values import as_array, text_of
from tako.types import Delta, ToolCallDelta

STREAMED_FIELDS = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}
"""The kinds of blocks that are handed over as they come, and the field that their pieces are in."""


class OpenBlock:
    """The fields that a block began with, and what has been added to them.

    ``streamed_field`` is the field whose pieces are handed over as they come, "" if none is; ``texts`` are those
    pieces. ``call_index`` is the block's place among the calls.
    """

    __slots__ = ("call_index", "fields", "kind", "pieces", "streamed_field", "texts")

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields.copy()
        self.kind = text_of(fields.get("type"))
        self.streamed_field = STREAMED_FIELDS.get(self.kind, "")
        self.call_index = -1
        self.texts: list[str] = [text_of(fields.get(self.streamed_field))]
        self.pieces: dict[str, list[Any]] = {self.streamed_field: self.texts} if self.streamed_field else {}

    @property
    def has_streamed(self) -> bool:
        """Whether some of its text, reasoning or arguments has been handed over."""
        return any(self.texts)

    def accepts(self, name: str) -> bool:
        """Whether a piece of that field can be this block's: reasoning is in no text, and text in no reasoning."""
        return name == self.streamed_field or name not in STREAMED_FIELDS or self.kind not in STREAMED_FIELDS

    def delta(self, text: str) -> Delta:
        """Return a piece of the main field as a delta."""
        if self.call_index >= 0:
            return Delta(tool_calls=[ToolCallDelta(self.call_index, None, None, text)])
        return Delta(text) if self.kind == "text" else Delta(reasoning=text)

    def add(self, name: str, value: Any) -> None:
        """Add a value to a field: text and lists grow, anything else replaces, null adds nothing."""
        if isinstance(value, str):
            self.pieces.setdefault(name, [text_of(self.fields.get(name))]).append(value)
        elif isinstance(value, list):
            self.pieces.setdefault(name, [as_array(self.fields.get(name)) or []]).append(value)
        elif value is not None:
            self.fields[name] = value

    def complete(self) -> dict[str, Any]:
        """Return the block as a whole reply has it."""
        fields = self.fields
        for name, pieces in self.pieces.items():
            texts = [piece for piece in pieces if isinstance(piece, str)]
            fields[name] = "".join(texts) if texts else [item for piece in pieces for item in piece]
        if text := fields.pop("partial_json", None):
            fields["input"] = parse_arguments(text)
        return fields
