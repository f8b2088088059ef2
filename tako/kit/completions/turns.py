"""Messages of the dialect in the order that servers accept: the results straight after the message that called."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako import notices
from tako.kit.encoding import encode_parts
from tako.loose import as_array
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest, Message

LONGEST_ID = 40
"""Characters that OpenAI takes as the id of a call; others mint longer ones."""


class Item(Struct, eq=False):
    """A call or a result, and the place of its part in the request."""

    block: dict[str, Any]
    path: str


class Said(Struct, eq=False):
    """One message: its content blocks, its calls, the results beside them, and any other fields."""

    role: str
    content: list[Any]
    calls: list[Item]
    results: list[Item]
    other: dict[str, Any]

    def wire(self) -> Iterator[dict[str, Any]]:
        """Yield the message, if anything is left of it."""
        if self.content or self.calls or self.other:
            content = _content(self.content) or ({} if self.calls else {"content": ""})
            calls = {"tool_calls": [call.block for call in self.calls]} if self.calls else {}
            yield {"role": self.role, **content, **self.other, **calls}


def arrange(request: ChatRequest, translator: Translator, context: PartContext) -> list[dict[str, Any]]:
    """Return the messages; what cannot stand where it is, and calls and results without the other, is noted."""
    said = [_said(message, i, translator, context) for i, message in enumerate(request.messages)]
    context.path = ""
    arranged: list[dict[str, Any]] = []
    turn: list[Said] = []
    for message in said:
        if message.role == "assistant" and turn and turn[-1].role != "assistant":
            arranged += _paired(turn, context)
            turn = []
        turn.append(message)
    return arranged + list(_paired(turn, context))


def _said(message: Message, i: int, translator: Translator, context: PartContext) -> Said:
    """Encode one message. What stands beside the results in a tool message is the user's."""
    said = Said("user" if message.role is Role.TOOL else message.role.value, [], [], [], {})
    for part, block in encode_parts(message, i, translator, context):
        if not _fits(block, message.role):
            what = f"a {type(part).__name__} cannot stand in a {message.role} message"
            context.notice(notices.MISPLACED_PART, what)
        elif block.get("role") == "tool":
            said.results.append(Item(block, context.path))
        elif block.get("type") == "function":
            said.calls.append(Item(block, context.path))
        elif "type" in block:
            said.content.append(block)
        else:
            _join(said.other, block)
    return said


def _fits(block: dict[str, Any], role: Role) -> bool:
    """Images and results are the user's, calls and reasoning the assistant's; text may stand anywhere."""
    kind = block.get("type")
    if kind == "image_url" or block.get("role") == "tool":
        return role in (Role.USER, Role.TOOL)
    return kind == "text" or role is Role.ASSISTANT or kind not in (None, "function")


def _join(fields: dict[str, Any], more: dict[str, Any]) -> None:
    """Add fields of a message: text to text, lists to lists."""
    for key, value in more.items():
        known = fields.get(key)
        old, new = as_array(known), as_array(value)
        if isinstance(known, str) and isinstance(value, str):
            fields[key] = known + value
        else:
            fields[key] = [*old, *new] if old is not None and new is not None else value


def _paired(turn: list[Said], context: PartContext) -> Iterator[dict[str, Any]]:
    """Yield a turn of the assistant's and all that follows it, the results in the order of the calls."""
    results = [result for message in turn if message.role != "assistant" for result in message.results]
    used: set[str] = set()
    for message in turn:
        answered: list[Item] = []
        for call in message.calls.copy():
            id = call.block["id"]
            result = next((result for result in results if result.block.get("tool_call_id") == id), None)
            if result is None:
                context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", call.path)
                message.calls.remove(call)
                continue
            results.remove(result)
            wire_id = _wire_id(str(id), used)
            call.block = {**call.block, "id": wire_id}
            answered.append(Item({**result.block, "tool_call_id": wire_id}, result.path))
        yield from message.wire()
        yield from (result.block for result in answered)
    for result in results:
        id = result.block.get("tool_call_id")
        text = f"a tool result was left out: no call before it waits for {id!r}"
        context.notice(notices.UNKNOWN_CALL, text, result.path)


def _wire_id(id: str, used: set[str]) -> str:
    """Return the id, or one like it: not too long, and unique among the calls of one turn."""
    if len(id) > LONGEST_ID:
        digest = sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
        id = f"{id[: LONGEST_ID - 13]}_{digest[:12]}"
    wanted = id = id or "call"
    number = 2
    while wanted in used:
        wanted = f"{id[: LONGEST_ID - 5]}_{number}"
        number += 1
    used.add(wanted)
    return wanted


def _content(blocks: list[Any]) -> dict[str, Any]:
    """Text alone is a string, which every server takes; anything else an array in source order."""
    if not blocks:
        return {}
    if all(block.get("type") == "text" and len(block) == 2 for block in blocks):  # noqa: PLR2004 - type and text
        return {"content": "".join([block["text"] for block in blocks])}
    return {"content": blocks}
