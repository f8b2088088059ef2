"""Messages in the order that the API accepts, and what they look like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import notices
from tako.kit import turns as kit
from tako.kit.families import trim
from tako.kit.messages.decode import LONGEST_ID, NOT_ID
from tako.kit.turns import Blocks, Item, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

MAX_CACHE_MARKS = 4
"""Cache marks that one request may have."""
SHORT_LIFETIME, LONG_LIFETIME = "5m", "1h"
"""How long a cache mark lasts by default, and the longer time, which may not follow the shorter one."""


def _with_id(block: dict[str, Any], id: str) -> dict[str, Any]:
    return {**block, "tool_use_id" if "tool_use_id" in block else "id": id}


BLOCKS = Blocks(
    kind_of=lambda block: str(block.get("type")),
    role_of_kind={
        "image": "user",
        "document": "user",
        "search_result": "user",
        "container_upload": "user",
        "tool_result": "user",
        "tool_use": "assistant",
        "thinking": "assistant",
        "redacted_thinking": "assistant",
    },
    system_kinds=frozenset({"text"}),
    call_kind="tool_use",
    result_kind="tool_result",
    id_of=lambda block: block.get("tool_use_id", block.get("id")),
    with_id=_with_id,
    forbidden_in_id=NOT_ID,
    longest_id=LONGEST_ID,
    first_kinds=frozenset({"compaction"}),
    not_last_kinds=frozenset({"thinking", "redacted_thinking"}),
    server_results=re.compile(r"._tool_result$"),
)
BETWEEN = replace(BLOCKS, between_turns=frozenset({"text", "tool_addition", "tool_removal"}))
"""The same for models that take system messages between turns.

They may follow the user's turn or the result of a tool that the vendor ran, and only a turn of the model's may follow
them (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages).
"""

COMPATIBLE = replace(BLOCKS, not_last_kinds=frozenset())
"""The same for servers that only speak the API: their own messages go back, whatever they end with."""


def arrange(
    request: ChatRequest,
    translator: Translator,
    context: PartContext,
    blocks: Blocks = BLOCKS,
    tools: Sequence[Item] = (),
) -> tuple[list[Item], list[Turn]]:
    """Return the system blocks and the turns; what cannot stand where it is is noted and left out.

    ``tools``: what is declared, whose cache marks count, too.
    """
    system, turns = kit.arrange(request, translator, context, blocks)
    if turns and turns[-1].role == "assistant" and not turns[-1].is_own:
        trim(turns[-1].items[-1], context)
    items = [*tools, *system, *(item for turn in turns for item in turn.items)]
    for item in items:
        item.cached = "cache_control" in item.block  # a plugin may have set it, too
    kit.limit_cache_marks(system, turns, MAX_CACHE_MARKS - ("cache_control" in request.extra), context, tools)
    for item in items:
        if not item.cached and "cache_control" in item.block:
            item.block = {key: value for key, value in item.block.items() if key != "cache_control"}
    _shorten_cache_marks([item for item in items if item.cached], context)
    for call, result in _calls_with_results(turns):
        if "toolset_name" in call.block:  # the API wants it with the result, too
            result.block = {"toolset_name": call.block["toolset_name"], **result.block}
    return system, turns


def content(items: list[Item]) -> str | list[dict[str, Any]]:
    """Return the content of a turn, or the system's: one plain text is a string, anything else an array."""
    first = items[0].block
    if len(items) == 1 and first.keys() == {"type", "text"} and first["type"] == "text":
        return str(first["text"])
    return [item.block for item in items]


def _shorten_cache_marks(marked: list[Item], context: PartContext) -> None:
    """Shorten cache marks of an hour that follow shorter ones; the API refuses them."""
    has_short = False
    for item in marked:
        mark = item.block["cache_control"]
        if has_short and mark.get("ttl") == LONG_LIFETIME:
            item.block = {**item.block, "cache_control": {**mark, "ttl": SHORT_LIFETIME}}
            text = f"a cache mark of {LONG_LIFETIME} was sent as {SHORT_LIFETIME}: a shorter one comes before it"
            context.notice(notices.CHANGED_PARAMETER, text, item.path)
        has_short = has_short or mark.get("ttl", SHORT_LIFETIME) == SHORT_LIFETIME


def _calls_with_results(turns: list[Turn]) -> Iterator[tuple[Item, Item]]:
    """Yield calls with their results."""
    calls: dict[Any, Item] = {}
    for item in [item for turn in turns for item in turn.items]:
        if item.kind == BLOCKS.call_kind:
            calls[BLOCKS.id_of(item.block)] = item
        elif item.kind == BLOCKS.result_kind:
            yield calls[BLOCKS.id_of(item.block)], item
