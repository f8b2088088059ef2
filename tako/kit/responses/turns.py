"""A conversation as ``instructions`` and input items, in the order that the API accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.errors import kind_of
from tako.kit.completions.prefill import without_trailing_space
from tako.kit.encoding import encode_parts
from tako.kit.families import PREFILL_REFUSED, TRIMMED, rules_of
from tako.kit.responses.blocks import CALLS
from tako.kit.responses.hosts import is_openai_or_azure
from tako.kit.responses.input_items import InputItem, accepted_items, join_messages
from tako.parts import ToolCallPart, ToolResultPart, VendorPart
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.parts import Part
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest, Message

LONGEST_ID = 64
"""Characters of a ``call_id``."""


def arrange(
    request: ChatRequest, translator: Translator, context: PartContext
) -> tuple[str | None, list[dict[str, Any]]]:
    """Return the instructions and the items; what can't stand where it is, and calls without results, is noted."""
    is_history_at_vendor = bool(
        {"previous_response_id", "conversation"} & request.extra.keys()
    )  # the vendor has the rest
    items = [item for i, message in enumerate(request.messages) for item in _items(message, i, translator, context)]
    items = _pair_calls(items, context, is_history_at_vendor=is_history_at_vendor)
    sealed = is_openai_or_azure(context.origin.server) and not (is_history_at_vendor or request.extra.get("store"))
    items = _without_prefill(accepted_items(join_messages(items), context, is_stateless=sealed), context)
    context.path = ""
    instructions: list[str] = []
    while len(items) > 1 and _is_system(items[0].block):
        instructions.append(items.pop(0).block["content"])
    return "\n\n".join(instructions) or None, [item.block for item in items]


def _without_prefill(items: list[InputItem], context: PartContext) -> list[InputItem]:
    """Leave out a beginning of the reply where the model refuses it, or the white space at its end."""
    rules = rules_of(context.known_as)
    while items and _is_prefill(items[-1]):
        last = items[-1]
        if rules.prefill:
            stripped = without_trailing_space(last.block) if rules.trimmed else last.block
            if stripped is not last.block:
                context.notice(notices.CHANGED_PART, TRIMMED, last.path)
            return [*items[:-1], InputItem(stripped, last.part, last.path)]
        context.notice(notices.MISPLACED_PART, PREFILL_REFUSED, last.path)
        items = items[:-1]
    return items


def _is_prefill(item: InputItem) -> bool:
    """Whether an item is text that the caller wrote as the model's; what the model said itself may go on."""
    return item.block.get("role") == "assistant" and (item.part is None or item.part.state is None)


def _is_system(block: dict[str, Any]) -> bool:
    return block.get("role") == "system" and isinstance(block.get("content"), str)


def _items(message: Message, i: int, translator: Translator, context: PartContext) -> Iterator[InputItem]:
    """Encode one message: its content parts are one item, each of its other blocks one of its own."""
    role = str(message.role)
    role = "user" if role == "tool" else role
    content: list[dict[str, Any]] = []
    path = f"messages[{i}]"
    for part, block in encode_parts(message, i, translator, context):
        kind = str(block.get("type", "message"))
        if not _fits(part, kind, message.role):
            text = f"{kind_of(part)} can't be in a {message.role} message"
            context.notice(notices.MISPLACED_PART, text)
        elif kind.startswith("input_"):
            content.append(block)
        else:
            if content:
                yield InputItem({"role": role, "content": _content(content)}, None, path)
                content = []
            yield InputItem(block, part, context.path)
    if content:
        yield InputItem({"role": role, "content": _content(content)}, None, path)


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


def _pair_calls(items: list[InputItem], context: PartContext, *, is_history_at_vendor: bool) -> list[InputItem]:
    """Keep calls that are answered, and results that a call before them waits for; each call gets an id of its own.

    ``is_history_at_vendor``: calls may be there already, so their results stay.
    """
    paired: list[InputItem] = []
    used: set[str] = set()
    own_ids = {str(item.block.get("call_id")) for item in items if _is_own_call(item, context)}
    for n, item in enumerate(items):
        if isinstance(item.part, ToolCallPart) and item.block.get("type") in CALLS:
            result = next((candidate for candidate in items[n + 1 :] if _is_result_of(candidate, item.part.id)), None)
            if result is None:
                context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", item.path)
                continue
            id = item.block["call_id"]
            if id in used or not _is_own_call(item, context):
                id = _wire_id(item.part.id, used | own_ids)
            used.add(id)
            item.block = {**item.block, "call_id": id}
            result.block = {**result.block, "call_id": id}
            result.part = None  # it answers no other call
        elif isinstance(item.part, ToolResultPart) and not is_history_at_vendor:
            text = f"a tool result was left out: no call before it waits for {item.part.id!r}"
            context.notice(notices.UNKNOWN_CALL, text, item.path)
            continue
        paired.append(item)
    return paired


def _is_own_call(item: InputItem, context: PartContext) -> bool:
    """Whether the vendor made a call: its id goes back unchanged."""
    call = item.part
    return isinstance(call, ToolCallPart) and call.state is not None and context.accepts(call, call.state.origin)


def _is_result_of(item: InputItem, id: str) -> bool:
    return isinstance(item.part, ToolResultPart) and item.part.id == id


def _wire_id(id: str, used: set[str]) -> str:
    """Return the id, or one like it: not too long, and unlike all others of the conversation."""
    wire_id = base = id[:LONGEST_ID] or "call"
    number = 2
    while wire_id in used:
        wire_id = f"{base[: LONGEST_ID - 6]}_{number}"
        number += 1
    return wire_id
