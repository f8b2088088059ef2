"""A streamed reply of streamGenerateContent."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.json_values import as_object, text_of
from tako.kit.body import decode_any, decode_json
from tako.kit.deltas import StreamFacts, merge_delta
from tako.kit.hidden_errors import hidden_error
from tako.kit.lines import strip_bom
from tako.kit.repeated_chunks import RepeatedChunk
from tako.kit.sse import SseDecoder
from tako.kit.token_counts import note_odd_usage
from tako.parts import FilePart, ReasoningPart, TextPart
from tako.state import BLOCK_END, State
from tako.types import Chunk, Delta, End, FinishReason, Usage
from tako_vertex.citations import citations
from tako_vertex.json_array import ArrayDecoder
from tako_vertex.parts import RAW_AUDIO, TOKEN, call_state
from tako_vertex.reply import note_abnormal_end, raise_error
from tako_vertex.tool_calls import ToolCallDecoder
from tako_vertex.wire import REPLY, TEXT_CHUNK, Candidate, FunctionCall, Reply, UsageMetadata, finish_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.kit.sse import Event
    from tako.translator import Translator
    from tako_vertex.wire import TextChunk

APPENDED_FIELDS = ("logprobsResult", "citationMetadata")
"""Fields of a candidate that come in several chunks. For any other field, the last value counts."""
UNKNOWN_ERROR = "the vendor reported an error"
"""The message of an error without one."""


class GeminiDecoder:
    """Decodes a stream: Server-Sent Events or, if a proxy dropped ``alt=sse``, a JSON array.

    A finish reason ends a stream normally, and so does the refusal of a prompt. Usage is a running total.
    An empty text with a signature is a part of its own. Any other text or thought continues the one before.
    """

    def __init__(self, provider: HttpProvider, exchange: Exchange, translator: Translator) -> None:
        self.ended = False
        self._provider = provider
        self._context = exchange.context
        self._decode = translator.decode
        self._frames = FrameSplitter(provider.max_event_bytes)
        self._repeated = RepeatedChunk()
        self._calls = ToolCallDecoder()
        self._usage: UsageMetadata | None = None
        self._final_candidate: Candidate | None = None
        self._refused_prompt: Reply | None = None
        self._block_ends: list[Delta] = []  # deltas that end the open block; citations may still come before them
        self._thought_end = [Delta(state=State(exchange.context.origin))]
        self._texts: list[str] = []  # fragments of the open text, or of the last one
        self._has_earlier_text = False  # whether there is another text before that
        self._raw = StreamFacts(provider.max_reply_bytes)
        self._candidates: dict[int, dict[str, Any]] = {}

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._chunks(self._frames.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield the last deltas and the End."""
        try:
            yield from self._chunks(self._frames.flush())
        except ResponseError as error:
            raise StreamTruncatedError("the stream ended in the middle of an event") from error
        if self._final_candidate is None and self._refused_prompt is None:
            raise StreamTruncatedError("the stream ended without a finish reason")
        reason = self._final_candidate.finish_reason if self._final_candidate is not None else None
        is_complete = finish_reason(reason, has_calls=False) is FinishReason.STOP
        for delta in self._calls.close(complete=is_complete):
            yield Delta(tool_calls=[delta])
        yield from self._end_text()
        yield self._end(reason)

    def _chunks(self, frames: list[bytes]) -> Iterator[Chunk]:
        repeated = self._repeated
        for data in frames:
            if text := repeated.text_of(data):
                self._texts.append(text)
                yield Delta(text)
                continue
            try:
                chunk = (
                    TEXT_CHUNK.decode(data) if self._raw.fields else None
                )  # nearly all but the first, which has the id
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                chunk = None
            if chunk is None:
                repeated.forget()
                yield from self._read_chunk(data)
            else:
                parts = chunk.candidates[0].content.parts
                if len(parts) == 1 and parts[0].text and not parts[0].thought:
                    repeated.expect(data, "text", parts[0].text)
                else:
                    repeated.forget()
                yield from self._read_text_chunk(chunk)

    def _read_text_chunk(self, chunk: TextChunk) -> Iterator[Delta]:
        """Read a chunk that has text or thoughts alone."""
        usage = chunk.usage_metadata
        if usage is not None:
            self._usage = usage if self._usage is None else usage.merge(self._usage)
        for part in chunk.candidates[0].content.parts:
            if not part.text:
                continue
            if not part.thought:
                if self._block_ends:
                    yield from self._end_block()
                self._texts.append(part.text)
                yield Delta(part.text)
            elif self._block_ends is self._thought_end:
                yield Delta(reasoning=part.text)
            else:
                yield from self._add_thought(part.text, None)

    def _read_chunk(self, data: bytes) -> Iterator[Delta]:
        """Read a chunk of any shape. Raises the error that it reports. Other fields are kept for ``raw``."""
        if data in (b"[DONE]", b"null"):  # Google sends neither; proxies for several vendors do
            return
        raise_error(data, self._provider)
        reply = decode_json(data, REPLY)
        if reply.usage_metadata is not None:
            self._usage = reply.usage_metadata.merge(self._usage) if self._usage is not None else reply.usage_metadata
        if reply.prompt_feedback is not None and reply.prompt_feedback.block_reason and self._final_candidate is None:
            self._refused_prompt = reply
        raw = as_object(decode_any(data)) or {}
        if reply.candidates is None and (facts := hidden_error(raw)) is not None:
            raise self._provider.failure(facts, body=data.decode("utf-8", "replace"))
        self._raw.add({name: value for name, value in raw.items() if name != "candidates"}, len(data))
        for candidate, fields in zip(reply.candidates or (), raw.get("candidates") or (), strict=False):
            yield from self._read_candidate(candidate, fields)

    def _read_candidate(self, candidate: Candidate, fields: dict[str, Any]) -> Iterator[Delta]:
        if candidate.index:  # another candidate for the same request
            merge_delta(self._candidates.setdefault(candidate.index, {}), fields)
            return
        if candidate.content is not None:
            for block in candidate.content.parts or ():
                yield from self._read_part(block)
        if candidate.finish_reason:
            self._final_candidate = candidate
        candidate_raw = self._candidates.setdefault(0, {})
        others = {name: value for name, value in fields.items() if name != "content"}
        merge_delta(candidate_raw, {name: others.pop(name) for name in APPENDED_FIELDS if name in others})
        candidate_raw.update(others)

    def _read_part(self, block: dict[str, Any]) -> Iterator[Delta]:
        call = as_object(block.get("functionCall"))
        if call is not None:
            yield from self._start_part()
            yield from self._read_call(block, call)
            return
        part = self._decode(block, self._context)
        if isinstance(part, TextPart):
            yield from self._add_text(part.text, part.state)
        elif isinstance(part, ReasoningPart):
            yield from self._add_thought(part.text, part.state)
        elif isinstance(part, FilePart) and part.state is None and part.mime.lower().startswith(RAW_AUDIO):
            yield from self._add_audio(part)
        elif part is not None:
            yield from self._start_part()
            yield Delta(part=part)

    def _add_text(self, text: str, state: State | None) -> Iterator[Delta]:
        """Continue the text. A state ends it. An empty text with a state is a part of its own."""
        if not text:
            self._block_ends = [*self._block_ends, Delta(state=BLOCK_END), Delta("", state=state)]
            return
        yield from self._end_block()
        self._texts.append(text)
        yield Delta(text)
        if state is not None:
            self._block_ends = [Delta(state=state)]

    def _add_thought(self, text: str, state: State | None) -> Iterator[Delta]:
        """Continue the thought. It ends with its signature, or when another part begins."""
        if text and self._block_ends is self._thought_end:
            self._block_ends = []
        yield from self._start_part()
        signed = state is not None and bool(state.data)
        yield Delta(reasoning=text, state=state) if signed else Delta(reasoning=text)
        self._block_ends = [] if signed else self._thought_end

    def _add_audio(self, audio: FilePart) -> Iterator[Delta]:
        """Continue audio that comes in several parts."""
        if self._texts and not self._block_ends:
            self._block_ends = [Delta(state=BLOCK_END)]
        yield from self._start_part()
        yield Delta(audio=audio)

    def _read_call(self, block: dict[str, Any], fields: dict[str, Any]) -> Iterator[Delta]:
        try:
            call = msgspec.convert(fields, FunctionCall)
        except msgspec.ValidationError as error:
            raise ResponseError(f"the reply has a function call that can't be read: {error}") from error
        is_complete = not (call.partial_args or call.will_continue)
        state = call_state(block, call.args if is_complete else True, self._context)
        for delta in self._calls.feed(call, state):
            yield Delta(tool_calls=[delta])

    def _end_block(self) -> Iterator[Delta]:
        """End the open block. A text that follows is another part."""
        deltas, self._block_ends = self._block_ends, []
        if deltas:
            self._has_earlier_text = self._has_earlier_text or bool(self._texts)
            self._texts = []
        yield from deltas

    def _start_part(self) -> Iterator[Delta]:
        """End the open block, because a part that isn't text begins."""
        deltas, self._block_ends = self._block_ends, []
        self._has_earlier_text = self._has_earlier_text or bool(self._texts)
        self._texts = []
        yield from deltas

    def _end_text(self) -> Iterator[Delta]:
        """Yield the citations of the last text, the deltas that end it, and the token of a paused reply."""
        candidate = self._candidates.get(0, {})
        if self._texts:
            sources = citations(candidate, None if self._has_earlier_text else "".join(self._texts))
            if sources:
                yield Delta(citations=tuple(sources))
        yield from self._end_block()
        token = candidate.get(TOKEN)
        part = self._decode({TOKEN: token}, self._context) if token else None
        if part is not None:
            yield Delta(part=part)

    def _end(self, name: str | None) -> End:
        context, raw = self._context, self._raw.fields
        note_abnormal_end(self._refused_prompt, self._final_candidate, context)
        if self._raw.is_truncated:
            context.notice(
                notices.LOST_PART, "some fields of the reply were left out of raw, which has a size limit", ""
            )
        reason = finish_reason(name, has_calls=bool(self._calls))
        candidates = [fields for _, fields in sorted(self._candidates.items())]
        if self._usage is not None and self._usage.traffic_type:  # it may have come in any chunk
            counts = as_object(raw.get("usageMetadata")) or {}
            raw = {**raw, "usageMetadata": {**counts, "trafficType": self._usage.traffic_type}}
        return End(
            reason if self._final_candidate is not None else FinishReason.CONTENT_FILTER,
            note_odd_usage(self._usage.usage(), context) if self._usage is not None else Usage(),
            text_of(raw.get("modelVersion")) or context.origin.model,
            text_of(raw.get("responseId")),
            finish_word=name or "",
            notices=context.notices,
            raw={**raw, **({"candidates": candidates} if candidates else {})},
        )


