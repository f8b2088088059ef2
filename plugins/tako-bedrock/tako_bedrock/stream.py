"""A streamed reply of ConverseStream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.fold import arguments, closing
from tako.json_values import as_array, as_object, text_of
from tako.kit.blocks import without
from tako.kit.body import decode_any, decode_json
from tako.kit.eventstream import EventStreamDecoder
from tako.kit.gather import Gathered, gather
from tako.kit.ids import CallIds
from tako.media import join_base64
from tako.parts import ToolCallPart
from tako.types import Chunk, Delta, End, ToolCallDelta
from tako_bedrock.blocks import REDACTED, SERVER_TOOL
from tako_bedrock.failures import exception_facts
from tako_bedrock.reply import finish_reason, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.eventstream import EventMessage
    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.translator import Translator


class InputPiece(Struct, forbid_unknown_fields=True, gc=False):
    """A piece of a call's arguments, which are JSON text."""

    input: str


class ThoughtPiece(Struct, forbid_unknown_fields=True, gc=False):
    """A piece of reasoning."""

    text: str


class Piece(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A piece of text, of arguments or of reasoning: one of them."""

    text: str | None = None
    tool_use: InputPiece | None = None
    reasoning_content: ThoughtPiece | None = None


class BlockDelta(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """Nearly every event: a block goes on. ``p`` is padding."""

    delta: Piece
    content_block_index: int = 0
    p: str = ""


DELTA = msgspec.json.Decoder(BlockDelta)
ANY = msgspec.json.Decoder(dict[str, Any])
EXCEPTIONS = ("exception", "error")
KNOWN = ("contentBlockIndex", "start", "delta", "role", "p")
"""The fields of events that are read, or say nothing."""


class Block:
    """A block as far as it has come: its fields as the whole reply has them, and pieces of what is long."""

    def __init__(self, index: int, fields: dict[str, Any]) -> None:
        self.index = index
        self.fields = fields
        self.call: int | None = None  # the position of a call that is the client's
        self.texts: list[str] = []
        self.inputs: list[str] = []
        self.data: list[str] = []

    def whole(self) -> dict[str, Any]:
        """Return the block as a whole reply has it."""
        fields, text = self.fields, "".join(self.texts)
        if "citationsContent" in fields:
            return {**fields, "citationsContent": {"content": [{"text": text}], **fields["citationsContent"]}}
        if "toolUse" in fields:
            return {**fields, "toolUse": {**fields["toolUse"], "input": arguments("".join(self.inputs))}}
        if "reasoningContent" in fields:
            return {**fields, "reasoningContent": self._reasoning(fields["reasoningContent"], text)}
        if "image" in fields and self.data:
            image = fields["image"]
            source = {**(as_object(image.get("source")) or {}), "bytes": join_base64(self.data)}
            return {**fields, "image": {**image, "source": source}}
        return {"text": text, **fields} if self.texts else fields

    def _reasoning(self, content: dict[str, Any], text: str) -> dict[str, Any]:
        if self.data:
            return {**content, REDACTED: join_base64(self.data)}
        return {**content, "reasoningText": {"text": text, **(content.get("reasoningText") or {})}}


class ConverseDecoder:
    """Turns an event stream into chunks.

    ``messageStop`` ends the reply, ``metadata`` with the usage follows, and then the body ends: it is read to its end,
    since bytes left over are the beginning of something that was cut. ``End.raw`` has what a whole reply has beside its
    message: metrics, traces of guardrails, the service tier.
    """

    def __init__(self, provider: HttpProvider, exchange: Exchange, translator: Translator) -> None:
        self.ended = False
        self._provider = provider
        self._context = exchange.context
        self._decode = translator.decode
        self._messages = EventStreamDecoder(provider.max_event_bytes)
        self._ids = CallIds()
        self._open: Block | None = None
        self._stop: dict[str, Any] | None = None
        self._usage: Any = None
        self._facts = Gathered(provider.max_reply_bytes)

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        for message in self._messages.feed(data):
            if message.headers.get(":message-type") in EXCEPTIONS:
                facts = exception_facts(message)
                raise self._provider.failure(facts, body=message.payload.decode("utf-8", "replace"))
            kind = message.headers.get(":event-type")
            if kind != "contentBlockDelta":
                yield from self._event(str(kind), message)
                continue
            try:
                read = DELTA.decode(message.payload)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                yield from self._delta(self._kept("contentBlockDelta", message))
                continue
            block, piece = self._open, read.delta
            if block is None or block.index != read.content_block_index:
                yield from self._delta(_fields(message))
            elif (text := piece.text) is not None and piece.tool_use is None and piece.reasoning_content is None:
                block.texts.append(text)
                if text:
                    yield Delta(text)
            elif (delta := _go_on(block, piece)) is not None:
                yield delta
            else:
                yield from self._delta(_fields(message))

    def _event(self, kind: str, message: EventMessage) -> Iterator[Delta]:
        match kind:
            case "contentBlockStart":
                yield from self._start(self._kept(kind, message))
            case "contentBlockStop":
                self._kept(kind, message)
                yield from self._close()
            case "messageStop":
                yield from self._close()
                self._stop = _fields(message)
                self._facts.add(self._stop, len(message.payload))
            case "metadata":
                fields = _fields(message)
                self._usage = fields.get("usage")
                self._facts.add(fields, len(message.payload))
            case "messageStart" | "initial-response":
                self._kept(kind, message)
            case _:  # events to come are not fatal
                self._facts.add({kind: decode_any(message.payload)}, len(message.payload))

    def _kept(self, kind: str, message: EventMessage) -> dict[str, Any]:
        """Return the fields of an event; those that tako doesn't know are kept for ``raw``, under the event's name."""
        fields = _fields(message)
        if rest := {name: value for name, value in fields.items() if name not in KNOWN}:
            self._facts.add({kind: rest}, len(message.payload))
        return fields

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield the End."""
        if self._messages.pending:
            raise StreamTruncatedError("the stream ended in the middle of an event")
        if self._stop is None:
            raise StreamTruncatedError("the stream ended without messageStop")
        if not clean and self._usage is None:
            raise StreamTruncatedError("the connection broke after messageStop, before the metadata")
        context, word = self._context, text_of(self._stop.get("stopReason"))
        if self._facts.lost:
            context.notice(notices.LOST_PART, "more came beside the text than raw keeps", "")
        yield End(
            finish_reason(word, context, has_calls=len(self._ids) > 0),
            usage_of(self._usage),
            context.origin.model,
            finish_word=word,
            notices=context.notices,
            raw={name: value for name, value in self._facts.fields.items() if name != "p"},
        )

    def _start(self, event: dict[str, Any]) -> Iterator[Delta]:
        yield from self._close()
        block = self._open = Block(_index(event), as_object(event.get("start")) or {})
        call = as_object(block.fields.get("toolUse"))
        if call is not None and call.get("type") != SERVER_TOOL:
            block.call = len(self._ids)
            id = self._ids.unique(text_of(call.get("toolUseId")))
            block.fields["toolUse"] = {**call, "toolUseId": id}
            yield Delta(tool_calls=[ToolCallDelta(block.call, id, text_of(call.get("name")))])

    def _delta(self, event: dict[str, Any]) -> Iterator[Delta]:
        """Read a piece of any block, and keep what is not text of it."""
        index, delta = _index(event), as_object(event.get("delta")) or {}
        block = self._open
        if block is None or block.index != index:
            if "toolUse" in delta:
                raise ResponseError("a piece of a tool call came before the call's beginning")
            yield from self._close()
            block = self._open = Block(index, {})
        for kind, value in delta.items():
            inner = as_object(value) or {}
            match kind:
                case "text":
                    block.texts.append(text_of(value))
                    yield Delta(text_of(value))
                case "toolUse":
                    yield from self._input(block, text_of(inner.get("input")))
                    gather(block.fields, {kind: {name: one for name, one in inner.items() if name != "input"}})
                case "reasoningContent":
                    yield from self._thought(block, inner)
                case "citation":
                    block.fields.setdefault("citationsContent", {"citations": []})["citations"].append(value)
                case "image":
                    _add_image(block, inner)
                case "toolResult":
                    result = block.fields.setdefault("toolResult", {})
                    result["content"] = [*result.get("content", []), *(as_array(value) or [])]
                case _:
                    gather(block.fields, {kind: value}, texts=True)

    def _input(self, block: Block, piece: str) -> Iterator[Delta]:
        block.inputs.append(piece)
        if block.call is not None and piece:
            yield Delta(tool_calls=[ToolCallDelta(block.call, None, None, piece)])

    def _thought(self, block: Block, piece: dict[str, Any]) -> Iterator[Delta]:
        kept = block.fields.setdefault("reasoningContent", {})
        if text := text_of(piece.get("text")):
            block.texts.append(text)
            yield Delta(reasoning=text)
        if data := text_of(piece.get(REDACTED)):
            block.data.append(data)
        rest = {name: value for name, value in piece.items() if name not in ("text", REDACTED)}
        if rest:
            gather(kept.setdefault("reasoningText", {}), rest, texts=True)

    def _close(self) -> Iterator[Delta]:
        """End the block that is open, with all of it that has not been handed over."""
        block, self._open = self._open, None
        part = self._decode(block.whole(), self._context) if block is not None else None
        if block is None or part is None:
            return
        if block.call is None:
            yield closing(part)
        elif isinstance(part, ToolCallPart) and part.state is not None:
            yield Delta(tool_calls=[ToolCallDelta(block.call, state=part.state)])


def _go_on(block: Block, piece: Piece) -> Delta | None:
    """Add a piece of arguments or of reasoning that says something to a call of the client's, or to reasoning."""
    thought, call = piece.reasoning_content, piece.tool_use
    if (
        thought is not None
        and thought.text
        and call is None
        and piece.text is None
        and "reasoningContent" in block.fields
    ):
        block.texts.append(thought.text)
        return Delta(reasoning=thought.text)
    if call is not None and call.input and thought is None and piece.text is None and block.call is not None:
        block.inputs.append(call.input)
        return Delta(tool_calls=[ToolCallDelta(block.call, None, None, call.input)])
    return None


def _add_image(block: Block, piece: dict[str, Any]) -> None:
    """Add a piece of an image; its bytes may come in several."""
    source = as_object(piece.get("source")) or {}
    if data := text_of(source.get("bytes")):
        block.data.append(data)
    gather(block.fields.setdefault("image", {}), without(piece, "source", "bytes") if source else piece)


def _index(event: dict[str, Any]) -> int:
    index = event.get("contentBlockIndex")
    return index if isinstance(index, int) else 0


def _fields(message: EventMessage) -> dict[str, Any]:
    return decode_json(message.payload, ANY)
