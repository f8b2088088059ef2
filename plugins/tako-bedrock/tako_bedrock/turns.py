"""Messages in the order that Converse accepts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import notices
from tako.kit import turns as kit
from tako.kit.families import Rules, leave_out_prefill
from tako.kit.turns import Blocks, Item, Turn
from tako.types import Tool
from tako_bedrock.documents import give_names, put_beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

CACHE_POINTS = 4
"""Cache points that one request may have."""
SHORT = "5m"
"""How long a cache point lasts by default."""

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
    request: ChatRequest, rules: Rules, translator: Translator, context: PartContext
) -> tuple[list[Item], list[Turn]]:
    """Return the system blocks and the turns; what cannot stand where it is is noted and left out."""
    blocks = CLAUDE if rules.family == "claude" else BLOCKS
    system, turns = kit.arrange(request, translator, context, blocks)
    leave_out_prefill(turns, rules, context)
    if system and turns and not rules.converse.system:
        system = _as_users(system, turns[0], context)
    for turn in turns:
        put_beside(turn, context)
    give_names(turns)
    for item in system:
        item.cached = cache_mark(item.cached, "system", item.path, rules, context)
    for item in [item for turn in turns for item in turn.items]:
        item.cached = cache_mark(item.cached, "messages", item.path, rules, context)
    marked = len([tool for tool in request.tools if isinstance(tool, Tool) and tool.cache])
    kit.unmark(system, turns, max(CACHE_POINTS - (marked if "tools" in rules.converse.cache else 0), 0), context)
    context.path = ""
    return system, turns


def _as_users(system: list[Item], first: Turn, context: PartContext) -> list[Item]:
    """Put the system's text before the user's own, for a model that takes no other; nothing of it is left."""
    for item in system:
        text = "the system's text was sent as the user's: this model takes no system messages"
        context.notice(notices.CHANGED_PART, text, item.path)
    first.items[:0] = system
    return []


def cache_mark(mark: bool | str, place: str, path: str, rules: Rules, context: PartContext) -> bool | str:
    """Return a cache mark as the model takes it; what is changed or left out is noted."""
    if not mark:
        return False
    if place not in rules.converse.cache:
        text = f"a cache mark was left out: {who(rules)} takes no cache points there"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, path)
        return False
    if rules.converse.cache_hour or mark is True or mark == SHORT:
        return mark if rules.converse.cache_hour else True
    text = f"a cache mark of {mark} was sent without its time: this model takes {SHORT} alone"
    context.notice(notices.CHANGED_PARAMETER, text, path)
    return True


def who(rules: Rules) -> str:
    """Name a model in a notice of what it doesn't take; of one that isn't known, say how to tell which it is."""
    return "this model" if rules.family else "a model that tako doesn't know (base_model= says which it is)"


def open_calls(turns: list[Turn]) -> bool:
    """Tell whether the reply goes on after tool results to a turn of the model that does not begin with thinking."""
    if len(turns) < 2 or turns[-1].items[0].kind != BLOCKS.result:  # noqa: PLR2004 - calls and their results
        return False
    return turns[-2].items[0].kind != "reasoningContent"


def called(turns: list[Turn]) -> Iterator[str]:
    """Yield the names of the tools that the conversation calls."""
    yield from (str(item.block["toolUse"]["name"]) for turn in turns for item in turn.items if item.kind == BLOCKS.call)


def content_of(items: list[Item]) -> list[dict[str, Any]]:
    """Return the blocks, each with its cache point."""
    return [
        block for item in items for block in ((item.block, cache_point(item.cached)) if item.cached else (item.block,))
    ]
