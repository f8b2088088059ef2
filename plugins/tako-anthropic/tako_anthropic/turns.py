"""Messages in the order that the API accepts: alternating, the user first, every call answered in the turn after it."""

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
ONLY = {
    "image": ("user",),
    "tool_result": ("user",),
    "tool_use": ("assistant",),
    "thinking": ("assistant",),
    "redacted_thinking": ("assistant",),
}
"""Where blocks of a type may stand. Text may stand anywhere, blocks of a plugin anywhere but in the system text."""
BREAKPOINTS = 4
"""Cache marks that one request may have."""

_NOT_ID = re.compile(r"[^a-zA-Z0-9_-]")


class Item(Struct):
    """A block, and the place of its part in the request."""

    block: dict[str, Any]
    path: str

    @property
    def kind(self) -> str:
        """The type of the block."""
        return str(self.block.get("type"))


class Turn(Struct):
    """Consecutive messages of one role."""

    role: str
    items: list[Item]


def arrange(request: ChatRequest, translator: Translator, context: PartContext) -> tuple[list[Item], list[Turn]]:
    """Return the system blocks and the turns; what cannot stand where it is is noted and left out."""
    items = list(_items(request, translator, context))
    system = [item for role, item in items if role == "system"]
    turns = _merged([Turn(role, [item]) for role, item in items if role != "system"])
    _pair(turns, context)
    turns = _merged([turn for turn in turns if turn.items])
    while turns and (turns[0].role == "assistant" or not turns[0].items):
        for item in turns.pop(0).items:
            context.notice(notices.MISPLACED_PART, "it was left out: the first message must be the user's", item.path)
        if turns:
            _drop_results(turns[0], context)
    if turns and turns[-1].role == "assistant":
        _trim(turns[-1].items[-1], context)
    _limit_marks([*system, *(item for turn in turns for item in turn.items)], context)
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
            elif role in ONLY.get(block.get("type"), (role,)) and (role != "system" or block.get("type") == "text"):
                yield role, Item(block, path)
            else:
                text = f"a {type(part).__name__} cannot stand in a {message.role} message"
                context.notice(notices.MISPLACED_PART, text, path)
    context.path = ""


def _merged(turns: list[Turn]) -> list[Turn]:
    """Join neighbours of one role; in the user's turns results come first."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1].items += turn.items
        else:
            merged.append(turn)
    for turn in merged:
        turn.items.sort(key=lambda item: turn.role == "user" and item.kind != "tool_result")
    return merged


def _pair(turns: list[Turn], context: PartContext) -> None:
    """Match calls with results, give them ids that the API takes, and leave out what has no counterpart."""
    used: set[str] = set()
    followers = [*turns[1:], Turn("user", [])]
    for turn, following in zip(turns, followers, strict=False):  # of no turns, none
        if turn.role == "user":
            if turn is turns[0]:
                _drop_results(turn, context)
            continue
        results = [item for item in following.items if item.kind == "tool_result"]
        answered: list[Item] = []
        for call in [item for item in turn.items if item.kind == "tool_use"]:
            result = next((item for item in results if item.block["tool_use_id"] == call.block["id"]), None)
            if result is None:
                context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", call.path)
                turn.items.remove(call)
                continue
            results.remove(result)
            answered.append(result)
            id = _wire_id(str(call.block["id"]), used)
            call.block = {**call.block, "id": id}
            result.block = {**result.block, "tool_use_id": id}
        for result in results:
            _drop_result(following, result, context)


def _drop_results(turn: Turn, context: PartContext) -> None:
    for item in [item for item in turn.items if item.kind == "tool_result"]:
        _drop_result(turn, item, context)


def _drop_result(turn: Turn, item: Item, context: PartContext) -> None:
    text = f"a tool result was left out: no call before it waits for {item.block.get('tool_use_id')!r}"
    context.notice(notices.UNKNOWN_CALL, text, item.path)
    turn.items = [other for other in turn.items if other is not item]


def _wire_id(id: str, used: set[str]) -> str:
    """Return the id where the API takes it, else one like it: letters, digits, _ and -, unique in the conversation."""
    stem = wanted = _NOT_ID.sub("_", id) or "call"
    number = 2
    while wanted in used:
        wanted = f"{stem}_{number}"
        number += 1
    used.add(wanted)
    return wanted


def _trim(item: Item, context: PartContext) -> None:
    """Take the white space off the end of the text that the reply begins with; the API refuses it there."""
    text = item.block.get("text")
    if item.kind == "text" and isinstance(text, str) and text != text.rstrip():
        item.block = {**item.block, "text": text.rstrip()}
        context.notice(notices.CHANGED_PART, "a text that the reply goes on from lost its last white space", item.path)


def _limit_marks(items: list[Item], context: PartContext) -> None:
    """Keep the last cache marks that a request may have: a later one covers what comes before it."""
    marked = [item for item in items if "cache_control" in item.block]
    for item in marked[:-BREAKPOINTS]:
        item.block = {key: value for key, value in item.block.items() if key != "cache_control"}
        text = f"a cache mark was left out: a request may have {BREAKPOINTS}"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, item.path)
