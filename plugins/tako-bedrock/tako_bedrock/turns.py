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
from tako_bedrock.documents import arrange_media, name_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

MAX_CACHE_POINTS = 4
"""Cache points that one request may have."""
DEFAULT_TTL = "5m"
"""How long a cache point lasts by default."""

_NOT_CLAUDE_ID = re.compile(r"[^a-zA-Z0-9_-]")


def cache_point(mark: bool | str) -> dict[str, Any]:
    """Return the block that marks the end of a cached prefix, with its time to live if the mark has one."""
    return {"cachePoint": {"type": "default", **({"ttl": mark} if isinstance(mark, str) else {})}}


def _kind_of(block: dict[str, Any]) -> str:
    """Return a block's kind. Calls and results of tools that the vendor runs have a type."""
    kind = next((name for name in ("toolUse", "toolResult") if name in block), None)
    if kind is None:
        return next(iter(block), "")
    return f"server {kind}" if "type" in block[kind] else kind


def _inner(block: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the one key of a call or a result, and its value."""
    kind = "toolUse" if "toolUse" in block else "toolResult"
    return kind, block[kind]


def _id_of(block: dict[str, Any]) -> Any:
    return _inner(block)[1].get("toolUseId")


def _with_id(block: dict[str, Any], id: str) -> dict[str, Any]:
    kind, inner = _inner(block)
    return {kind: {**inner, "toolUseId": id}}


BLOCKS = Blocks(
    kind_of=_kind_of,
    role_of_kind={
        "image": "user",
        "document": "user",
        "video": "user",
        "audio": "user",
        "toolResult": "user",
        "toolUse": "assistant",
        "reasoningContent": "assistant",
    },
    system_kinds=frozenset({"text", "guardContent", "cachePoint"}),
    call_kind="toolUse",
    result_kind="toolResult",
    id_of=_id_of,
    with_id=_with_id,
    forbidden_in_id=re.compile(r"[^a-zA-Z0-9_.:-]"),
)
CLAUDE = replace(BLOCKS, forbidden_in_id=_NOT_CLAUDE_ID, not_last_kinds=frozenset({"reasoningContent"}))


def arrange(
    request: ChatRequest, rules: Rules, translator: Translator, context: PartContext
) -> tuple[list[Item], list[Turn]]:
    """Return the system blocks and the turns. A block in the wrong place is left out, with a notice."""
    blocks = CLAUDE if rules.family == "claude" else BLOCKS
    system, turns = kit.arrange(request, translator, context, blocks)
    leave_out_prefill(turns, rules, context)
    if system and turns and not rules.converse.system:
        system = _system_as_user(system, turns[0], context)
    for turn in turns:
        arrange_media(turn, context)
    name_documents(turns)
    for item in system:
        item.cached = cache_mark(item.cached, "system", item.path, rules, context)
    for item in [item for turn in turns for item in turn.items]:
        item.cached = cache_mark(item.cached, "messages", item.path, rules, context)
    marked = len([tool for tool in request.tools if isinstance(tool, Tool) and tool.cache])
    kit.limit_cache_marks(
        system, turns, max(MAX_CACHE_POINTS - (marked if "tools" in rules.converse.cache else 0), 0), context
    )
    context.path = ""
    return system, turns


def _system_as_user(system: list[Item], first: Turn, context: PartContext) -> list[Item]:
    """Put the system's text before the user's, for a model without system messages. Returns an empty list."""
    for item in system:
        text = "the system's text was sent as the user's: this model takes no system messages"
        context.notice(notices.CHANGED_PART, text, item.path)
    first.items[:0] = system
    return []


def cache_mark(mark: bool | str, section: str, path: str, rules: Rules, context: PartContext) -> bool | str:
    """Return a cache mark that the model accepts. A mark that is changed or left out gets a notice."""
    if not mark:
        return False
    if section not in rules.converse.cache:
        text = f"a cache mark was left out: {model_phrase(rules)} takes no cache points there"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, path)
        return False
    if rules.converse.cache_hour or mark is True or mark == DEFAULT_TTL:
        return mark if rules.converse.cache_hour else True
    text = f"a cache mark of {mark} was sent without its time: this model takes {DEFAULT_TTL} alone"
    context.notice(notices.CHANGED_PARAMETER, text, path)
    return True


def model_phrase(rules: Rules) -> str:
    """Return what a notice calls a model. For an unknown model that's how to tell tako which it is."""
    return "this model" if rules.family else "a model that tako doesn't know (base_model= says which it is)"


def has_open_calls(turns: list[Turn]) -> bool:
    """Whether the request ends with results of calls in a turn of the model that doesn't begin with thinking."""
    if len(turns) < 2 or turns[-1].items[0].kind != BLOCKS.result_kind:  # noqa: PLR2004 - calls and their results
        return False
    return turns[-2].items[0].kind != "reasoningContent"


def called_tools(turns: list[Turn]) -> Iterator[str]:
    """Yield the names of the tools that the conversation has called."""
    yield from (
        str(item.block["toolUse"]["name"]) for turn in turns for item in turn.items if item.kind == BLOCKS.call_kind
    )


def content_of(items: list[Item]) -> list[dict[str, Any]]:
    """Return the blocks, each with its cache point."""
    return [
        block for item in items for block in ((item.block, cache_point(item.cached)) if item.cached else (item.block,))
    ]
