"""A beginning of the reply that the caller wrote, as the family of the model takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.json_values import as_array, as_object
from tako.kit.families import PREFILL_REFUSED, TRIMMED, rules_of

if TYPE_CHECKING:
    from tako.translator import PartContext


def without_prefill(messages: list[dict[str, Any]], context: PartContext) -> list[dict[str, Any]]:
    """Leave out a last message of the assistant's where the model refuses it, or the white space at its end."""
    rules = rules_of(context.known_as)
    last = messages[-1] if messages else {}
    if last.get("role") != "assistant" or "tool_calls" in last:
        return messages
    path = f"messages[{len(context.request.messages) - 1}]"
    if not rules.prefill:
        context.notice(notices.MISPLACED_PART, PREFILL_REFUSED, path)
        return messages[:-1]
    stripped = without_trailing_space(last) if rules.trimmed else last
    if stripped is not last:
        context.notice(notices.CHANGED_PART, TRIMMED, path)
    return [*messages[:-1], stripped]


def without_trailing_space(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message without white space at its end; the message itself where it has none."""
    content = message.get("content")
    if isinstance(content, str):
        return message if content == content.rstrip() else {**message, "content": content.rstrip()}
    blocks = as_array(content) or []
    block = as_object(blocks[-1]) if blocks else None
    text = block.get("text") if block is not None else None
    if not isinstance(text, str) or text == text.rstrip():
        return message
    return {**message, "content": [*blocks[:-1], {**(block or {}), "text": text.rstrip()}]}
