"""A streamed reply of streamGenerateContent."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.json_values import as_object, text_of
from tako.kit.body import decode_any, decode_json
from tako.kit.complaints import complaint
from tako.kit.counts import note_odd
from tako.kit.deltas import StreamFacts, merge_delta
from tako.kit.lines import strip_bom
from tako.kit.sse import SseDecoder
from tako.parts import FilePart, ReasoningPart, TextPart
from tako.state import BLOCK_END, State
from tako.types import Chunk, Delta, End, FinishReason, Usage
from tako_vertex.array import ArrayDecoder
from tako_vertex.calls import CallStream
from tako_vertex.citations import citations
from tako_vertex.parts import RAW_SOUND, TOKEN, call_state
from tako_vertex.reply import note_oddities, raise_error
from tako_vertex.shapes import REPLY, TEXT, Call, Candidate, Count, Reply, finish_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.kit.sse import Event
    from tako.translator import Translator

GROWING = ("logprobsResult", "citationMetadata")
"""What of a candidate comes in pieces; of everything else the last one holds."""
UNTOLD = "the vendor reported an error"
"""What stands for an error of which a proxy tells nothing."""


class GeminiDecoder:
    """Turns a stream into chunks, be it Server-Sent Events or, if a proxy dropped ``alt=sse``, a JSON array.

    A finish reason ends a stream in order, and so does the refusal of a prompt. Usage counts up from chunk to chunk.
    A part without text that is signed is a part of its own; any other text or thought goes on with the one before.
    """

    def __init__(self, provider: HttpProvider, exchange: Exchange, translator: Translator) -> None:
        self.ended = False
        self._provider = provider
        self._context = exchange.context
        self._decode = translator.decode
        self._frames = Frames(provider.max_event_bytes)
        self._calls = CallStream()
        self._count: Count | None = None
        self._final: Candidate | None = None
        self._refusal: Reply | None = None
        self._held: list[Delta] = []  # ends of the open block; citations may still come before them
        self._thought_end = [Delta(state=State(exchange.context.origin))]
        self._texts: list[str] = []  # of the text that is open, or was last
        self._more_texts = False  # whether there was another one before
        self._facts = StreamFacts(provider.max_reply_bytes)
        self._candidates: dict[int, dict[str, Any]] = {}

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._chunks(self._frames.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left, the End last."""
        try:
            yield from self._chunks(self._frames.flush())
        except ResponseError as error:
            raise StreamTruncatedError("the stream ended in the middle of an event") from error
        if self._final is None and self._refusal is None:
            raise StreamTruncatedError("the stream ended without a finish reason")
        word = self._final.finish_reason if self._final is not None else None
        ended = finish_reason(word, has_calls=False) is FinishReason.STOP
        for piece in self._calls.close(whole=ended):
            yield Delta(tool_calls=[piece])
        yield from self._last_blocks()
        yield self._end(word)

    def _chunks(self, frames: list[bytes]) -> Iterator[Chunk]:
        for data in frames:
            try:
                chunk = TEXT.decode(data) if self._facts.fields else None  # nearly all but the first, which has the id
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                chunk = None
            if chunk is None:
                yield from self._any_chunk(data)
                continue
            counted = chunk.usage_metadata
            if counted is not None:
                self._count = counted if self._count is None else counted.after(self._count)
            for part in chunk.candidates[0].content.parts:
                if not part.text:
                    continue
                if not part.thought:
                    if self._held:
                        yield from self._release()
                    self._texts.append(part.text)
                    yield Delta(part.text)
                elif self._held is self._thought_end:
                    yield Delta(reasoning=part.text)
                else:
                    yield from self._thought(part.text, None)

    def _any_chunk(self, data: bytes) -> Iterator[Delta]:
        """Read a chunk of any shape; raises the error that it reports. What isn't in a part is kept for ``raw``."""
        if data in (b"[DONE]", b"null"):  # Google sends none; proxies that speak for several vendors do
            return
        raise_error(data, self._provider)
        reply = decode_json(data, REPLY)
        if reply.usage_metadata is not None:
            self._count = reply.usage_metadata.after(self._count) if self._count is not None else reply.usage_metadata
        if reply.prompt_feedback is not None and reply.prompt_feedback.block_reason and self._final is None:
            self._refusal = reply
        raw = as_object(decode_any(data)) or {}
        if reply.candidates is None and (facts := complaint(raw)) is not None:
            raise self._provider.failure(facts, body=data.decode("utf-8", "replace"))
        self._facts.add({name: value for name, value in raw.items() if name != "candidates"}, len(data))
        for candidate, fields in zip(reply.candidates or (), raw.get("candidates") or (), strict=False):
            yield from self._candidate(candidate, fields)

    def _candidate(self, candidate: Candidate, fields: dict[str, Any]) -> Iterator[Delta]:
        if candidate.index:  # another answer to the same question
            merge_delta(self._candidates.setdefault(candidate.index, {}), fields)
            return
        if candidate.content is not None:
            for block in candidate.content.parts or ():
                yield from self._deltas(block)
        if candidate.finish_reason:
            self._final = candidate
        kept = self._candidates.setdefault(0, {})
        known = {name: value for name, value in fields.items() if name != "content"}
        merge_delta(kept, {name: known.pop(name) for name in GROWING if name in known})
        kept.update(known)

    def _deltas(self, block: dict[str, Any]) -> Iterator[Delta]:
        call = as_object(block.get("functionCall"))
        if call is not None:
            yield from self._next_part()
            yield from self._call(block, call)
            return
        part = self._decode(block, self._context)
        if isinstance(part, TextPart):
            yield from self._text(part.text, part.state)
        elif isinstance(part, ReasoningPart):
            yield from self._thought(part.text, part.state)
        elif isinstance(part, FilePart) and part.state is None and part.mime.lower().startswith(RAW_SOUND):
            yield from self._sounds(part)
        elif part is not None:
            yield from self._next_part()
            yield Delta(part=part)

    def _text(self, text: str, state: State | None) -> Iterator[Delta]:
        """Go on with the text; its state ends it, and one without text is a part of its own."""
        if not text:
            self._held = [*self._held, Delta(state=BLOCK_END), Delta("", state=state)]
            return
        yield from self._release()
        self._texts.append(text)
        yield Delta(text)
        if state is not None:
            self._held = [Delta(state=state)]

    def _thought(self, text: str, state: State | None) -> Iterator[Delta]:
        """Go on with the thought; it ends with its signature, or where another part begins."""
        if text and self._held is self._thought_end:
            self._held = []
        yield from self._next_part()
        signed = state is not None and bool(state.data)
        yield Delta(reasoning=text, state=state) if signed else Delta(reasoning=text)
        self._held = [] if signed else self._thought_end

    def _sounds(self, piece: FilePart) -> Iterator[Delta]:
        """Go on with a sound that comes in pieces."""
        if self._texts and not self._held:
            self._held = [Delta(state=BLOCK_END)]
        yield from self._next_part()
        yield Delta(audio=piece)

    def _call(self, block: dict[str, Any], fields: dict[str, Any]) -> Iterator[Delta]:
        try:
            call = msgspec.convert(fields, Call)
        except msgspec.ValidationError as error:
            raise ResponseError(f"the reply has a function call that can't be read: {error}") from error
        whole = not (call.partial_args or call.will_continue)
        state = call_state(block, call.args if whole else True, self._context)
        for piece in self._calls.piece(call, state):
            yield Delta(tool_calls=[piece])

    def _release(self) -> Iterator[Delta]:
        """End the block that is open; a text that follows is another one."""
        held, self._held = self._held, []
        if held:
            self._more_texts = self._more_texts or bool(self._texts)
            self._texts = []
        yield from held

    def _next_part(self) -> Iterator[Delta]:
        """End the block that is open, before a part that isn't text."""
        held, self._held = self._held, []
        self._more_texts = self._more_texts or bool(self._texts)
        self._texts = []
        yield from held

    def _last_blocks(self) -> Iterator[Delta]:
        """Yield the citations of the last text, what ends it, and the token of a reply that pauses."""
        candidate = self._candidates.get(0, {})
        if self._texts:
            found = citations(candidate, None if self._more_texts else "".join(self._texts))
            if found:
                yield Delta(citations=tuple(found))
        yield from self._release()
        token = candidate.get(TOKEN)
        part = self._decode({TOKEN: token}, self._context) if token else None
        if part is not None:
            yield Delta(part=part)

    def _end(self, word: str | None) -> End:
        context, facts = self._context, self._facts.fields
        note_oddities(self._refusal, self._final, context)
        if self._facts.is_truncated:
            context.notice(notices.LOST_PART, "more came beside the text than raw keeps", "")
        found = finish_reason(word, has_calls=bool(self._calls))
        candidates = [fields for _, fields in sorted(self._candidates.items())]
        if self._count is not None and self._count.traffic_type:  # it may have come in any chunk
            counts = as_object(facts.get("usageMetadata")) or {}
            facts = {**facts, "usageMetadata": {**counts, "trafficType": self._count.traffic_type}}
        return End(
            found if self._final is not None else FinishReason.CONTENT_FILTER,
            note_odd(self._count.usage(), context) if self._count is not None else Usage(),
            text_of(facts.get("modelVersion")) or context.origin.model,
            text_of(facts.get("responseId")),
            finish_word=word or "",
            notices=context.notices,
            raw={**facts, **({"candidates": candidates} if candidates else {})},
        )


