"""Messages in the order that Converse accepts: alternating, the user first, every call answered in the next turn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako import notices
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

ROLES = {Role.SYSTEM: "system", Role.USER: "user", Role.TOOL: "user", Role.ASSISTANT: "assistant"}
SYSTEM_BLOCKS = frozenset({"text", "guardContent", "cachePoint"})
ONLY = {
    "image": "user",
    "document": "user",
    "video": "user",
    "audio": "user",
    "toolResult": "user",
    "toolUse": "assistant",
    "reasoningContent": "assistant",
}
"""Where blocks of a kind may stand; text and a plugin's own blocks may stand in either turn."""
CACHE_POINT = {"cachePoint": {"type": "default"}}
CACHE_POINTS = 4
"""Cache points that one request may have."""
LONGEST_ID = 64

_NOT_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
_NOT_CLAUDE_ID = re.compile(r"[^a-zA-Z0-9_-]")


class Item(Struct):
    """A block, whether a cache point follows it, and the place of its part in the request."""

    block: dict[str, Any]
    cached: bool
    path: str

    @property
    def kind(self) -> str:
        """The one key of the block."""
        return next(iter(self.block), "")


class Turn(Struct):
    """Consecutive messages of one role."""

    role: str
    items: list[Item]

    def blocks(self) -> list[dict[str, Any]]:
        """The content as it goes out."""
        return content_of(self.items)


def content_of(items: list[Item]) -> list[dict[str, Any]]:
    """Return the blocks, each with its cache point."""
    return [block for item in items for block in ((item.block, CACHE_POINT) if item.cached else (item.block,))]


def arrange(
    request: ChatRequest, model: str, translator: Translator, context: PartContext
) -> tuple[list[Item], list[Turn]]:
    """Return the system blocks and the turns; what cannot stand where it is is noted and left out."""
    items = list(_items(request, translator, context))
    system = [item for role, item in items if role == "system"]
    turns = _merged([Turn(role, [item]) for role, item in items if role != "system"])
    _pair(turns, _NOT_CLAUDE_ID if "claude" in model else _NOT_ID, context)
    turns = _merged([turn for turn in turns if turn.items])
    while turns and (turns[0].role == "assistant" or not turns[0].items):
        for item in turns.pop(0).items:
            context.notice(notices.MISPLACED_PART, "it was left out: the first message must be the user's", item.path)
        if turns:
            _drop(turns[0], [item for item in turns[0].items if item.kind == "toolResult"], context)
    _limit_marks([*system, *(item for turn in turns for item in turn.items)], context)
    context.path = ""
    return system, turns


def _items(request: ChatRequest, translator: Translator, context: PartContext) -> Iterator[tuple[str, Item]]:
    """Encode every part, and keep what may stand in a message of its role."""
    for i, message in enumerate(request.messages):
        role = ROLES[message.role]
        context.message = message
        for j, part in enumerate(message.parts):
            context.path = path = f"messages[{i}].content[{j}]"
            before = len(context.notices)
            block = translator.encode(part, context)
            if block is None:
                if len(context.notices) == before:
                    context.notice(notices.UNSUPPORTED_PART, f"a {type(part).__name__} was left out")
                continue
            item = Item(block, getattr(part, "cache", False), path)
            if item.kind in SYSTEM_BLOCKS if role == "system" else ONLY.get(item.kind, role) == role:
                yield role, item
            else:
                text = f"a {type(part).__name__} cannot stand in a {message.role} message"
                context.notice(notices.MISPLACED_PART, text, path)


def _merged(turns: list[Turn]) -> list[Turn]:
    """Join neighbours of one role; in the user's turns results come first."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1].items += turn.items
        else:
            merged.append(turn)
    for turn in merged:
        turn.items.sort(key=lambda item: turn.role == "user" and item.kind != "toolResult")
    return merged


def _pair(turns: list[Turn], not_id: re.Pattern[str], context: PartContext) -> None:
    """Match calls with results, give them ids that the API takes, and leave out what has no counterpart."""
    used: set[str] = set()
    waiting: list[Item] = []
    followers = [*turns[1:], Turn("user", [])]
    for turn, following in zip(turns, followers, strict=False):  # of no turns, none
        results = [item for item in turn.items if item.kind == "toolResult"]
        _drop(turn, [item for item in results if not any(item is wanted for wanted in waiting)], context)
        waiting = []
        for call in [item for item in turn.items if item.kind == "toolUse"]:
            id = call.block["toolUse"]["toolUseId"]
            answers = [item for item in following.items if item.kind == "toolResult" and item not in waiting]
            answer = next((item for item in answers if item.block["toolResult"]["toolUseId"] == id), None)
            if answer is None:
                context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", call.path)
                turn.items = [item for item in turn.items if item is not call]
                continue
            waiting.append(answer)
            id = _wire_id(str(id), not_id, used)
            call.block = {"toolUse": {**call.block["toolUse"], "toolUseId": id}}
            answer.block = {"toolResult": {**answer.block["toolResult"], "toolUseId": id}}


def _drop(turn: Turn, results: list[Item], context: PartContext) -> None:
    """Leave out results that no call before them waits for."""
    for result in results:
        id = result.block["toolResult"].get("toolUseId")
        text = f"a tool result was left out: no call before it waits for {id!r}"
        context.notice(notices.UNKNOWN_CALL, text, result.path)
    turn.items = [item for item in turn.items if not any(item is result for result in results)]


def _wire_id(id: str, not_id: re.Pattern[str], used: set[str]) -> str:
    """Return the id where the API takes it, else one like it, unique in the conversation."""
    stem = wanted = not_id.sub("_", id)[:LONGEST_ID] or "call"
    number = 2
    while wanted in used:
        wanted = f"{stem[: LONGEST_ID - 6]}_{number}"
        number += 1
    used.add(wanted)
    return wanted


def _limit_marks(items: list[Item], context: PartContext) -> None:
    """Keep the last cache points that a request may have: a later one covers what comes before it."""
    for item in [item for item in items if item.cached][:-CACHE_POINTS]:
        item.cached = False
        text = f"a cache mark was left out: a request may have {CACHE_POINTS}"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, item.path)
