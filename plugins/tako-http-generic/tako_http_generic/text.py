"""The placeholder ``text``: the messages as plain text, for endpoints that take a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.json_values import as_array, as_object, text_of

if TYPE_CHECKING:
    from tako.translator import PartContext


def plain_text(messages: list[dict[str, Any]], context: PartContext) -> str:
    """Return the text of encoded messages. If there are several, each begins with its role.

    The context gets a notice for each message with something else than text.
    """
    texts = [(text_of(message.get("role")), _text(message, i, context)) for i, message in enumerate(messages)]
    texts = [(role, text) for role, text in texts if text]
    return texts[0][1] if len(texts) == 1 else "\n\n".join([f"{role.capitalize()}: {text}" for role, text in texts])


def _text(message: dict[str, Any], i: int, context: PartContext) -> str:
    content = message.get("content")
    blocks = [as_object(block) or {} for block in as_array(content) or ()]
    texts = [text_of(block.get("text")) for block in blocks if block.get("type") == "text"]
    if len(texts) < len(blocks) or message.keys() - {"role", "content"}:
        text = "what isn't text was left out: the placeholder {{ text }} has only text"
        context.notice(notices.UNSUPPORTED_PART, text, f"messages[{i}]")
    return text_of(content) or "".join(texts)
