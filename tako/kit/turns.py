"""Messages of wires with two roles that alternate: the user first, every call answered in the turn after it.

Anthropic's Messages and Bedrock's Converse are of this kind; what their blocks look like is in a ``Blocks``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako import notices
from tako.kit.encoding import encode_parts, speak_as_user
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

ROLES = {Role.SYSTEM: "system", Role.USER: "user", Role.TOOL: "user", Role.ASSISTANT: "assistant"}

Block = dict[str, Any]


class Blocks(Struct, frozen=True):
    """What a wire's blocks look like.

    ``kind_of`` names a block's kind; ``only`` says in whose turns kinds may stand (others in either), ``system`` which
    may stand in the system text. ``call`` and ``result`` are the kinds of calls and their results; ``id_of`` and
    ``with_id`` read and write the id that pairs them. ``not_id`` matches a character that no id may have,
    ``longest_id`` counts the characters of one. ``not_last``: kinds that no turn of the model's may end with.
    """

    kind_of: Callable[[Block], str]
    only: Mapping[str, str]
    system: frozenset[str]
    call: str
    result: str
    id_of: Callable[[Block], Any]
    with_id: Callable[[Block, str], Block]
    not_id: re.Pattern[str]
    longest_id: int = 64
    not_last: frozenset[str] = frozenset()


class Item(Struct, eq=False):
    """A block, its kind, whether its part bears a cache mark, and the place of the part in the request."""

    block: Block
    kind: str
    cached: bool | str
    path: str


class Turn(Struct, eq=False):
    """Consecutive messages of one role."""

    role: str
    items: list[Item]


def arrange(
    request: ChatRequest, translator: Translator, context: PartContext, blocks: Blocks
) -> tuple[list[Item], list[Turn]]:
    """Return the system blocks and the turns; what cannot stand where it is is noted and left out."""
    items = list(_items(request, translator, context, blocks))
    system = [item for role, item in items if role == "system"]
    turns = _merged([Turn(role, [item]) for role, item in items if role != "system"], blocks)
    _pair(turns, context, blocks)
    for turn in turns:
        while turn.items and turn.items[-1].kind in blocks.not_last:
            text = "it was left out: the model's turn may not end with it"
            context.notice(notices.MISPLACED_PART, text, turn.items.pop().path)
    turns = _merged([turn for turn in turns if turn.items], blocks)
    while turns and (turns[0].role == "assistant" or not turns[0].items):
        for item in turns.pop(0).items:
            context.notice(notices.MISPLACED_PART, "it was left out: the first message must be the user's", item.path)
        if turns:
            _drop(turns[0], [item for item in turns[0].items if item.kind == blocks.result], context, blocks)
    context.path = ""
    return system, turns


def with_user(system: list[Item], turns: list[Turn], context: PartContext) -> tuple[list[Item], list[Turn]]:
    """Return what is arranged with a turn of the user's: without any, the system's text is the user's, which is noted.

    Raises ConfigurationError where there is nothing to say at all.
    """
    if turns:
        return system, turns
    speak_as_user(system, context)
    return [], [Turn("user", system)] if system else []


def unmark(system: list[Item], turns: list[Turn], most: int, context: PartContext) -> None:
    """Keep the last cache marks that a request may have: a later one covers what comes before it."""
    marked = [item for item in [*system, *(item for turn in turns for item in turn.items)] if item.cached]
    for item in marked[:-most]:
        item.cached = False
        text = f"a cache mark was left out: a request may have {most}"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, item.path)


def _items(
    request: ChatRequest, translator: Translator, context: PartContext, blocks: Blocks
) -> Iterator[tuple[str, Item]]:
    """Encode every part, and keep what may stand in a message of its role."""
    for i, message in enumerate(request.messages):
        role = ROLES[message.role]
        for part, block in encode_parts(message, i, translator, context):
            kind = blocks.kind_of(block)
            if kind in blocks.system if role == "system" else blocks.only.get(kind, role) == role:
                yield role, Item(block, kind, getattr(part, "cache", False), context.path)
            else:
                text = f"a {type(part).__name__} cannot stand in a {message.role} message"
                context.notice(notices.MISPLACED_PART, text)


def _merged(turns: list[Turn], blocks: Blocks) -> list[Turn]:
    """Join neighbours of one role; in the user's turns results come first."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1].items += turn.items
        else:
            merged.append(turn)
    for turn in merged:
        turn.items.sort(key=lambda item: turn.role == "user" and item.kind != blocks.result)
    return merged


def _pair(turns: list[Turn], context: PartContext, blocks: Blocks) -> None:
    """Match calls with results, give them ids that the wire takes, and leave out what has no counterpart."""
    used: set[str] = set()
    waiting: list[Item] = []
    followers = [*turns[1:], Turn("user", [])]
    for turn, following in zip(turns, followers, strict=False):  # of no turns, none
        results = [item for item in turn.items if item.kind == blocks.result]
        _drop(turn, [item for item in results if item not in waiting], context, blocks)
        waiting = []
        for call in [item for item in turn.items if item.kind == blocks.call]:
            id = blocks.id_of(call.block)
            answers = [item for item in following.items if item.kind == blocks.result and item not in waiting]
            answer = next((item for item in answers if blocks.id_of(item.block) == id), None)
            if answer is None:
                context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", call.path)
                turn.items.remove(call)
                continue
            waiting.append(answer)
            wire_id = _wire_id(str(id), used, blocks)
            call.block = blocks.with_id(call.block, wire_id)
            answer.block = blocks.with_id(answer.block, wire_id)


def _drop(turn: Turn, results: list[Item], context: PartContext, blocks: Blocks) -> None:
    """Leave out results that no call before them waits for."""
    for result in results:
        text = f"a tool result was left out: no call before it waits for {blocks.id_of(result.block)!r}"
        context.notice(notices.UNKNOWN_CALL, text, result.path)
        turn.items.remove(result)


def _wire_id(id: str, used: set[str], blocks: Blocks) -> str:
    """Return the id where the wire takes it, else one like it, unique in the conversation."""
    stem = wanted = blocks.not_id.sub("_", id)[: blocks.longest_id] or "call"
    number = 2
    while wanted in used:
        wanted = f"{stem[: blocks.longest_id - 6]}_{number}"
        number += 1
    used.add(wanted)
    return wanted
