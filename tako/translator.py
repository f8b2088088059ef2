"""Content translation: the pair of functions between tako's parts and a vendor's blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tako.parts import Part
from tako.state import Origin
from tako.types import ChatRequest, Message, Notice


class PartContext:
    """One request and its reply, while parts are encoded and blocks decoded, and the place for notices about them.

    ``origin`` is who is asked. ``accepts(part, origin)`` tells whether it takes the state that another origin made; by
    default only its own. ``path`` points into the request, as in ``messages[0].content[2]``. ``outgoing`` is the
    request with the names and schemas that the vendor takes; ``own_names`` has the tools' own names by those of the
    wire. ``fetches``: files that the vendor can't fetch are fetched by tako; those are listed in ``wanted``.
    """

    __slots__ = (
        "accepts",
        "encode",
        "fetches",
        "message",
        "notices",
        "origin",
        "outgoing",
        "own_names",
        "path",
        "request",
        "wanted",
    )

    def __init__(
        self, origin: Origin, request: ChatRequest, accepts: Accepts | None = None, *, fetches: bool = False
    ) -> None:
        self.origin = origin
        self.request = self.outgoing = request
        self.own_names: dict[str, str] = {}
        self.accepts: Accepts = accepts or (lambda _, other: other.matches(origin))
        self.fetches = fetches
        self.wanted: list[Part] = []
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
        """Add a notice; if its code is a loss (see ``tako.notices``), a ``strict`` request is refused."""
        self.notices.append(Notice(code, message, self.path if path is None else path, self.provider))


Accepts = Callable[[Part, Origin], bool]
Encode = Callable[[Part, PartContext], Any]
Decode = Callable[[Any, PartContext], Part | None]


class Translator(Struct, frozen=True):
    """The content translation of one provider.

    ``encode(part, context)`` returns the vendor's block for a part, or None if the wire can't carry it; then it adds a
    notice with ``context.notice(code, message)``. It never raises on content. ``decode(block, context)`` returns the
    part that a block of a reply stands for, with a State of ``context.origin`` for what the part's own fields don't
    say; or None for a block without content. Both run for whole and streamed replies: of a block whose text was
    streamed, the part's citations and state are used.

    A plugin that wraps the hook ``tako_translator`` gets the inner pair and returns its own::

        def encode(part, context):
            if isinstance(part, ImagePart) and part.mime == "image/avif":
                part = to_png(part)
            return inner.encode(part, context)

        return Translator(encode=encode, decode=inner.decode)
    """

    encode: Encode
    decode: Decode