class Frames:
    """The JSON texts of a body. Its first byte that is no white space tells a JSON array from events."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._start: bytes | None = b""  # what may become a byte order mark
        self._sse: SseDecoder | None = None
        self._array: ArrayDecoder | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the texts that these bytes complete; raises ResponseError for one over the cap."""
        if self._sse is not None:
            return [event.data if event.event == "message" else _text(event) for event in self._sse.feed(data)]
        if self._array is None:
            if self._start is not None:
                self._start, data = strip_bom(self._start + data)
            data = data.lstrip()
            if not data:
                return []
            if data[:1] not in (b"[", b"{"):
                self._sse = SseDecoder(self._cap)
                return self.feed(data)
            self._array = ArrayDecoder(self._cap)
        return self._array.feed(data)

    def flush(self) -> list[bytes]:
        """Return what the end of the body leaves; raises ResponseError where it is the beginning of something."""
        if self._array is not None and self._array.pending:
            raise ResponseError("the body ended within an object")
        return [_text(event) for event in self._sse.flush()] if self._sse is not None else []


def _text(event: Event) -> bytes:
    """Return the JSON of an event; what a proxy tells in an event of the type "error" is one, whatever its shape."""
    if event.event != "error" or b'"error"' in event.data:
        return event.data
    with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
        return msgspec.json.encode({"error": msgspec.json.decode(event.data) or UNTOLD})
    return msgspec.json.encode({"error": event.data.decode("utf-8", "replace").strip() or UNTOLD})
