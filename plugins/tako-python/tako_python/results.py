"""Convert results of a callable to tako's own values."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from tako.errors import ResponseError, kind_of, short_repr
from tako.fold import parse_arguments
from tako.json_values import DEEPEST, as_array, as_object, is_deep
from tako.parts import Part, TextPart, ToolCallPart
from tako.types import ChatResponse, Chunk, Delta, End, FinishReason, Message, Role, Usage

CHUNK_KEYS = {"delta": {"kind", *Delta.__struct_fields__}, "end": {"kind", *End.__struct_fields__}}
RESPONSE_KEYS = {"text", "input_tokens", "output_tokens", "tool_calls"}


def to_response(answer: Any, model: str) -> ChatResponse:
    """Convert a result to a ChatResponse. Raises ResponseError if that isn't possible."""
    if isinstance(answer, ChatResponse):
        _tool_calls(answer.tool_calls)
        return answer if answer.model else replace(answer, model=model)
    if isinstance(answer, str):
        answer = {"text": answer}
    table = as_object(answer)
    if table is None:
        raise ResponseError(f"chat returned {kind_of(answer)}; expected a ChatResponse, a str or a dict with 'text'")
    _check_keys(table, RESPONSE_KEYS, "chat returned a dict")
    text = table.get("text", "" if table.get("tool_calls") else None)
    if not isinstance(text, str):
        raise ResponseError(f"chat returned a dict whose 'text' is {kind_of(text)}, not a str")
    calls = _tool_calls(table.get("tool_calls"))
    parts: list[Part] = [TextPart(text)] if text else []
    return ChatResponse(
        Message(Role.ASSISTANT, [*parts, *calls]),
        FinishReason.TOOL_CALLS if calls else FinishReason.STOP,
        Usage(_count(table, "input_tokens"), _count(table, "output_tokens")),
        model,
    )


def to_chunk(item: Any) -> Chunk:
    """Convert an item of a generator to a chunk. Raises ResponseError if that isn't possible."""
    if isinstance(item, (Delta, End)):
        return item
    if isinstance(item, str):
        return Delta(item)
    table = as_object(item)
    if table is None:
        raise ResponseError(f"stream yielded {kind_of(item)}; expected a chunk, a str or a dict like a chunk")
    kind = table.get("kind", "delta")
    if kind not in ("delta", "end"):
        raise ResponseError(f"stream yielded a dict whose 'kind' is {short_repr(kind)}; expected 'delta' or 'end'")
    _check_keys(table, CHUNK_KEYS[kind], "stream yielded a dict")
    if is_deep(table):
        raise ResponseError(f"stream yielded a dict that is nested deeper than {DEEPEST} levels")
    try:
        return msgspec.convert({"kind": kind, **table}, Delta | End)
    except msgspec.ValidationError as error:
        raise ResponseError(f"stream yielded a dict that isn't a chunk: {error}") from error


class StreamEnd:
    """Collects what the End of a stream needs, for generators that don't yield one."""

    def __init__(self, model: str) -> None:
        self.has_ended = False
        """Whether the stream had an End."""
        self._model = model
        self._has_tool_calls = False

    def add(self, chunk: Chunk) -> None:
        """Add a chunk."""
        if isinstance(chunk, End):
            self.has_ended = True
        elif chunk.tool_calls:
            self._has_tool_calls = True

    def make(self) -> End:
        """Make the End, without usage."""
        return End(FinishReason.TOOL_CALLS if self._has_tool_calls else FinishReason.STOP, model=self._model)


def _tool_calls(value: Any) -> list[ToolCallPart]:
    """Read calls: parts, or dicts ``{"name", "args", "id"?}``. Missing and duplicate ids are replaced."""
    if value is None:
        return []
    calls = as_array(value)
    if calls is None:
        raise ResponseError(f"chat returned a dict whose 'tool_calls' is {kind_of(value)}, not a list")
    parts: list[ToolCallPart] = []
    for call in calls:
        part = call if isinstance(call, ToolCallPart) else _tool_call(call)
        if is_deep(part.args):
            raise ResponseError(f"chat returned a call whose arguments are nested deeper than {DEEPEST} levels")
        if not part.id or any(part.id == other.id for other in parts):
            part = replace(part, id=f"call_{uuid4().hex[:24]}")
        parts.append(part)
    return parts


def _tool_call(value: Any) -> ToolCallPart:
    table = as_object(value) or {}
    id, name, args = table.get("id") or "", table.get("name"), table.get("args", table.get("arguments"))
    if not (isinstance(name, str) and name and isinstance(id, str)):
        raise ResponseError("a tool call must be a ToolCallPart, or a dict with 'name', 'args' and, optionally, 'id'")
    return ToolCallPart(id, name, parse_arguments(args) if isinstance(args, str) else {} if args is None else args)


def _count(table: dict[str, Any], name: str) -> int:
    value = table.get(name)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ResponseError(f"chat returned a dict whose {name!r} is {short_repr(value)}, not a number of tokens")
    return value


def _check_keys(table: dict[str, Any], allowed: set[str], subject: str) -> None:
    unknown = [key for key in table if key not in allowed]
    if unknown:
        raise ResponseError(f"{subject} with {unknown[0]!r}; it may have {', '.join(sorted(allowed))}")
