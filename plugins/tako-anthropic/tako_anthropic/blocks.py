"""Blocks of the Messages API, without those that Anthropic's own server refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit import messages
from tako.parts import Part, ReasoningPart

if TYPE_CHECKING:
    from tako.translator import PartContext

ANTHROPIC_URL = "https://api.anthropic.com"


def encode_part(part: Part, context: PartContext) -> dict[str, Any] | None:
    """Return the content block of one part, or None with a notice.

    Incomplete thinking has no signature, and Anthropic refuses it. Other servers may have no signatures.
    """
    block = messages.encode_part(part, context)
    if not isinstance(part, ReasoningPart) or block is None or context.origin.server != ANTHROPIC_URL:
        return block
    if block.get("type") == "thinking" and not block.get("signature"):
        context.notice(
            notices.UNSUPPORTED_PART, "reasoning was left out: the API doesn't take it back without its signature"
        )
        return None
    return block
