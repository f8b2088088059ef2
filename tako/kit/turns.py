"""Messages for wires with two alternating roles: the user first, and every call answered in the next turn.

Anthropic's Messages and Bedrock's Converse are of this kind; what their blocks look like is in a ``Blocks``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako import notices
from tako.errors import kind_of
from tako.kit.blocks import is_own
from tako.kit.encoding import encode_parts, note_system_as_user
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest

ROLES = {Role.SYSTEM: "system", Role.USER: "user", Role.TOOL: "user", Role.ASSISTANT: "assistant"}

Block = dict[str, Any]


class Blocks(Struct, frozen=True):
    """What a wire's blocks look like.

    - ``kind_of``: names a block's kind.
    - ``role_of_kind``: the only role in whose turns a kind may stand; other kinds may stand in either.
    - ``system_kinds``: the kinds that may stand in the system text.
    - ``between_turns``: the kinds that may stand in a system message between turns, None if the wire has no such
      messages.
    - ``call_kind`` and ``result_kind``: the kinds of calls and of their results.
    - ``id_of`` and ``with_id``: read and write the id that pairs them.
    - ``forbidden_in_id``: matches a character that no id may have. ``longest_id`` counts the characters of an id.
    - ``first_kinds``: the kinds with which a turn of the model's may begin a conversation.
    - ``not_last_kinds``: the kinds that no turn of the model's may end with, unless it's to go on.
    - ``server_results``: matches the kinds of results of tools that the vendor ran; a system message may follow those.
    """

    kind_of: Callable[[Block], str]
    role_of_kind: Mapping[str, str]
    system_kinds: frozenset[str]
    call_kind: str
    result_kind: str
    id_of: Callable[[Block], Any]
    with_id: Callable[[Block, str], Block]
    forbidden_in_id: re.Pattern[str]
    longest_id: int = 64
    between_turns: frozenset[str] | None = None
    first_kinds: frozenset[str] = frozenset()
    not_last_kinds: frozenset[str] = frozenset()
    server_results: re.Pattern[str] | None = None


class Item(Struct, eq=False):
    """A block, its kind, its cache mark, and where its part stands in the request: its path, and its place in order.

    ``is_own``: the vendor that gets the request made the part, so it's never moved or renamed.
    """

    block: Block
    kind: str
    cached: bool | str
    path: str
    position: int = 0
    is_own: bool = False


class Turn(Struct, eq=False):
    """Consecutive messages of one role."""

    role: str
    items: list[Item]

    @property
    def is_own(self) -> bool:
        """Whether the vendor sent this turn, or a part of it: then it's no beginning that the caller wrote."""
        return any(item.is_own for item in self.items)


def arrange(
    request: ChatRequest, translator: Translator, context: PartContext, blocks: Blocks
) -> tuple[list[Item], list[Turn]]:
    """Return the system blocks and the turns; what cannot stand where it is is noted and left out."""
    items = list(_items(request, translator, context, blocks))
    turns = _merged([Turn(role, [item]) for role, item in items if role != "system"], blocks)
    _pair_calls(turns, context, blocks)
    for turn in turns[:-1] if turns and turns[-1].is_own else turns:
        while turn.items and turn.items[-1].kind in blocks.not_last_kinds:
            text = "it was left out: the model's message can't end with it"
            context.notice(notices.MISPLACED_PART, text, turn.items.pop().path)
    turns = _starting_with_user(_merged([turn for turn in turns if turn.items], blocks), context, blocks)
    system, turns = _place_system([item for role, item in items if role == "system"], turns, context, blocks)
    context.path = ""
    return system, turns


def with_user_turn(system: list[Item], turns: list[Turn], context: PartContext) -> tuple[list[Item], list[Turn]]:
    """Return what is arranged with a turn of the user's: without any, the system's text is the user's, which is noted.

    Raises ConfigurationError where there is nothing to say at all.
    """
    if turns:
        return system, turns
    note_system_as_user(system, context)
    return [], [Turn("user", system)] if system else []


def limit_cache_marks(
    system: list[Item], turns: list[Turn], limit: int, context: PartContext, tools: Sequence[Item] = ()
) -> None:
    """Keep the last cache marks that a request may have: a later one covers what comes before it."""
    marked = [item for item in [*tools, *system, *(item for turn in turns for item in turn.items)] if item.cached]
    for item in marked[: max(len(marked) - limit, 0)]:
        item.cached = False
        text = f"a cache mark was left out: a request may have {limit}"
        context.notice(notices.UNSUPPORTED_PARAMETER, text, item.path)


def _items(
    request: ChatRequest, translator: Translator, context: PartContext, blocks: Blocks
) -> Iterator[tuple[str, Item]]:
    """Encode every part, and keep what may stand in a message of its role."""
    system = blocks.system_kinds | (blocks.between_turns or frozenset())
    position = 0
    for i, message in enumerate(request.messages):
        role = ROLES[message.role]
        for part, block in encode_parts(message, i, translator, context):
            kind = blocks.kind_of(block)
            item = Item(block, kind, getattr(part, "cache", False), context.path, position, is_own(part, context))
            if kind in system if role == "system" else blocks.role_of_kind.get(kind, role) == role or item.is_own:
                position += 1
                yield role, item
            else:
                text = f"{kind_of(part)} can't be in a {message.role} message"
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
        turn.items.sort(key=lambda item: turn.role == "user" and item.kind != blocks.result_kind)
    return merged


