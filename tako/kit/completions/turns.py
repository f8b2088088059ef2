"""Messages of the dialect in the order that servers accept: the results straight after the message that called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako import notices
from tako.errors import kind_of
from tako.json_values import as_array
from tako.kit.encoding import encode_parts
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.completions.dialect import Dialect
    from tako.translator import PartContext, Translator
    from tako.types import ChatRequest, Message

CALLS = ("function", "custom", "function_call")
"""Types of calls that a result answers."""
MOVED_BLOCKS = "tako_beside"
"""In the message of a tool result: blocks that go out after the results, as the user's."""
NOT_IN_SYSTEM = ("image_url", "file", "input_audio", "document_url")
"""Types of blocks that a system message can't hold."""
ASSISTANT_ONLY = (None, *CALLS, "thinking")
"""Types of blocks that only the assistant's messages have; one without a type is fields of its message."""


class Call(Struct, eq=False):
    """A call, and the place of its part in the request.

    ``is_own``: the vendor made it, and gets its id back unchanged. ``needs_result``: a result has to follow it.
    """

    block: dict[str, Any]
    path: str
    is_own: bool = False
    needs_result: bool = True


class Result(Struct, eq=False):
    """A message with a result, and the place of its part in the request."""

    block: dict[str, Any]
    path: str


class EncodedMessage(Struct, eq=False):
    """One message, encoded: the blocks of its content, its calls, the results beside them, and any other fields."""

    role: str
    content: list[Any]
    calls: list[Call]
    results: list[Result]
    other_fields: dict[str, Any]

    def to_wire(self) -> list[dict[str, Any]]:
        """Return the message in a list, which is empty if nothing is left of it."""
        fields = {**self.other_fields, **self._calls()} if self.calls else self.other_fields
        if not (self.content or fields):
            return []
        content = _content(self.content) or ({} if self.calls else {"content": ""})
        return [{"role": self.role, **content, **fields}]

    def _calls(self) -> dict[str, Any]:
        calls = [call.block for call in self.calls if call.block.get("type") != "function_call"]
        function_calls = [
            call.block["function_call"] for call in self.calls if call.block.get("type") == "function_call"
        ]
        return {
            **({"tool_calls": calls} if calls else {}),
            **({"function_call": function_calls[0]} if function_calls else {}),
        }


def arrange(
    request: ChatRequest, translator: Translator, context: PartContext, dialect: Dialect
) -> list[dict[str, Any]]:
    """Return the messages; what can't stand where it is, and calls and results without the other, is noted."""
    encoded = [_encode(message, i, translator, context) for i, message in enumerate(request.messages)]
    context.path = ""
    if not any(message.calls or message.results for message in encoded):  # most requests: there's nothing to pair
        return [wire_message for message in encoded for wire_message in message.to_wire()]
    arranged: list[dict[str, Any]] = []
    turn: list[EncodedMessage] = []
    for message in encoded:
        if message.role == "assistant" and turn and turn[-1].role != "assistant":
            arranged += _pair_calls(turn, context, dialect)
            turn = []
        turn.append(message)
    return arranged + list(_pair_calls(turn, context, dialect))


def _encode(message: Message, i: int, translator: Translator, context: PartContext) -> EncodedMessage:
    """Encode one message. What stands beside the results in a tool message is the user's."""
    role = str(message.role)
    encoded = EncodedMessage("user" if role == "tool" else role, [], [], [], {})
    for part, block in encode_parts(message, i, translator, context):
        if block.get("type") == "text":  # most
            encoded.content.append(block)
        elif not _fits(block, message.role):
            message_text = f"{kind_of(part)} can't be in a {message.role} message"
            context.notice(notices.MISPLACED_PART, message_text)
        elif block.get("role") == "tool":
            encoded.results.append(Result(block, context.path))
        elif block.get("type") in CALLS:
            is_own = part.state is not None and context.accepts(part, part.state.origin)
            encoded.calls.append(Call(block, context.path, is_own))
        elif block.keys() == {"tool_calls"}:  # of a type that tako has no kind for
            encoded.calls += [Call(call, context.path, is_own=True, needs_result=False) for call in block["tool_calls"]]
        elif "type" in block:
            encoded.content.append(block)
        else:
            _join(encoded.other_fields, block)
    return encoded


