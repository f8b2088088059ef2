"""A streamed reply of ConverseStream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.fold import closing_delta, parse_arguments
from tako.json_values import as_array, as_object, text_of
from tako.kit.blocks import without
from tako.kit.body import decode_any, decode_json
from tako.kit.deltas import StreamFacts, merge_delta
from tako.kit.eventstream import EventStreamDecoder
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


class ToolUseDelta(Struct, forbid_unknown_fields=True, gc=False):
    """A fragment of a call's arguments, which are JSON text."""

    input: str


class ReasoningDelta(Struct, forbid_unknown_fields=True, gc=False):
    """A fragment of reasoning."""

    text: str


class ContentDelta(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A fragment of text, of arguments or of reasoning: one of them."""

    text: str | None = None
    tool_use: ToolUseDelta | None = None
    reasoning_content: ReasoningDelta | None = None


class BlockDelta(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """Nearly every event: the next fragment of a block. ``p`` is padding."""

    delta: ContentDelta
    content_block_index: int = 0
    p: str = ""


DELTA = msgspec.json.Decoder(BlockDelta)
ANY = msgspec.json.Decoder(dict[str, Any])
ERROR_TYPES = ("exception", "error")
KNOWN_FIELDS = ("contentBlockIndex", "start", "delta", "role", "p")
"""The fields of events that are read, or that have no content."""


class OpenBlock:
    """A block that hasn't ended yet: its fields as a whole reply has them, and fragments of the long ones."""

    def __init__(self, index: int, fields: dict[str, Any]) -> None:
        self.index = index
        self.fields = fields
        self.call: int | None = None  # the index of a call that the client runs
        self.texts: list[str] = []
        self.inputs: list[str] = []
        self.data: list[str] = []

    def build(self) -> dict[str, Any]:
        """Return the block as a whole reply has it."""
        fields, text = self.fields, "".join(self.texts)
        if "citationsContent" in fields:
            return {**fields, "citationsContent": {"content": [{"text": text}], **fields["citationsContent"]}}
        if "toolUse" in fields:
            return {**fields, "toolUse": {**fields["toolUse"], "input": parse_arguments("".join(self.inputs))}}
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
        self._open_block: OpenBlock | None = None
        self._message_stop: dict[str, Any] | None = None
        self._usage: Any = None
        self._raw = StreamFacts(provider.max_reply_bytes)

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        for message in self._messages.feed(data):
            if message.headers.get(":message-type") in ERROR_TYPES:
                facts = exception_facts(message)
                raise self._provider.failure(facts, body=message.payload.decode("utf-8", "replace"))
            kind = message.headers.get(":event-type")
            if kind != "contentBlockDelta":
                yield from self._read_event(str(kind), message)
                continue
            try:
                event = DELTA.decode(message.payload)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                yield from self._read_delta(self._keep_unknown("contentBlockDelta", message))
                continue
            block, content = self._open_block, event.delta
            if block is None or block.index != event.content_block_index:
                yield from self._read_delta(_decode_event(message))
            elif (text := content.text) is not None and content.tool_use is None and content.reasoning_content is None:
                block.texts.append(text)
                if text:
                    yield Delta(text)
            elif (delta := _continue_block(block, content)) is not None:
                yield delta
            else:
                yield from self._read_delta(_decode_event(message))

    def _read_event(self, kind: str, message: EventMessage) -> Iterator[Delta]:
        match kind:
            case "contentBlockStart":
                yield from self._start_block(self._keep_unknown(kind, message))
            case "contentBlockStop":
                self._keep_unknown(kind, message)
                yield from self._close_block()
            case "messageStop":
                yield from self._close_block()
                self._message_stop = _decode_event(message)
                self._raw.add(self._message_stop, len(message.payload))
            case "metadata":
                fields = _decode_event(message)
                self._usage = fields.get("usage")
                self._raw.add(fields, len(message.payload))
            case "messageStart" | "initial-response":
                self._keep_unknown(kind, message)
            case _:  # events to come are not fatal
                self._raw.add({kind: decode_any(message.payload)}, len(message.payload))

    def _keep_unknown(self, kind: str, message: EventMessage) -> dict[str, Any]:
        """Return the fields of an event. Fields that tako doesn't know are kept for ``raw``, under the event's name."""
        fields = _decode_event(message)
        if unknown := {name: value for name, value in fields.items() if name not in KNOWN_FIELDS}:
            self._raw.add({kind: unknown}, len(message.payload))
        return fields

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield the End."""
        if self._messages.pending:
            raise StreamTruncatedError("the stream ended in the middle of an event")
        if self._message_stop is None:
            raise StreamTruncatedError("the stream ended without messageStop")
        if not clean and self._usage is None:
            raise StreamTruncatedError("the connection broke after messageStop, before the metadata")
        context, stop_reason = self._context, text_of(self._message_stop.get("stopReason"))
        if self._raw.is_truncated:
            context.notice(
                notices.LOST_PART, "some fields of the reply were left out of raw, which has a size limit", ""
            )
        yield End(
            finish_reason(stop_reason, context, has_calls=len(self._ids) > 0),
            usage_of(self._usage),
            context.origin.model,
            finish_word=stop_reason,
            notices=context.notices,
            raw={name: value for name, value in self._raw.fields.items() if name != "p"},
        )

    def _start_block(self, event: dict[str, Any]) -> Iterator[Delta]:
        yield from self._close_block()
        block = self._open_block = OpenBlock(_index(event), as_object(event.get("start")) or {})
        call = as_object(block.fields.get("toolUse"))
        if call is not None and call.get("type") != SERVER_TOOL:
            block.call = len(self._ids)
            id = self._ids.unique(text_of(call.get("toolUseId")))
            block.fields["toolUse"] = {**call, "toolUseId": id}
            yield Delta(tool_calls=[ToolCallDelta(block.call, id, text_of(call.get("name")))])

    def _read_delta(self, event: dict[str, Any]) -> Iterator[Delta]:
        """Read a delta of any kind of block, and keep what isn't text."""
        index, delta = _index(event), as_object(event.get("delta")) or {}
        block = self._open_block
        if block is None or block.index != index:
            if "toolUse" in delta:
                raise ResponseError("the arguments of a tool call arrived before its start")
            yield from self._close_block()
            block = self._open_block = OpenBlock(index, {})
        for kind, value in delta.items():
            inner = as_object(value) or {}
            match kind:
                case "text":
                    block.texts.append(text_of(value))
                    yield Delta(text_of(value))
                case "toolUse":
                    yield from self._add_input(block, text_of(inner.get("input")))
                    merge_delta(block.fields, {kind: {name: item for name, item in inner.items() if name != "input"}})
                case "reasoningContent":
                    yield from self._add_reasoning(block, inner)
                case "citation":
                    block.fields.setdefault("citationsContent", {"citations": []})["citations"].append(value)
                case "image":
                    _add_image(block, inner)
                case "toolResult":
                    result = block.fields.setdefault("toolResult", {})
                    result["content"] = [*result.get("content", []), *(as_array(value) or [])]
                case _:
                    merge_delta(block.fields, {kind: value}, texts=True)

    def _add_input(self, block: OpenBlock, fragment: str) -> Iterator[Delta]:
        block.inputs.append(fragment)
        if block.call is not None and fragment:
            yield Delta(tool_calls=[ToolCallDelta(block.call, None, None, fragment)])

    def _add_reasoning(self, block: OpenBlock, delta: dict[str, Any]) -> Iterator[Delta]:
        content = block.fields.setdefault("reasoningContent", {})
        if text := text_of(delta.get("text")):
            block.texts.append(text)
            yield Delta(reasoning=text)
        if data := text_of(delta.get(REDACTED)):
            block.data.append(data)
        others = {name: value for name, value in delta.items() if name not in ("text", REDACTED)}
        if others:
            merge_delta(content.setdefault("reasoningText", {}), others, texts=True)

    def _close_block(self) -> Iterator[Delta]:
        """End the open block, and yield what the deltas before didn't have."""
        block, self._open_block = self._open_block, None
        part = self._decode(block.build(), self._context) if block is not None else None
        if block is None or part is None:
            return
        if block.call is None:
            yield closing_delta(part)
        elif isinstance(part, ToolCallPart) and part.state is not None:
            yield Delta(tool_calls=[ToolCallDelta(block.call, state=part.state)])


def _continue_block(block: OpenBlock, delta: ContentDelta) -> Delta | None:
    """Add arguments to a call that the client runs, or text to reasoning. None if the delta has neither."""
    reasoning, call = delta.reasoning_content, delta.tool_use
    if (
        reasoning is not None
        and reasoning.text
        and call is None
        and delta.text is None
        and "reasoningContent" in block.fields
    ):
        block.texts.append(reasoning.text)
        return Delta(reasoning=reasoning.text)
    if call is not None and call.input and reasoning is None and delta.text is None and block.call is not None:
        block.inputs.append(call.input)
        return Delta(tool_calls=[ToolCallDelta(block.call, None, None, call.input)])
    return None


def _add_image(block: OpenBlock, image: dict[str, Any]) -> None:
    """Add a fragment of an image. Its bytes may come in several."""
    source = as_object(image.get("source")) or {}
    if data := text_of(source.get("bytes")):
        block.data.append(data)
    merge_delta(block.fields.setdefault("image", {}), without(image, "source", "bytes") if source else image)


def _index(event: dict[str, Any]) -> int:
    index = event.get("contentBlockIndex")
    return index if isinstance(index, int) else 0


def _decode_event(message: EventMessage) -> dict[str, Any]:
    return decode_json(message.payload, ANY)