def _pair_calls(turns: list[Turn], context: PartContext, blocks: Blocks) -> None:
    """Match calls with results, give them ids that the wire takes, and leave out what has no counterpart."""
    used: set[str] = set()
    waiting: list[Item] = []
    followers = [*turns[1:], Turn("user", [])]
    for turn, following in zip(turns, followers, strict=False):  # of no turns, none
        results = [item for item in turn.items if item.kind == blocks.result_kind]
        _drop_results(turn, [item for item in results if item not in waiting], context, blocks)
        waiting = []
        for call in [item for item in turn.items if item.kind == blocks.call_kind]:
            id = blocks.id_of(call.block)
            results_here = [item for item in following.items if item.kind == blocks.result_kind and item not in waiting]
            result = next((item for item in results_here if blocks.id_of(item.block) == id), None)
            if result is None:
                context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", call.path)
                turn.items.remove(call)
                continue
            waiting.append(result)
            wire_id = _wire_id(str(id), call, used, blocks)
            if wire_id != id:
                call.block = blocks.with_id(call.block, wire_id)
                result.block = blocks.with_id(result.block, wire_id)


def _drop_results(turn: Turn, results: list[Item], context: PartContext, blocks: Blocks) -> None:
    """Leave out results that no call before them waits for."""
    for result in results:
        text = f"a tool result was left out: no call before it waits for {blocks.id_of(result.block)!r}"
        context.notice(notices.UNKNOWN_CALL, text, result.path)
        turn.items.remove(result)


def _wire_id(id: str, call: Item, used: set[str], blocks: Blocks) -> str:
    """Return the id if the wire takes it or has made it, else one like it, unique in the conversation."""
    if call.is_own:
        used.add(id)
        return id
    base = wire_id = blocks.forbidden_in_id.sub("_", id)[: blocks.longest_id] or "call"
    number = 2
    while wire_id in used:
        wire_id = f"{base[: blocks.longest_id - 6]}_{number}"
        number += 1
    used.add(wire_id)
    return wire_id


def _starting_with_user(turns: list[Turn], context: PartContext, blocks: Blocks) -> list[Turn]:
    """Leave out what the model says before the user does, with the results of its calls."""
    while turns and turns[0].role == "assistant" and turns[0].items[0].kind not in blocks.first_kinds:
        for item in turns.pop(0).items:
            context.notice(notices.MISPLACED_PART, "it was left out: the first message must be the user's", item.path)
        if turns:
            _drop_results(
                turns[0], [item for item in turns[0].items if item.kind == blocks.result_kind], context, blocks
            )
            turns = turns if turns[0].items else turns[1:]
    return turns


def _place_system(
    system: list[Item], turns: list[Turn], context: PartContext, blocks: Blocks
) -> tuple[list[Item], list[Turn]]:
    """Put system messages in their places: at the top of the request, or between turns on wires that have it so."""
    top: list[Item] = []
    inserted: dict[int, list[Item]] = {}
    for item in system:
        k = max(
            (k for k, turn in enumerate(turns) if any(other.position < item.position for other in turn.items)),
            default=-1,
        )
        turn_index = _turn_before(item, k, turns, blocks) if k >= 0 else None
        is_moved = k >= 0 and (turn_index != k or any(other.position > item.position for other in turns[k].items))
        if is_moved:
            destination = "after the user's next turn" if turn_index is not None else "to the top"
            context.notice(
                notices.MOVED_TURN, f"a system message went {destination}: it can't stand where it was", item.path
            )
        if item.kind not in (blocks.system_kinds if turn_index is None else blocks.between_turns or ()):
            text = f"a block of type {item.kind!r} was left out: it can't stand in a system message there"
            context.notice(notices.MISPLACED_PART, text, item.path)
        elif turn_index is None:
            top.append(item)
        else:
            inserted.setdefault(turn_index, []).append(item)
    arranged: list[Turn] = []
    for k, turn in enumerate(turns):
        arranged += [turn, Turn("system", inserted[k])] if k in inserted else [turn]
    return top, arranged


def _turn_before(item: Item, k: int, turns: list[Turn], blocks: Blocks) -> int | None:
    """Return the turn that a system message may follow, or None if only the top is left.

    ``k`` is the turn before it. Where the next one is the user's, both are the user's say, and the message comes last.
    """
    if blocks.between_turns is None:
        return None
    turn = turns[k]
    if turn.role == "user":
        return k
    if any(other.position > item.position for other in turn.items):
        return None
    if k + 1 < len(turns):
        return k + 1
    return k if blocks.server_results is not None and blocks.server_results.search(turn.items[-1].kind) else None
