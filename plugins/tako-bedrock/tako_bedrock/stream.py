"""A streamed reply of ConverseStream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.kit.body import decode_json
from tako.kit.completions.decode import mint_id
from tako.kit.eventstream import EventStreamDecoder
from tako.kit.images import join_base64
from tako.types import Chunk, Delta, End, Notice, ToolCallDelta
from tako_bedrock.asides import Asides
from tako_bedrock.blocks import REDACTED, SERVER_TOOL
from tako_bedrock.failures import exception_facts
from tako_bedrock.reply import ConverseExchange, finish_reason, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.eventstream import EventMessage
    from tako.kit.exchange import Exchange
    from tako.kit.failures import Reporter


class CallStart(Struct, rename="camel", gc=False):
    """The beginning of a call."""

    tool_use_id: str | None = None
    name: str | None = None
    type: str | None = None


class StartBody(Struct, rename="camel", gc=False):
    """What a block begins with; text and reasoning have no beginning."""

    tool_use: CallStart | None = None
    tool_result: Any = None
    image: Any = None


class Start(Struct, rename="camel", gc=False):
    """``contentBlockStart``."""

    content_block_index: int = 0
    start: StartBody | None = None


class CallPiece(Struct, gc=False):
    """A piece of a call's arguments, as text."""

    input: str | None = None


class ReasoningPiece(Struct, rename="camel", gc=False):
    """A piece of reasoning, or of its opaque state; ``redacted_content`` is base64."""

    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class DeltaBody(Struct, rename="camel", gc=False):
    """One of these; the last three are for what tako has no part for."""

    text: str | None = None
    tool_use: CallPiece | None = None
    reasoning_content: ReasoningPiece | None = None
    citation: Any = None
    image: Any = None
    tool_result: Any = None


class BlockDelta(Struct, rename="camel", gc=False):
    """``contentBlockDelta``."""

    content_block_index: int = 0
    delta: DeltaBody | None = None


class Stop(Struct, rename="camel", gc=False):
    """``messageStop``."""

    stop_reason: str | None = None
    additional_model_response_fields: Any = None


class Metadata(Struct, gc=False):
    """``metadata``, which comes after ``messageStop``."""

    usage: Any = None
    trace: Any = None


START = msgspec.json.Decoder(Start)
DELTA = msgspec.json.Decoder(BlockDelta)
STOP = msgspec.json.Decoder(Stop)
METADATA = msgspec.json.Decoder(Metadata)
EXCEPTIONS = ("exception", "error")

T = TypeVar("T")