class FrameSplitter:
    """Splits a body into JSON texts. The first byte that isn't white space tells a JSON array from events."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._start: bytes | None = b""  # may be the start of a byte order mark
        self._sse_decoder: SseDecoder | None = None
        self._array_decoder: ArrayDecoder | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the texts that these bytes complete. Raises ResponseError for a text over the cap."""
        if self._sse_decoder is not None:
            return [
                event.data if event.event == "message" else _event_json(event) for event in self._sse_decoder.feed(data)
            ]
        if self._array_decoder is None:
            if self._start is not None:
                self._start, data = strip_bom(self._start + data)
            data = data.lstrip()
            if not data:
                return []
            if data[:1] not in (b"[", b"{"):
                self._sse_decoder = SseDecoder(self._max_bytes)
                return self.feed(data)
            self._array_decoder = ArrayDecoder(self._max_bytes)
        return self._array_decoder.feed(data)

    def flush(self) -> list[bytes]:
        """Return the last texts. Raises ResponseError if the body ends within one."""
        if self._array_decoder is not None and self._array_decoder.pending:
            raise ResponseError("the body ended within an object")
        return [_event_json(event) for event in self._sse_decoder.flush()] if self._sse_decoder is not None else []


def _event_json(event: Event) -> bytes:
    """Return the JSON of an event. An event of the type "error" becomes an error, whatever a proxy puts into it."""
    if event.event != "error" or b'"error"' in event.data:
        return event.data
    with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
        return msgspec.json.encode({"error": msgspec.json.decode(event.data) or UNKNOWN_ERROR})
    return msgspec.json.encode({"error": event.data.decode("utf-8", "replace").strip() or UNKNOWN_ERROR})
