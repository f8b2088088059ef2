"""A conversation as ``instructions`` and input items, in the order that the API accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako import notices
from tako.kit.encoding import encode_parts
from tako.kit.responses.blocks import CALLS
from tako.parts import Part, ToolCallPart, ToolResultPart, VendorPart
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest, Message

LONGEST_ID = 64
"""Characters of a ``call_id``."""


class Item(Struct, eq=False):
    """An input item, the part that it was made of (None for a message of several), and its place in the request."""

    block: dict[str, Any]
    part: Part | None
    path: str


def arrange(
    request: ChatRequest, translator: Translator, context: PartContext
) -> tuple[str | None, list[dict[str, Any]]]:
    """Return the instructions and the items; what can't stand where it is, and calls without results, is noted."""
    items = [item for i, message in enumerate(request.messages) for item in _items(message, i, translator, context)]
    if not {"previous_response_id", "conversation"} & request.extra.keys():  # there, the vendor has the rest
        items = _paired(items, context)
    context.path = ""
    instructions: list[str] = []
    while len(items) > 1 and _is_system(items[0].block):
        instructions.append(items.pop(0).block["content"])
    blocks = list(_joined([item.block for item in items]))
    return "\n\n".join(instructions) or None, _with_ids_or_without(blocks)


def _is_system(block: dict[str, Any]) -> bool:
    return block.get("role") == "system" and isinstance(block.get("content"), str)


def _items(message: Message, i: int, translator: Translator, context: PartContext) -> Iterator[Item]:
    """Encode one message: its content parts are one item, each of its other blocks one of its own."""
    role = "user" if message.role is Role.TOOL else message.role.value
    content: list[dict[str, Any]] = []
    path = f"messages[{i}]"
    for part, block in encode_parts(message, i, translator, context):
        kind = str(block.get("type", "message"))
        if not _fits(part, kind, message.role):
            text = f"a {type(part).__name__} cannot stand in a {message.role} message"
            context.notice(notices.MISPLACED_PART, text)
        elif kind.startswith("input_"):
            content.append(block)
        else:
            if content:
                yield Item({"role": role, "content": _content(content)}, None, path)
                content = []
            yield Item(block, part, context.path)
    if content:
        yield Item({"role": role, "content": _content(content)}, None, path)


def _fits(part: Part, kind: str, role: Role) -> bool:
    """The model's turns hold items, the user's content and results; the system speaks text."""
    if isinstance(part, VendorPart):
        return role is not Role.SYSTEM
    if kind.startswith("input_"):
        return role in (Role.USER, Role.TOOL) or (role is Role.SYSTEM and kind == "input_text")
    return role in (Role.USER, Role.TOOL) if kind.endswith("_output") else role is Role.ASSISTANT


def _content(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """One plain text is a string, anything else an array."""
    first = blocks[0]
    return first["text"] if len(blocks) == 1 and first.keys() == {"type", "text"} else blocks


def _paired(items: list[Item], context: PartContext) -> list[Item]:
    """Keep calls that are answered, and results that a call before them waits for; ids of others are made to fit."""
    kept: list[Item] = []
    used: set[str] = set()
    for n, item in enumerate(items):
        if isinstance(item.part, ToolCallPart) and item.block.get("type") in CALLS:
            answer = next((later for later in items[n + 1 :] if _answers(later, item.part.id)), None)
            if answer is None:
                context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", item.path)
                continue
            own = item.part.state is not None and context.accepts(item.part, item.part.state.origin)
            id = item.block["call_id"] if own else _wire_id(item.part.id, used)
            used.add(id)
            item.block = {**item.block, "call_id": id}
            answer.block = {**answer.block, "call_id": id}
            answer.part = None  # it answers no other call
        elif isinstance(item.part, ToolResultPart):
            text = f"a tool result was left out: no call before it waits for {item.part.id!r}"
            context.notice(notices.UNKNOWN_CALL, text, item.path)
            continue
        kept.append(item)
    return kept


def _answers(item: Item, id: str) -> bool:
    return isinstance(item.part, ToolResultPart) and item.part.id == id


def _wire_id(id: str, used: set[str]) -> str:
    """Return the id, or one like it: not too long, and unlike all others of the conversation."""
    wanted = stem = id[:LONGEST_ID] or "call"
    number = 2
    while wanted in used:
        wanted = f"{stem[: LONGEST_ID - 6]}_{number}"
        number += 1
    return wanted


def _joined(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Put the blocks of one message of the model's together again: neighbours that share its id."""
    last: dict[str, Any] | None = None
    for block in blocks:
        same = last is not None and block.get("type") == "message" and "id" in block and block["id"] == last.get("id")
        if same and last is not None:
            last = {**last, **block, "content": [*last["content"], *block["content"]]}
            continue
        if last is not None:
            yield last
        last = block
    if last is not None:
        yield last


def _with_ids_or_without(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take the id off reasoning whose next item has none: the API wants both of them, or neither.

    It answers 400 ("without its required following item") to reasoning with an id before an item without one.
    """
    made: list[dict[str, Any]] = []
    for block in reversed(blocks):
        following = made[-1] if made else {}
        loose = block.get("type") == "reasoning" and "id" in block and "id" not in following
        made.append({name: value for name, value in block.items() if name != "id"} if loose else block)
    return made[::-1]
