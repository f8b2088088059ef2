"""What a callable may answer, as tako's own values."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from tako.errors import ResponseError, kind_of, short_repr
from tako.fold import arguments
from tako.json_values import DEEPEST, as_array, as_object, is_deep
from tako.parts import Part, TextPart, ToolCallPart
from tako.types import ChatResponse, Chunk, Delta, End, FinishReason, Message, Role, Usage

CHUNK_KEYS = {"delta": {"kind", *Delta.__struct_fields__}, "end": {"kind", *End.__struct_fields__}}
RESPONSE_KEYS = {"text", "input_tokens", "output_tokens", "tool_calls"}


def as_response(answer: Any, model: str) -> ChatResponse:
    """Return an answer as a ChatResponse; raises ResponseError where it cannot be one."""
    if isinstance(answer, ChatResponse):
        _calls(answer.tool_calls)
        return answer if answer.model else replace(answer, model=model)
    if isinstance(answer, str):
        answer = {"text": answer}
    said = as_object(answer)
    if said is None:
        raise ResponseError(f"chat returned {kind_of(answer)}; expected a ChatResponse, a str or a dict with 'text'")
    _check_keys(said, RESPONSE_KEYS, "chat returned a dict")
    text = said.get("text", "" if said.get("tool_calls") else None)
    if not isinstance(text, str):
        raise ResponseError(f"chat returned a dict whose 'text' is {kind_of(text)}, not a str")
    calls = _calls(said.get("tool_calls"))
    parts: list[Part] = [TextPart(text)] if text else []
    return ChatResponse(
        Message(Role.ASSISTANT, [*parts, *calls]),
        FinishReason.TOOL_CALLS if calls else FinishReason.STOP,
        Usage(_count(said, "input_tokens"), _count(said, "output_tokens")),
        model,
    )


def as_chunk(item: Any) -> Chunk:
    """Return what a generator yielded as a chunk; raises ResponseError where it cannot be one."""
    if isinstance(item, (Delta, End)):
        return item
    if isinstance(item, str):
        return Delta(item)
    said = as_object(item)
    if said is None:
        raise ResponseError(f"stream yielded {kind_of(item)}; expected a chunk, a str or a dict like a chunk")
    kind = said.get("kind", "delta")
    if kind not in ("delta", "end"):
        raise ResponseError(f"stream yielded a dict whose 'kind' is {short_repr(kind)}; expected 'delta' or 'end'")
    _check_keys(said, CHUNK_KEYS[kind], "stream yielded a dict")
    if is_deep(said):
        raise ResponseError(f"stream yielded a dict that is nested deeper than {DEEPEST} levels")
    try:
        return msgspec.convert({"kind": kind, **said}, Delta | End)
    except msgspec.ValidationError as error:
        raise ResponseError(f"stream yielded a dict that isn't a chunk: {error}") from error


class LastChunk:
    """Sees a stream pass, and makes the End of one that had none: where a generator ends, its answer does."""

    def __init__(self, model: str) -> None:
        self.seen = False
        """Whether there was an End."""
        self._model = model
        self._calls = False

    def see(self, chunk: Chunk) -> None:
        """Take note of a chunk."""
        if isinstance(chunk, End):
            self.seen = True
        elif chunk.tool_calls:
            self._calls = True

    def chunk(self) -> End:
        """Return the End; nothing was said of usage."""
        return End(FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP, model=self._model)


def _calls(given: Any) -> list[ToolCallPart]:
    """Read calls: parts, or dicts ``{"name", "args", "id"?}``; ids are made where they are missing or used twice."""
    if given is None:
        return []
    calls = as_array(given)
    if calls is None:
        raise ResponseError(f"chat returned a dict whose 'tool_calls' is {kind_of(given)}, not a list")
    made: list[ToolCallPart] = []
    for call in calls:
        part = call if isinstance(call, ToolCallPart) else _call(call)
        if is_deep(part.args):
            raise ResponseError(f"chat returned a call whose arguments are nested deeper than {DEEPEST} levels")
        if not part.id or any(part.id == other.id for other in made):
            part = replace(part, id=f"call_{uuid4().hex[:24]}")
        made.append(part)
    return made


def _call(given: Any) -> ToolCallPart:
    said = as_object(given) or {}
    id, name, args = said.get("id") or "", said.get("name"), said.get("args", said.get("arguments"))
    if not (isinstance(name, str) and name and isinstance(id, str)):
        raise ResponseError("a tool call is a ToolCallPart or a dict with 'name', 'args' and perhaps 'id'")
    return ToolCallPart(id, name, arguments(args) if isinstance(args, str) else {} if args is None else args)


def _count(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ResponseError(f"chat returned a dict whose {name!r} is {short_repr(value)}, not a number of tokens")
    return value


def _check_keys(said: dict[str, Any], known: set[str], what: str) -> None:
    unknown = [key for key in said if key not in known]
    if unknown:
        raise ResponseError(f"{what} with {unknown[0]!r}; it may have {', '.join(sorted(known))}")
