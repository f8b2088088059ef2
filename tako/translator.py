"""Content translation: the pair of functions between tako's parts and a vendor's blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tako.parts import Part
from tako.types import ChatRequest, Message, Notice


class PartContext:
    """Where a part stands while it is encoded, and the place to say what could not be carried.

    ``provider`` is the name ("anthropic") that opaque state must bear to go out. ``path`` points into the request, as
    in ``messages[0].content[2]``.
    """

    __slots__ = ("encode", "message", "notices", "path", "provider", "request")

    def __init__(self, provider: str, request: ChatRequest) -> None:
        self.provider = provider
        self.request = request
        self.message: Message | None = None
        self.encode: Encode | None = None
        """The translator's own ``encode``, wraps of plugins included, for parts inside of parts."""
        self.path = ""
        self.notices: list[Notice] = []

    def notice(self, code: str, message: str, path: str | None = None) -> None:
        """Say that something was left out or changed; with ``strict`` it becomes an UnsupportedError."""
        self.notices.append(Notice(code, message, self.path if path is None else path, self.provider))


Encode = Callable[[Part, PartContext], Any]
Decode = Callable[[Any], Part | None]


class Translator(Struct, frozen=True):
    """The content translation of one provider.

    ``encode(part, context)`` returns the vendor's block for a part, or None where the wire cannot carry it; then it
    says so with ``context.notice(code, message)``. It never raises on content. ``decode(block)`` returns the part that
    a block of a whole reply stands for, or None for a block that has no counterpart (it stays in ``response.raw``).

    A plugin that wraps the hook ``tako_translator`` gets the inner pair and returns its own::

        def encode(part, context):
            if isinstance(part, ImagePart) and part.mime == "image/avif":
                part = to_png(part)
            return inner.encode(part, context)

        return Translator(encode=encode, decode=inner.decode)
    """

    encode: Encode
    decode: Decode
