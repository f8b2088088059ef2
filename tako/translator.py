"""Content translation: the two functions between tako's parts and a vendor's blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tako.parts import Part
from tako.state import Origin
from tako.types import ChatRequest, Message, Notice


class PartContext:
    """The request and reply that parts are translated for, and the place for notices.

    Attributes:
        origin: The provider, model and server that the request goes to.
        request: The request as the caller made it.
        outgoing: The request with the tool names and schemas that the vendor takes.
        known_as: The name of the model whose rules hold: the one that is asked, or what it's made from.
        own_names: The tools' own names, by their names on the wire.
        own_properties: The own names of a tool's properties by those on the wire, for each tool that has such.
        accepts: A function of a part and an Origin: whether state of that origin may go back. By default only its own.
        fetches: Whether tako fetches files that the vendor can't.
        to_fetch: The parts that tako has to fetch.
        message: The message that is being encoded.
        encode: The translator's ``encode`` with what plugins put around it, for parts inside of parts.
        path: The place in the request, such as ``messages[0].content[2]``.
        notices: The notices so far.
    """

    __slots__ = (
        "accepts",
        "encode",
        "fetches",
        "known_as",
        "message",
        "notices",
        "origin",
        "outgoing",
        "own_names",
        "own_properties",
        "path",
        "request",
        "to_fetch",
    )

    def __init__(
        self, origin: Origin, request: ChatRequest, accepts: Accepts | None = None, *, fetches: bool = False
    ) -> None:
        self.origin = origin
        self.request = self.outgoing = request
        self.known_as = origin.model
        self.own_names: dict[str, str] = {}
        self.own_properties: dict[str, dict[str, str]] = {}
        self.accepts: Accepts = accepts or (lambda _, other: other.matches(origin))
        self.fetches = fetches
        self.to_fetch: list[Part] = []
        self.message: Message | None = None
        self.encode: Encode | None = None
        """The translator's own ``encode``, wraps of plugins included, for parts inside of parts."""
        self.path = ""
        self.notices: list[Notice] = []

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.origin.provider

    def notice(self, code: str, message: str, path: str | None = None) -> None:
        """Add a notice. If its code means a loss (see ``tako.notices``), a ``strict`` request is refused."""
        self.notices.append(Notice(code, message, self.path if path is None else path, self.provider))


Accepts = Callable[[Part, Origin], bool]
Encode = Callable[[Part, PartContext], Any]
Decode = Callable[[Any, PartContext], Part | None]


class Translator(Struct, frozen=True):
    """The content translation of one provider.

    A plugin that wraps the hook ``tako_translator`` gets the inner pair and returns its own::

        def encode(part, context):
            if isinstance(part, ImagePart) and part.mime == "image/avif":
                part = to_png(part)
            return inner.encode(part, context)

        return Translator(encode=encode, decode=inner.decode)

    Attributes:
        encode: ``encode(part, context)`` returns the vendor's block for a part. If the vendor can't take the part, it
            calls ``context.notice(code, message)`` and returns None. It never raises because of content.
        decode: ``decode(block, context)`` returns the part for a block of a reply, or None for a block without content.
            Its State has ``context.origin`` and what the part's fields don't hold. It runs for streams, too: if a
            block's text was streamed, the part's citations and state are used.
    """

    encode: Encode
    decode: Decode
