"""Calls of a reply under the tools' own names, with their own names of arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tako.kit.decoders import WrappingDecoder
from tako.kit.schemas.property_names import with_call, with_own_names_in_text
from tako.kit.schemas.tool_names import with_name
from tako.types import Delta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.exchange import StreamDecoder
    from tako.parts import Part
    from tako.translator import PartContext
    from tako.types import ChatResponse, Chunk


def with_own_names(response: ChatResponse, context: PartContext) -> ChatResponse:
    """Return a reply whose calls have the tools' own names."""
    parts = [_with_own_name(part, context) for part in response.message.parts]
    return replace(response, message=replace(response.message, content=parts))


def _with_own_name(part: Part, context: PartContext) -> Part:
    with_name_of_tool: Part = with_name(part, context.own_names)
    return with_call(with_name_of_tool, context.own_properties)


class OwnNamesDecoder(WrappingDecoder):
    """A decoder whose calls have the tools' own names.

    The arguments of a tool whose properties have other names on the wire are handed over at once, when they're whole.
    """

    def __init__(self, inner: StreamDecoder, context: PartContext) -> None:
        super().__init__(inner)
        self._context = context
        self._arguments: dict[int, list[str]] = {}
        self._tools: dict[int, str] = {}  # of the calls whose arguments are held

    def _convert(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            if chunk.kind == "end":
                yield from self._held_arguments()
                yield chunk
            elif not (chunk.tool_calls or chunk.part):
                yield chunk
            else:
                calls = [self._call(call) for call in chunk.tool_calls]
                part = _with_own_name(chunk.part, self._context) if chunk.part is not None else None
                yield replace(chunk, tool_calls=calls, part=part)

    def _call(self, call: ToolCallDelta) -> ToolCallDelta:
        """Return a piece of a call under the tool's own name, without arguments that are held."""
        context = self._context
        name = context.own_names.get(call.name or "", call.name)
        if name in context.own_properties:
            self._tools[call.index] = name or ""
        if call.index not in self._tools:
            return replace(call, name=name)
        if call.arguments_fragment:
            self._arguments.setdefault(call.index, []).append(call.arguments_fragment)
        return replace(call, name=name, arguments_fragment="")

    def _held_arguments(self) -> Iterator[Chunk]:
        """Yield the arguments that were held, with the tool's own names."""
        own_names = self._context.own_properties
        pieces = [
            ToolCallDelta(
                index, arguments_fragment=with_own_names_in_text("".join(texts), own_names[self._tools[index]])
            )
            for index, texts in self._arguments.items()
        ]
        if pieces:
            yield Delta(tool_calls=pieces)