def _fits(block: dict[str, Any], role: Role) -> bool:
    """Results are the user's, calls, reasoning and fields of messages the assistant's; text may stand anywhere."""
    if block.get("role") == "tool":
        return role in (Role.USER, Role.TOOL)
    kind = block.get("type")
    return role is Role.ASSISTANT or not (kind in ASSISTANT_ONLY or (kind in NOT_IN_SYSTEM and role is Role.SYSTEM))


def _join(fields: dict[str, Any], new_fields: dict[str, Any]) -> None:
    """Add fields of a message: text to text, lists to lists."""
    for key, value in new_fields.items():
        old_value = fields.get(key)
        old, new = as_array(old_value), as_array(value)
        if isinstance(old_value, str) and isinstance(value, str):
            fields[key] = old_value + value
        else:
            fields[key] = [*old, *new] if old is not None and new is not None else value


def _pair_calls(turn: list[EncodedMessage], context: PartContext, dialect: Dialect) -> Iterator[dict[str, Any]]:
    """Yield a turn of the assistant's and all that follows it, the results in the order of the calls."""
    results = [result for message in turn if message.role != "assistant" for result in message.results]
    pairs: list[tuple[EncodedMessage, Call, Result]] = []
    for message in turn:
        for call in message.calls.copy():
            id = call.block.get("id")
            result = next((result for result in results if result.block.get("tool_call_id") == id), None)
            if result is not None:
                results.remove(result)
                pairs.append((message, call, result))
            elif call.needs_result:
                context.notice(notices.UNANSWERED_CALL, "a tool call was left out: no result follows it", call.path)
                message.calls.remove(call)
    _assign_ids([call for _, call, _ in pairs], dialect)
    for message in turn:
        yield from message.to_wire()
        results_of_message = [_result_message(call, result) for owner, call, result in pairs if owner is message]
        moved = [block for answer in results_of_message for block in answer.pop(MOVED_BLOCKS, ())]
        yield from results_of_message
        if moved:
            yield {"role": "user", "content": moved}
    for result in results:
        id = result.block.get("tool_call_id")
        text = f"a tool result was left out: no call before it waits for {id!r}"
        context.notice(notices.UNKNOWN_CALL, text, result.path)


def _result_message(call: Call, result: Result) -> dict[str, Any]:
    """Return the message with a result; the one call of older servers is answered by its name."""
    if call.block.get("type") == "function_call":
        role_and_name = {"role": "function", "name": call.block["function_call"]["name"]}
        return {
            **role_and_name,
            **{name: value for name, value in result.block.items() if name not in ("role", "tool_call_id")},
        }
    return {**result.block, "tool_call_id": call.block["id"]}


def _assign_ids(calls: list[Call], dialect: Dialect) -> None:
    """Give the calls of one turn ids that the wire takes, no two the same.

    Who made an id gets it back as it is. Of others, those that fit go first, so that none of them has to change.
    """
    used: set[str] = set()
    for call in sorted(
        calls, key=lambda call: (not call.is_own, next(dialect.call_ids(call.block["id"])) != call.block["id"])
    ):
        id = call.block["id"]
        if not call.is_own:
            id = next(other for other in dialect.call_ids(id) if other not in used)
            call.block = {**call.block, "id": id}
        used.add(id)


def _content(blocks: list[Any]) -> dict[str, Any]:
    """Text alone is a string, which every server takes; anything else an array in source order."""
    if not blocks:
        return {}
    texts = [block["text"] for block in blocks if block.get("type") == "text" and len(block) == 2]  # noqa: PLR2004 - both
    if len(texts) == len(blocks):
        return {"content": "".join(texts)}
    return {"content": blocks}
