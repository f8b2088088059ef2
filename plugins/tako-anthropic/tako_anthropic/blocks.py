"""What Anthropic's own servers refuse of the blocks that the Messages API has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit import messages
from tako.parts import Part, ReasoningPart

if TYPE_CHECKING:
    from tako.translator import PartContext

SERVER = "https://api.anthropic.com"


def encode_part(part: Part, context: PartContext) -> dict[str, Any] | None:
    """Return the content block of one part, or None with a notice.

    Thinking that was cut has no signature, and Anthropic doesn't take it back. Other servers may sign nothing.
    """
    block = messages.encode_part(part, context)
    if not isinstance(part, ReasoningPart) or block is None or context.origin.server != SERVER:
        return block
    if block.get("type") == "thinking" and not block.get("signature"):
        context.notice(
            notices.UNSUPPORTED_PART, "reasoning was left out: the API doesn't take it back without its signature"
        )
        return None
    return block