class ConverseDecoder:
    """Turns an event stream into chunks.

    ``messageStop`` ends the reply, ``metadata`` with the usage follows, and then the body ends: it is read to its end,
    since bytes left over are the beginning of something that was cut. What tako has no part for stands in ``End.raw``,
    where a whole reply has it: images, citations, tools that ran on the vendor's side, traces of guardrails.
    """

    def __init__(self, provider: Reporter, exchange: Exchange) -> None:
        self.ended = False
        self._provider = provider
        self._exchange = exchange
        self._messages = EventStreamDecoder(provider.max_event_bytes)
        self._calls: dict[
            int, int | None
        ] = {}  # positions of calls by their blocks; None for those of the vendor's side
        self._ids: set[str] = set()
        self._block = -1  # the block that the opaque state below belongs to
        self._signature: list[str] = []
        self._redacted: list[str] = []
        self._stopped = False
        self._reason: str | None = None
        self._usage: Any = None
        self._asides = Asides()
        self._more: dict[str, Any] = {}

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        for message in self._messages.feed(data):
            headers = message.headers
            if headers.get(":message-type") in EXCEPTIONS:
                facts = exception_facts(message)
                raise self._provider.failure(facts, body=message.payload.decode("utf-8", "replace"))
            match headers.get(":event-type"):
                case "contentBlockDelta":
                    yield from self._delta(_read(message, DELTA))
                case "contentBlockStart":
                    yield from self._start(_read(message, START))
                case "contentBlockStop":
                    yield from self._state()
                case "messageStop":
                    yield from self._state()
                    self._stopped = True
                    stop = _read(message, STOP)
                    self._reason = stop.stop_reason
                    self._keep("additionalModelResponseFields", stop.additional_model_response_fields)
                case "metadata":
                    metadata = _read(message, METADATA)
                    self._usage = metadata.usage
                    self._keep("trace", metadata.trace)
                case _:
                    pass  # messageStart says nothing new; types to come are not fatal

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield the End."""
        if self._messages.pending:
            raise StreamTruncatedError("the stream ended in the middle of an event")
        if not self._stopped:
            raise StreamTruncatedError("the stream ended without messageStop")
        if not clean and self._usage is None:
            raise StreamTruncatedError("the connection broke after messageStop, before the metadata")
        said = list(self._exchange.notices)
        has_calls = any(position is not None for position in self._calls.values())
        if self._asides.images:
            text = "an image came, which a stream has no chunk for: it is in the end's raw"
            said.append(Notice(notices.UNSUPPORTED_PART, text, "", self._provider.name))
        if content := self._asides.content:
            self._keep("output", {"message": {"role": "assistant", "content": content}})
        yield End(
            finish_reason(self._reason, said, self._provider.name, has_calls=has_calls),
            usage_of(self._usage),
            self._exchange.model if isinstance(self._exchange, ConverseExchange) else "",
            notices=said,
            raw=self._more or None,
        )

    def _keep(self, name: str, value: Any) -> None:
        if value is not None:
            self._more[name] = value

    def _delta(self, event: BlockDelta) -> Iterator[Delta]:
        delta = event.delta
        if delta is None:
            return
        if delta.text:
            yield Delta(delta.text)
        elif delta.tool_use is not None:
            if event.content_block_index not in self._calls:
                raise ResponseError("a piece of a tool call came before the call's beginning")
            position = self._calls[event.content_block_index]
            if position is None:
                self._asides.input(event.content_block_index, delta.tool_use.input or "")
            elif delta.tool_use.input:
                yield Delta(tool_calls=[ToolCallDelta(position, None, None, delta.tool_use.input)])
        elif delta.reasoning_content is not None:
            yield from self._thought(event.content_block_index, delta.reasoning_content)
        else:
            self._aside(event.content_block_index, delta)

    def _aside(self, index: int, delta: DeltaBody) -> None:
        if delta.citation is not None:
            self._asides.citation(index, delta.citation)
        if delta.image is not None:
            self._asides.image(index, delta.image)
        if delta.tool_result is not None:
            self._asides.result(index, delta.tool_result)

    def _start(self, event: Start) -> Iterator[Delta]:
        index, start = event.content_block_index, event.start or StartBody()
        call = start.tool_use
        if start.image is not None:
            self._asides.begin(index, "image", start.image)
        if start.tool_result is not None:
            self._asides.begin(index, "toolResult", start.tool_result)
        if call is None:
            return
        if call.type == SERVER_TOOL:
            self._calls[index] = None
            self._asides.begin(index, "toolUse", msgspec.to_builtins(call))
            return
        position = sum(known is not None for known in self._calls.values())
        self._calls[index] = position
        id = call.tool_use_id if call.tool_use_id and call.tool_use_id not in self._ids else mint_id()
        self._ids.add(id)
        yield Delta(tool_calls=[ToolCallDelta(position, id, call.name or "")])

    def _thought(self, block: int, piece: ReasoningPiece) -> Iterator[Delta]:
        if block != self._block:
            yield from self._state()
            self._block = block
        if piece.text:
            yield Delta(reasoning=piece.text)
        if piece.signature:
            self._signature.append(piece.signature)
        if piece.redacted_content:
            self._redacted.append(piece.redacted_content)

    def _state(self) -> Iterator[Delta]:
        """Close a block of reasoning with its opaque state, whole."""
        if self._signature:
            yield Delta(reasoning="", signature="".join(self._signature))
            self._signature = []
        if self._redacted:
            yield Delta(data={REDACTED: join_base64(self._redacted)})
            self._redacted = []


def _read(message: EventMessage, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(message.payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return decode_json(message.payload, decoder)  # says what is wrong, as a tako error
