"""The content of a reply: text, reasoning and tool calls, as blocks that become parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako.errors import ConfigurationError, ResponseError, kind_of
from tako.fold import parse_arguments
from tako.json_values import as_array, as_object, text_of
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart
from tako.state import State
from tako_http_generic.pointers import Pointer, PointerChoice, describe
from tako_http_generic.settings import ToolCalls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.translator import PartContext


def decode_block(block: Any, context: PartContext) -> Part | None:
    """Return the part of one block: ``text``, ``reasoning``, or ``function``, which is a call of Chat Completions."""
    match block.get("type"):
        case "text":
            return TextPart(block["text"])
        case "reasoning":
            return ReasoningPart(block["text"], State(context.origin, block["state"]))
        case "function":
            return ToolCallPart(block["id"], block["function"]["name"], parse_arguments(block["function"]["arguments"]))
        case _:
            return None


def content_blocks(value: Any, option: str) -> Iterator[dict[str, Any]]:
    """Return the blocks of content: text, or an array of content blocks, as Anthropic, Cohere and Mistral have them.

    Raises ResponseError if it's neither. Blocks of other kinds are only in ``raw``.
    """
    if value is None or isinstance(value, str):
        if value:
            yield {"type": "text", "text": value}
        return
    items = as_array(value)
    if items is None and as_object(value) is None:
        raise ResponseError(f"{option} leads to {describe(value)}, which isn't text")
    for item in items if items is not None else [value]:
        block = as_object(item) or {"type": "text", "text": item}
        match block.get("type", "text"):
            case "text" | "output_text" if text_of(block.get("text")):
                yield {"type": "text", "text": block["text"]}
            case "thinking":
                state = {name: value for name, value in block.items() if name not in ("type", "thinking") and value}
                yield {"type": "reasoning", "text": reasoning_text(block.get("thinking")), "state": state}
            case "redacted_thinking":
                yield {"type": "reasoning", "text": "", "state": block}
            case _:
                pass


def reasoning_text(value: Any) -> str:
    """Return reasoning as text; some servers send it in pieces."""
    pieces = as_array(value)
    if pieces is None:
        return text_of(value)
    return "".join([text_of((as_object(piece) or {"text": piece}).get("text")) for piece in pieces])


class ToolCallFragment(Struct):
    """A call, or a fragment of one. With ``is_complete`` the arguments are a JSON value, so nothing is missing."""

    index: int | None
    id: str
    name: str
    arguments: str
    is_complete: bool


class ToolCallReader:
    """Reads calls by pointers. ``pointer`` leads to the calls in a reply or an event."""

    def __init__(self, config: ToolCalls | str, option: str) -> None:
        if isinstance(config, str):
            config = ToolCalls(pointer=config)
        elif not isinstance(config, ToolCalls):
            raise ConfigurationError(f"{option} is {kind_of(config)}, not ToolCalls or a JSON pointer")
        self.pointer = PointerChoice(config.pointer, f"{option}.pointer")
        self._id = PointerChoice(config.id_pointer, f"{option}.id_pointer")
        self._name = PointerChoice(config.name_pointer, f"{option}.name_pointer")
        self._arguments = PointerChoice(config.arguments_pointer, f"{option}.arguments_pointer")
        self._index = PointerChoice(config.index_pointer, f"{option}.index_pointer")
        self._conditions = [(Pointer(text, f"{option}.where"), expected) for text, expected in config.where.items()]

    def read(self, value: Any) -> Iterator[ToolCallFragment]:
        """Read the value that ``pointer`` leads to: an array of calls, or one."""
        items = as_array(value)
        for item in [value] if items is None else items:
            if not isinstance(item, dict) or not self._meets_conditions(item):
                continue
            args = self._arguments.get(item)
            is_complete = args is not None and not isinstance(args, str)
            text = msgspec.json.encode(args).decode() if is_complete else text_of(args)
            index = self._index.get(item)
            fragment = ToolCallFragment(
                index if isinstance(index, int) else None,
                _id(self._id.get(item)),
                text_of(self._name.get(item)),
                text,
                is_complete,
            )
            if fragment.id or fragment.name or args is not None:
                yield fragment

    def _meets_conditions(self, item: Any) -> bool:
        return all(pointer.get(item) in (None, expected) for pointer, expected in self._conditions)


def _id(value: Any) -> str:
    """Return an id as text; some servers number their calls."""
    return str(value) if isinstance(value, (str, int)) else ""
