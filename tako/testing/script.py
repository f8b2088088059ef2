"""What a vendor is to say, in words that are no vendor's: a dialect puts it on its wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako.types import FinishReason, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator


class Call(Struct, frozen=True):
    """A tool call. ``args`` is JSON, or a str that goes out as it is; without an ``id`` the wire has none."""

    name: str
    args: Any = {}
    id: str = ""

    @property
    def text(self) -> str:
        """The arguments as JSON text."""
        return self.args if isinstance(self.args, str) else msgspec.json.encode(self.args).decode()


class Script(Struct, frozen=True, kw_only=True):
    """One reply: reasoning first, then text, then calls.

    Attributes:
        text: The text.
        reasoning: The text of the reasoning.
        signature: Opaque state that the vendor wants back, if its wire has any.
        unknown: Whether a block of an unknown kind follows the text, on wires that have blocks.
        more: More texts, each a block of its own, on wires that have blocks.
        calls: The tool calls.
        finish: The finish reason. None for the one that fits.
        word: The vendor's own word for the finish reason, instead of ``finish``.
        usage: The token counts, as tako counts. None for a vendor that counts nothing.
        split: How many characters a piece of streamed text or arguments has.
        interleave: Whether the pieces of parallel calls alternate.
        model: The model that the reply names.
        id: The id of the reply.
    """

    text: str = ""
    reasoning: str = ""
    signature: str | None = None
    unknown: bool = False
    more: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    finish: FinishReason | None = None
    word: str | None = None
    usage: Usage | None = Usage(11, 7)
    split: int = 5
    interleave: bool = False
    model: str = "scripted-model"
    id: str = "reply-1"

    @property
    def ending(self) -> FinishReason:
        """The finish reason that fits."""
        return self.finish or (FinishReason.TOOL_CALLS if self.calls else FinishReason.STOP)

    def pieces(self, text: str) -> list[str]:
        """Take a text apart as this script streams it; no piece is empty."""
        return [text[at : at + self.split] for at in range(0, len(text), self.split)]

    def fragments(self) -> Iterator[tuple[int, str]]:
        """Yield pieces of arguments, each with the position of its call."""
        queues = [(n, self.pieces(call.text)) for n, call in enumerate(self.calls)]
        if not self.interleave:
            yield from ((n, piece) for n, pieces in queues for piece in pieces)
            return
        while any(pieces for _, pieces in queues):
            yield from ((n, pieces.pop(0)) for n, pieces in queues if pieces)
