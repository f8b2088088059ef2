"""An item of a stream, as far as it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import text_of
from tako.kit.responses.blocks import CALLS, blocks_of, reasoning_text

if TYPE_CHECKING:
    from tako.types import Delta

REASONING_SUMMARY = "response.reasoning_summary_text.delta"
REASONING_TEXT = "response.reasoning_text.delta"
REASONING = {REASONING_SUMMARY: ("summary", "summary_text"), REASONING_TEXT: ("content", "reasoning_text")}
"""The deltas of reasoning, the field of an item that has them in the end, and the type of its entries."""
EMPTY_TEXT: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}


class OpenItem:
    """An item as far as it has come. ``index`` is its place as the server counts, None if it doesn't."""

    def __init__(self, index: int | None, fields: dict[str, Any], *, announced: bool) -> None:
        self.index = index
        self.fields = fields
        self.is_announced = announced  # an event said that it begins
        self.open_part: tuple[str, int] | None = None  # the text or reasoning that is open: its kind, and its index
        self.content: dict[int, Any] = {}  # parts of a message's content that are done
        self.reasoning: dict[tuple[str, int], list[str]] = {}  # reasoning that was streamed, by its place
        self.handed_over: set[int] = set()  # places of the content that were handed over
        self.call_index: int | None = None  # the number of a call that was handed over
        self.arguments: list[str] = []  # pieces that came before the call's name
        self.handed_length = 0  # characters of a call's arguments that were handed over
        self.is_done = False
        self.waiting: list[Delta] = []

    @property
    def kind(self) -> str:
        """The item's type."""
        return text_of(self.fields.get("type"))

    @property
    def ids(self) -> set[str]:
        """The ids by which events and the whole reply name the item."""
        return ids_of(self.fields)

    def may_be(self, kind: str) -> bool:
        """Whether the item can be of that type, by what has come of it."""
        streamed_kind = "" if self.open_part is None else "reasoning" if self.open_part[0] in REASONING else "message"
        return kind in (self.kind or streamed_kind, streamed_kind or self.kind)

    def block(self, index: int) -> dict[str, Any]:
        """Return the block of a part of the content before the last one."""
        part = self.content.get(index, EMPTY_TEXT)
        return next(blocks_of({**self.fields, "type": "message", "content": [part, {}]}))

    def complete_fields(self) -> None:
        """Complete the fields of an item that no event shows whole from what has come of it."""
        fields = {**self.fields, "status": "completed"} if self.fields.get("status") == "in_progress" else self.fields
        if self.reasoning and not reasoning_text(fields):
            fields = {"type": "reasoning", **fields}
            for (event, _), texts in self.reasoning.items():
                name, kind = REASONING[event]
                fields[name] = [*(fields.get(name) or ()), {"type": kind, "text": "".join(texts)}]
        elif not (self.reasoning or fields.get("content")) and (self.open_part is not None or self.content):
            last = max(self.content, default=0) if self.open_part is None else max(self.open_part[1], *self.content, 0)
            content = [self.content.get(index, EMPTY_TEXT) for index in range(last + 1)]
            fields = {"type": "message", "role": "assistant", **fields, "content": content}
        elif self.arguments:
            fields = {**fields, "arguments": "".join(self.arguments)}
        self.fields = fields


def ids_of(fields: dict[str, Any]) -> set[str]:
    """Return the ids that an item has: its own, or that of its call, which the answer to it has as well."""
    id = text_of(fields.get("id")) or (text_of(fields.get("call_id")) if fields.get("type") in CALLS else "")
    return {id} if id else set()
