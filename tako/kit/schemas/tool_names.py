"""Names of tools that a vendor refuses: others for the wire."""

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
    from collections.abc import Iterable, Mapping

    from tako.types import ChatRequest, Message


class Names(Struct, frozen=True, eq=False, kw_only=True):
    """What names may be: none of the characters that ``other`` matches, ``first`` at the start, and not too long."""

    other: re.Pattern[str] = re.compile(r"[^a-zA-Z0-9_-]")
    first: re.Pattern[str] = re.compile(r"[a-zA-Z0-9_-]")
    longest: int = 64

    def takes(self, name: str) -> bool:
        """Whether a name may be as it is."""
        return len(name) <= self.longest and self.first.match(name) is not None and self.other.search(name) is None


@lru_cache(4096)
def is_accepted(name: str, names: Names) -> bool:
    """Whether a vendor takes a name as it is."""
    return names.takes(name)


def called_names(messages: Iterable[Message]) -> dict[str, None]:
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
    names_of_calls = called_names(request.messages)
    if not (request.tools or names_of_calls):  # most requests
        return {}
    names_in_order = {tool.name: None for tool in request.tools if isinstance(tool, Tool)} | names_of_calls
    refused = [name for name in names_in_order if not is_accepted(name, names)]
    if not refused:
        return {}
    taken = {name for name in names_in_order if name not in refused} | {tool.name for tool in request.tools}
    forms: dict[str, str] = {}
    for name in refused:
        forms[name] = form_of(name, names, taken)
        taken.add(forms[name])
    return forms


def form_of(name: str, names: Names, taken: set[str]) -> str:
    """Return a name like this one; accents go, and a hash tells it from one that looks the same."""
    ascii_like = "".join(
        [letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter)]
    )
    form = names.other.sub("_", ascii_like)
    if not any(letter.isalnum() for letter in form):
        form = "tool"
    if names.first.match(form) is None:
        form = f"_{form}"
    form = form[: names.longest]
    base, number = form, 0
    while form in taken:
        digest = sha256(f"{number or ''}{name}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
        form, number = f"{base[: names.longest - 9]}_{digest}", number + 1
    return form


def with_wire_names(messages: list[Message], forms: Mapping[str, str]) -> list[Message]:
    """Return a conversation whose calls have the names of the wire."""
    return [
        replace(message, content=[with_name(part, forms) for part in message.content])
        if not isinstance(message.content, str) and any(name in forms for name in called_names([message]))
        else message
        for message in messages
    ]


def with_name(part: Any, forms: Mapping[str, str]) -> Any:
    """Return a call under another name; any other part as it is."""
    if isinstance(part, ToolCallPart) and part.name in forms:
        return replace(part, name=forms[part.name])
    return part
