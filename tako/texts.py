"""Texts of messages and of replies, wherever they stand: for plugins that change them.

::

    @tako.around
    async def shout(request, inner):
        async for chunk in change_chunks(inner(request), str.upper):
            yield chunk
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.parts import ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tako.types import Delta, End, Message, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako.types import Chunk

FIELDS: dict[type, str] = {
    Message: "content",
    TextPart: "text",
    ReasoningPart: "text",
    ToolCallPart: "args",
    ToolResultPart: "result",
}
"""Where each kind of value has its text, or what holds it."""


def change_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return messages or parts with every text changed: of text, reasoning, arguments and results, however deep.

    Keys of objects stay as they are, and so do images and files.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [change_texts(one, change) for one in value]  # pyright: ignore[reportUnknownVariableType]  # of any kind
    if isinstance(value, dict):
        return {key: change_texts(one, change) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
    field = next((FIELDS[kind] for kind in FIELDS if isinstance(value, kind)), None)
    return replace(value, **{field: change_texts(getattr(value, field), change)}) if field else value


async def change_chunks(
    chunks: AsyncGenerator[Chunk, None], change: Callable[[str], str], unfinished: str = ""
) -> AsyncGenerator[Chunk, None]:
    """Iterate over a reply's chunks with every text changed: of text, reasoning, arguments and whole parts.

    ``unfinished`` is a pattern of what may go on at the end of a piece, as in ``"<[^>]{0,20}$"``: it's held back until
    the rest has come, so that ``change`` sees it whole.
    """
    held: dict[str | int, str] = {}

    def piece(key: str | int, text: str) -> str:
        text = held.pop(key, "") + text
        half = re.search(unfinished, text) if unfinished else None
        if half is not None:
            held[key] = half[0]
            text = text[: half.start()]
        return change(text)

    async with aclosing(chunks):
        async for chunk in chunks:
            if isinstance(chunk, End) or not (chunk.text or chunk.reasoning or chunk.tool_calls):
                for key in [*held]:
                    yield _rest(key, change(held.pop(key)))
            yield chunk if isinstance(chunk, End) else _changed(chunk, piece, change)


def _changed(chunk: Delta, piece: Callable[[str | int, str], str], change: Callable[[str], str]) -> Delta:
    calls = [replace(one, arguments_fragment=piece(one.index, one.arguments_fragment)) for one in chunk.tool_calls]
    return replace(
        chunk,
        text=piece("text", chunk.text) if chunk.text else chunk.text,
        reasoning=piece("reasoning", chunk.reasoning) if chunk.reasoning else chunk.reasoning,
        tool_calls=calls,
        part=change_texts(chunk.part, change),
    )


def _rest(key: str | int, text: str) -> Delta:
    if isinstance(key, int):
        return Delta(tool_calls=[ToolCallDelta(key, arguments_fragment=text)])
    return Delta(text) if key == "text" else Delta(reasoning=text)
