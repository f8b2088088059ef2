"""Texts of requests and replies, wherever they stand: for plugins that change them.

::

    @tako.around
    async def shout(request, inner):
        async for chunk in change_chunks(inner(request), str.upper):
            yield chunk
"""

from __future__ import annotations

import base64
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.declarations import JsonSchema, Tool
from tako.media import kind_of
from tako.parts import (
    Citation,
    ContentPart,
    FilePart,
    FileUrlPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tako.types import ChatRequest, Delta, End, Message, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako.types import Chunk

FIELDS: dict[type, tuple[str, ...]] = {
    ChatRequest: ("messages", "tools", "response_format", "stop", "metadata", "extra"),
    Message: ("content",),
    TextPart: ("text", "citations", "extra"),
    Citation: ("title", "text"),
    ReasoningPart: ("text", "extra"),
    ToolCallPart: ("args", "extra"),
    ToolResultPart: ("result", "extra"),
    FilePart: ("name", "extra"),
    FileUrlPart: ("name", "extra"),
    ContentPart: ("extra",),
    Tool: ("description", "extra"),
}
"""The fields that have texts, or hold something that has. The first type that fits counts."""
SCHEMAS: dict[type, str] = {Tool: "input_schema", JsonSchema: "schema"}
NAMED_SCHEMAS = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
"""Keywords of JSON Schema whose value has a schema by each name."""
SCHEMA_TEXTS = frozenset(("title", "description", "$comment", "default", "example", "examples", "enum", "const"))
"""Keywords of JSON Schema whose value is for people and models, and isn't a schema."""


def change_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a request, messages or parts with every text changed, however deep it is.

    That's text, reasoning, arguments, results, the content of text files and the names of files. In a request it's also
    ``stop``, ``metadata``, ``extra``, and the descriptions and values in tools and schemas. Keys of objects, names of
    tools, URLs, ids, images, other files and blocks in a vendor's own shape stay as they are.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [change_texts(item, change) for item in value]  # pyright: ignore[reportUnknownVariableType]  # of any kind
    if isinstance(value, dict):
        return {key: change_texts(item, change) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    changed = {
        field: change_texts(getattr(value, field), change)
        for field in next((FIELDS[kind] for kind in FIELDS if isinstance(value, kind)), ())
        if hasattr(value, field)
    }
    for field in (SCHEMAS[kind] for kind in SCHEMAS if isinstance(value, kind)):
        changed[field] = _changed_schema(getattr(value, field), change)
    if isinstance(value, FilePart):
        changed["data_b64"] = _changed_file(value, change)
    return replace(value, **changed) if changed else value


def _changed_schema(schema: Any, change: Callable[[str], str]) -> Any:
    if isinstance(schema, list):
        return [_changed_schema(inner, change) for inner in schema]  # pyright: ignore[reportUnknownVariableType]  # of any kind
    if not isinstance(schema, dict):
        return schema
    changed: dict[str, Any] = {}
    for key, value in schema.items():  # pyright: ignore[reportUnknownVariableType]  # of any kind
        if key in NAMED_SCHEMAS and isinstance(value, dict):
            changed[key] = {name: _changed_schema(inner, change) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
        else:
            changed[key] = change_texts(value, change) if key in SCHEMA_TEXTS else _changed_schema(value, change)
    return changed


def _changed_file(file: FilePart, change: Callable[[str], str]) -> str:
    """Return the base64 text of a file, changed if it's the text of a text file."""
    if kind_of(file.mime) != "text":
        return file.data_b64
    head, comma, data = file.data_b64.rpartition(",")  # the head of a data: URL
    try:
        text = base64.b64decode(data).decode()
    except ValueError:
        return file.data_b64
    return head + comma + base64.b64encode(change(text).encode()).decode("ascii")


async def change_chunks(
    chunks: AsyncGenerator[Chunk, None], change: Callable[[str], str], unfinished: str = ""
) -> AsyncGenerator[Chunk, None]:
    """Iterate over a reply's chunks with every text changed: of text, reasoning, arguments and whole parts.

    ``unfinished`` is a pattern of what may go on at the end of a piece, as in ``"<[^>]{0,20}$"``: it's held back until
    the rest has come, so that ``change`` sees it whole.
    """
    buffered: dict[str | int, str] = {}

    def change_piece(key: str | int, text: str) -> str:
        text = buffered.pop(key, "") + text
        unfinished_end = re.search(unfinished, text) if unfinished else None
        if unfinished_end is not None:
            buffered[key] = unfinished_end[0]
            text = text[: unfinished_end.start()]
        return change(text)

    async with aclosing(chunks):
        async for chunk in chunks:
            if isinstance(chunk, End) or not (chunk.text or chunk.reasoning or chunk.tool_calls):
                for key in [*buffered]:
                    yield _delta_of(key, change(buffered.pop(key)))
            yield chunk if isinstance(chunk, End) else _changed(chunk, change_piece, change)


def _changed(chunk: Delta, change_piece: Callable[[str | int, str], str], change: Callable[[str], str]) -> Delta:
    calls = [
        replace(call, arguments_fragment=change_piece(call.index, call.arguments_fragment)) for call in chunk.tool_calls
    ]
    return replace(
        chunk,
        text=change_piece("text", chunk.text) if chunk.text else chunk.text,
        reasoning=change_piece("reasoning", chunk.reasoning) if chunk.reasoning else chunk.reasoning,
        tool_calls=calls,
        part=change_texts(chunk.part, change),
    )


def _delta_of(key: str | int, text: str) -> Delta:
    if isinstance(key, int):
        return Delta(tool_calls=[ToolCallDelta(key, arguments_fragment=text)])
    return Delta(text) if key == "text" else Delta(reasoning=text)
