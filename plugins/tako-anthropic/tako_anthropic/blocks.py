"""Content blocks of a reply as parts (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

from typing import Any

from tako.kit.completions.decode import mint_id
from tako.loose import as_object
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart


def decode_block(block: Any, provider: str) -> Part | None:
    """Return the part that a block of a reply stands for; tools that ran on the server's side are none of ours."""
    found = as_object(block) or {}
    match found.get("type"):
        case "text" if found.get("text"):
            return TextPart(str(found["text"]))
        case "thinking":
            return ReasoningPart(str(found.get("thinking") or ""), _string(found.get("signature")), provider)
        case "redacted_thinking":
            return ReasoningPart("", None, provider, found)
        case "tool_use":
            given = found.get("input")
            return ToolCallPart(
                _string(found.get("id")) or mint_id(), str(found.get("name") or ""), {} if given is None else given
            )
        case _:
            return None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
