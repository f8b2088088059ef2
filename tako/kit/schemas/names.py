"""Names of tools that a vendor refuses: others for the wire, and the tools' own in replies."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from tako.parts import ToolCallPart
from tako.types import Tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tako.kit.exchange import StreamDecoder
    from tako.types import ChatRequest, ChatResponse, Chunk, Message


class Names(Struct, frozen=True, eq=False, kw_only=True):
    """What names may be: none of the characters that ``other`` matches, ``first`` at the start, and not too long."""

    other: re.Pattern[str] = re.compile(r"[^a-zA-Z0-9_-]")
    first: re.Pattern[str] = re.compile(r"[a-zA-Z0-9_-]")
    longest: int = 64


@lru_cache(4096)
def fits(name: str, names: Names) -> bool:
    """Whether a vendor takes a name as it is."""
    return len(name) <= names.longest and names.first.match(name) is not None and names.other.search(name) is None


def called(messages: Iterable[Message]) -> dict[str, None]:
    """Return the names of the calls in a conversation, in order."""
    return {
        part.name: None
        for message in messages
        if not isinstance(message.content, str)
        for part in message.content
        if isinstance(part, ToolCallPart)
    }


def wire_names(request: ChatRequest, names: Names) -> dict[str, str]:
    """Return the names that go out in another form, each with that form: one of its own, the same in every turn.

    Names that fit stay as they are. Of the others the tools' come before those of earlier calls, so that a tool keeps
    its form while the conversation grows.
    """
    own = {tool.name: None for tool in request.tools if isinstance(tool, Tool)} | called(request.messages)
    refused = [name for name in own if not fits(name, names)]
    if not refused:
        return {}
    taken = {name for name in own if name not in refused} | {tool.name for tool in request.tools}
    made: dict[str, str] = {}
    for name in refused:
        made[name] = _form(name, names, taken)
        taken.add(made[name])
    return made


def _form(name: str, names: Names, taken: set[str]) -> str:
    """Return a name like this one; accents go, and a hash tells it from one that looks the same."""
    plain = "".join([letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter)])
    form = names.other.sub("_", plain)
    if not any(letter.isalnum() for letter in form):
        form = "tool"
    if names.first.match(form) is None:
        form = f"_{form}"
    form = form[: names.longest]
    stem, number = form, 0
    while form in taken:
        digest = sha256(f"{number or ''}{name}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
        form, number = f"{stem[: names.longest - 9]}_{digest}", number + 1
    return form


def renamed(messages: list[Message], forms: Mapping[str, str]) -> list[Message]:
    """Return a conversation whose calls have the names of the wire."""
    return [
        replace(message, content=[_with(part, forms) for part in message.content])
        if not isinstance(message.content, str) and any(name in forms for name in called([message]))
        else message
        for message in messages
    ]


def _with(part: Any, forms: Mapping[str, str]) -> Any:
    if isinstance(part, ToolCallPart) and part.name in forms:
        return replace(part, name=forms[part.name])
    return part


def with_own_names(response: ChatResponse, own: Mapping[str, str]) -> ChatResponse:
    """Return a reply whose calls have the tools' own names."""
    parts = [_with(part, own) for part in response.message.parts]
    return replace(response, message=replace(response.message, content=parts))


class OwnNames:
    """A decoder whose calls have the tools' own names."""

    def __init__(self, inner: StreamDecoder, own: Mapping[str, str]) -> None:
        self._inner = inner
        self._own = own

    @property
    def ended(self) -> bool:
        """Whether the vendor's terminator has come."""
        return self._inner.ended

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return map(self._named, self._inner.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left."""
        return map(self._named, self._inner.finish(clean=clean))

    def _named(self, chunk: Chunk) -> Chunk:
        if chunk.kind == "end" or not (chunk.tool_calls or chunk.part):
            return chunk
        own = self._own
        calls = [replace(call, name=own.get(call.name or "", call.name)) for call in chunk.tool_calls]
        return replace(chunk, tool_calls=calls, part=_with(chunk.part, self._own))
