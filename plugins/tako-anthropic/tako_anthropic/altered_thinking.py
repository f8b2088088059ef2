"""Thinking that Claude refuses because the conversation before it has changed.

https://platform.claude.com/docs/en/build-with-claude/preserved-thinking/fix-bound-to-a-different-conversation
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tako.json_values import as_array, as_object

if TYPE_CHECKING:
    from tako import ChatRequest
    from tako.errors import BadRequestError

BINDING_BETA = "thinking-binding-controls-2026-08-01"
"""The beta feature with which a request says what happens to such thinking."""
REFUSED_REQUEST: ContextVar[ChatRequest | None] = ContextVar("REFUSED_REQUEST", default=None)
"""The request whose thinking was refused. Its retries leave that thinking out at once."""
BAD_REQUEST = 400
THINKING_TYPES = ("thinking", "redacted_thinking")
_BLOCK_PATH = re.compile(r"messages\.(\d+)\.content\.(\d+)")
_THINKING_BLOCK = re.compile(r"thinking\W{0,3} block")


def refuses_thinking(body: dict[str, Any], error: BadRequestError) -> bool:
    """Whether Claude refused a request because the conversation before its thinking has changed."""
    return error.status_code == BAD_REQUEST and _is_about_thinking(str(error.args[0]), body)


def drop_altered_blocks(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the body with which Claude leaves out such thinking. None if the request has its own setting."""
    thinking = as_object(body.get("thinking")) or {"type": "adaptive"}
    if thinking.get("type") not in ("adaptive", "enabled") or "block_binding" in thinking:
        return None
    return {**body, "thinking": {**thinking, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}}


def _is_about_thinking(message: str, body: dict[str, Any]) -> bool:
    """Whether an error is about thinking in the request. The API has no code for that; the message names the block."""
    turns = [as_array((as_object(message) or {}).get("content")) or [] for message in as_array(body["messages"]) or []]
    kinds = [[(as_object(block) or {}).get("type") for block in turn] for turn in turns]
    if not any(kind in THINKING_TYPES for turn in kinds for kind in turn):
        return False
    match = _BLOCK_PATH.search(message)
    if match is None:
        return _THINKING_BLOCK.search(message) is not None
    i, j = int(match[1]), int(match[2])
    return i < len(kinds) and j < len(kinds[i]) and kinds[i][j] in THINKING_TYPES
