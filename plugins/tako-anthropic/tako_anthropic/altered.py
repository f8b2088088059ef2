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

BETA = "thinking-binding-controls-2026-08-01"
"""The beta feature by which a request may say what happens to such thinking."""
DROPPED: ContextVar[ChatRequest | None] = ContextVar("DROPPED", default=None)
"""The request whose thinking was refused, so that retries of it leave it out from the start."""
REFUSED = 400
THINKING = ("thinking", "redacted_thinking")
_PLACE = re.compile(r"messages\.(\d+)\.content\.(\d+)")
_NAMED = re.compile(r"thinking\W{0,3} block")


def is_refused(body: dict[str, Any], error: BadRequestError) -> bool:
    """Whether Claude refused a request since the conversation before its thinking has changed."""
    return error.status_code == REFUSED and _names_thinking(str(error.args[0]), body)


def dropping(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the body with which Claude leaves out such thinking, None if the request says itself what happens."""
    thinking = as_object(body.get("thinking")) or {"type": "adaptive"}
    if thinking.get("type") not in ("adaptive", "enabled") or "block_binding" in thinking:
        return None
    return {**body, "thinking": {**thinking, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}}


def _names_thinking(message: str, body: dict[str, Any]) -> bool:
    """Whether a refusal is about thinking in the request. The API has no code for it: its message names the block."""
    turns = [as_array((as_object(message) or {}).get("content")) or [] for message in as_array(body["messages"]) or []]
    kinds = [[(as_object(block) or {}).get("type") for block in turn] for turn in turns]
    if not any(kind in THINKING for turn in kinds for kind in turn):
        return False
    place = _PLACE.search(message)
    if place is None:
        return _NAMED.search(message) is not None
    i, j = int(place[1]), int(place[2])
    return i < len(kinds) and j < len(kinds[i]) and kinds[i][j] in THINKING
