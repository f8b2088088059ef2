"""Messages in the order that Converse accepts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.kit import turns as kit
from tako.kit.turns import Blocks, Item, Turn

if TYPE_CHECKING:
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

CACHE_POINTS = 4
"""Cache points that one request may have."""

_NOT_CLAUDE_ID = re.compile(r"[^a-zA-Z0-9_-]")


def cache_point(mark: bool | str) -> dict[str, Any]:
    """Return the block that marks the end of a cached prefix, with its time to live if that is said."""
    return {"cachePoint": {"type": "default", **({"ttl": mark} if isinstance(mark, str) else {})}}


def _kind_of(block: dict[str, Any]) -> str:
    """Name a block's kind; calls and results of the vendor's side are told by their types."""
    kind = next((name for name in ("toolUse", "toolResult") if name in block), None)
    if kind is None:
        return next(iter(block), "")
    return f"server {kind}" if "type" in block[kind] else kind


def _inner(block: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Take a call or a result apart: its one key, and what that holds."""
    kind = "toolUse" if "toolUse" in block else "toolResult"
    return kind, block[kind]


def _id_of(block: dict[str, Any]) -> Any:
    return _inner(block)[1].get("toolUseId")


def _with_id(block: dict[str, Any], id: str) -> dict[str, Any]:
    kind, inner = _inner(block)
    return {kind: {**inner, "toolUseId": id}}


BLOCKS = Blocks(
    kind_of=_kind_of,
    only={
        "image": "user",
        "document": "user",
        "video": "user",
        "audio": "user",
        "toolResult": "user",
        "toolUse": "assistant",
        "reasoningContent": "assistant",
    },
    system=frozenset({"text", "guardContent", "cachePoint"}),
    call="toolUse",
    result="toolResult",
    id_of=_id_of,
    with_id=_with_id,
    not_id=re.compile(r"[^a-zA-Z0-9_.:-]"),
)
CLAUDE = replace(BLOCKS, not_id=_NOT_CLAUDE_ID, not_last=frozenset({"reasoningContent"}))


def arrange(
    request: ChatRequest, model: str, translator: Translator, context: PartContext
) -> tuple[list[Item], list[Turn]]:
    """Return the system blocks and the turns; what cannot stand where it is is noted and left out."""
    system, turns = kit.arrange(request, translator, context, CLAUDE if "claude" in model else BLOCKS)
    kit.unmark(system, turns, CACHE_POINTS, context)
    context.path = ""
    return system, turns


def content_of(items: list[Item]) -> list[dict[str, Any]]:
    """Return the blocks, each with its cache point."""
    return [
        block for item in items for block in ((item.block, cache_point(item.cached)) if item.cached else (item.block,))
    ]
