"""The block of a stream that is open: put together as a whole reply has it, and read by the translator when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.fold import closing_delta
from tako.json_values import text_of
from tako.kit.completions.blocks import chunks_of
from tako.kit.completions.reply_fields import Content
from tako.kit.deltas import merge_pieces
from tako.parts import ReasoningPart, TextPart
from tako.types import Delta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.kit.completions.blocks import Block
    from tako.kit.completions.calls import CallIndex, OpenCall
    from tako.parts import Part


class OpenBlock:
    """What has come of a block; methods add to ``out`` what there is to say of it.

    ``kind`` is "text", "refusal", "reasoning" (fields of the message), "thinking" (a chunk of its content), "call" (one
    of a type that tako doesn't know), or "" if no block is open. ``pieces`` are what the block consists of so far, and
    ``kinds`` the kinds of all blocks.
    """

    def __init__(self, decode: Callable[[Block], Part | None]) -> None:
        self.kind = ""
        self.pieces: list[Any] = []
        self.kinds: frozenset[str] = frozenset()
        self._decode = decode
        self._signature: Any = None

    @property
    def continuation(self) -> str:
        """What a delta has that goes on with it: a field, or a thinking chunk; "" if that isn't one alone."""
        if self.kind == "reasoning":
            return next(iter(self.pieces[-1])) if len(self.pieces[-1]) == 1 else ""
        if self.kind == "thinking":
            return self.kind if self.pieces[-1]["thinking"] else ""
        return "content" if self.kind == "text" else ""

    def begin(self, kind: str, out: list[Delta]) -> None:
        """Begin a block of that kind, unless one is open."""
        if self.kind != kind:
            self.end(out)
            self.kind = kind
            self.kinds |= {kind}

    def end(self, out: list[Delta]) -> None:
        """End the block that is open."""
        if not self.kind:
            return
        part = self._decode(self._block())
        self.kind, self.pieces, self._signature = "", [], None
        if isinstance(part, ReasoningPart) and not part.text:
            out.append(Delta(part=part))
        elif part is not None and not (isinstance(part, TextPart) and not part.citations and part.state is None):
            out.append(closing_delta(part))

    def text(self, text: str, out: list[Delta]) -> None:
        """Add a piece of text."""
        self.begin("text", out)
        self.pieces.append(text)
        out.append(Delta(text))

    def refusal(self, text: str, out: list[Delta]) -> None:
        """Add a piece of a refusal."""
        self.begin("refusal", out)
        self.pieces.append(text)
        out.append(Delta(text, refusal=True))

    def reasoning(self, texts: dict[str, str], out: list[Delta]) -> None:
        """Add a piece of reasoning, by the fields that have it."""
        self.begin("reasoning", out)
        self.pieces.append(texts)
        out.append(Delta(reasoning=next(iter(texts.values()))))

    def thinking(self, chunk: Block, out: list[Delta]) -> None:
        """Add a piece of a thinking chunk. An empty piece ends the chunk, and so does another signature."""
        inner, signature = chunk["thinking"], chunk.get("signature")
        if self.kind == "thinking" and (
            not self.pieces[-1]["thinking"] or (signature and self._signature not in (None, signature))
        ):
            self.end(out)
        self.begin("thinking", out)
        self._signature = signature or self._signature
        self.pieces.append(chunk)
        text = inner if isinstance(inner, str) else "".join([text_of(part.get("text")) for part in chunks_of(inner)])
        if text:
            out.append(Delta(reasoning=text))

    def call(self, call: OpenCall, out: list[Delta]) -> None:
        """Add to a call of a type that tako doesn't know."""
        if self.pieces != [call]:
            self.end(out)
            self.kind, self.pieces = "call", [call]

    def _block(self) -> Block:
        """Put the pieces together."""
        pieces = self.pieces
        match self.kind:
            case "text":
                return {"type": "text", "text": "".join(pieces)}
            case "refusal":
                return {"refusal": "".join(pieces)}
            case "call":
                block: Block = pieces[0].block()
            case "thinking":
                fields = {name: value for piece in pieces for name, value in piece.items() if value is not None}
                block = {**fields, "thinking": merge_pieces([piece["thinking"] for piece in pieces])}
            case _:
                block = merge_pieces(pieces)
        return block


def remaining(message: Content, open_block: OpenBlock, calls: CallIndex) -> Content:
    """Return what of a message has not come in pieces before: some servers end a stream with all of it."""
    received = "".join(open_block.pieces) if open_block.kind == "text" else ""
    is_continued = received and isinstance(message.content, str) and message.content.startswith(received)
    rest_of_text = message.content[len(received) :] if is_continued and message.content else None
    new_calls = [call for call in message.calls if not calls.contains(call)]
    content = rest_of_text if "text" in open_block.kinds else message.content
    return (
        Content(content, tool_calls=new_calls)
        if open_block.kinds & {"reasoning", "thinking"}
        else replace(message, content=content, tool_calls=new_calls, function_call=None)
    )
