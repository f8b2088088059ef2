"""Messages in the order that the API accepts, and what they look like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit import turns as kit
from tako.kit.turns import Blocks, Item, Turn

if TYPE_CHECKING:
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

BREAKPOINTS = 4
"""Cache marks that one request may have."""


def _with_id(block: dict[str, Any], id: str) -> dict[str, Any]:
    return {**block, "tool_use_id" if "tool_use_id" in block else "id": id}


BLOCKS = Blocks(
    kind_of=lambda block: str(block.get("type")),
    only={
        "image": "user",
        "tool_result": "user",
        "tool_use": "assistant",
        "thinking": "assistant",
        "redacted_thinking": "assistant",
    },
    system=frozenset({"text"}),
    call="tool_use",
    result="tool_result",
    id_of=lambda block: block.get("tool_use_id", block.get("id")),
    with_id=_with_id,
    not_id=re.compile(r"[^a-zA-Z0-9_-]"),
    longest_id=256,
    not_last=frozenset({"thinking", "redacted_thinking"}),
)


def arrange(request: ChatRequest, translator: Translator, context: PartContext) -> tuple[list[Item], list[Turn]]:
    """Return the system blocks and the turns; what cannot stand where it is is noted and left out."""
    system, turns = kit.arrange(request, translator, context, BLOCKS)
    if turns and turns[-1].role == "assistant":
        _trim(turns[-1].items[-1], context)
    items = [*system, *(item for turn in turns for item in turn.items)]
    for item in items:
        item.cached = "cache_control" in item.block  # a plugin may have set it, too
    kit.unmark(system, turns, BREAKPOINTS, context)
    for item in items:
        if not item.cached:
            item.block = {key: value for key, value in item.block.items() if key != "cache_control"}
    return system, turns


def content(items: list[Item]) -> str | list[dict[str, Any]]:
    """Return the content of a turn, or the system's: one plain text is a string, anything else an array."""
    first = items[0].block
    if len(items) == 1 and first.keys() == {"type", "text"} and first["type"] == "text":
        return str(first["text"])
    return [item.block for item in items]


def _trim(item: Item, context: PartContext) -> None:
    """Take the white space off the end of the text that the reply begins with; the API refuses it there."""
    text = item.block.get("text")
    if item.kind == "text" and isinstance(text, str) and text != text.rstrip():
        item.block = {**item.block, "text": text.rstrip()}
        context.notice(notices.CHANGED_PART, "a text that the reply goes on from lost its last white space", item.path)
