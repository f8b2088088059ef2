"""A streamed reply of streamGenerateContent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.kit.body import decode_json
from tako.kit.lines import strip_bom
from tako.kit.sse import SseDecoder
from tako.loose import text_of
from tako.types import Chunk, Delta, End, FinishReason, Notice, Usage
from tako_vertex.array import ArrayDecoder
from tako_vertex.calls import CallStream
from tako_vertex.reply import oddities, raise_error
from tako_vertex.shapes import CHUNK, Candidate, Count, Part, Reply, finish_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider


class GeminiDecoder:
    """Turns a stream into chunks, be it Server-Sent Events or, where a proxy dropped ``alt=sse``, a JSON array.

    A finish reason ends a stream in order, and so does the refusal of a prompt. Usage counts up from chunk to chunk.
    """

    def __init__(self, provider: HttpProvider, exchange: Exchange, model: str) -> None:
        self.ended = False
        self._provider = provider
        self._exchange = exchange
        self._frames = Frames(provider.max_event_bytes)
        self._calls = CallStream()
        self._count: Count | None = None
        self._last: Reply[Part] | None = None
        self._final: Candidate[Part] | None = None
        self._notices: list[Notice] = []
        self._odd: list[Any] = []
        self._sources: dict[str, Any] = {}
        self._id = ""
        self._model = model

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._chunks(self._frames.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left, the End last."""
        try:
            yield from self._chunks(self._frames.flush())
        except ResponseError as error:
            raise StreamTruncatedError("the stream ended in the middle of an event") from error
        if self._last is None:
            raise StreamTruncatedError("the stream ended without a finish reason")
        word = self._final.finish_reason if self._final is not None else None
        for piece in self._calls.close(whole=word == "STOP"):
            yield Delta(tool_calls=[piece])
        found = finish_reason(word, has_calls=bool(self._calls))
        yield End(
            found if self._final is not None else FinishReason.CONTENT_FILTER,
            self._count.usage() if self._count is not None else Usage(),
            self._model,
            self._id,
            [*self._exchange.notices, *self._notices, *oddities(self._last, self._final, self._provider.name)],
            self._raw(),
        )

    def _raw(self) -> Any:
        """Return what tako has no part for, where a whole reply's ``raw`` has it: code that was run, and sources."""
        if not self._odd and not self._sources:
            return None
        return {"candidates": [{"content": {"parts": self._odd}, **self._sources}]}

    def _chunks(self, frames: list[bytes]) -> Iterator[Chunk]:
        for data in frames:
            if data == b"[DONE]":  # Google sends none; proxies that speak for several vendors do
                continue
            reply = self._reply(data)
            for candidate in reply.candidates or ():
                if candidate.index:  # another answer to the same question
                    continue
                if candidate.content is not None:
                    for part in candidate.content.parts or ():
                        if part.text and not part.thought and part.thought_signature is None:
                            yield Delta(part.text)  # nearly all of them, so without the detour
                        else:
                            yield from self._deltas(part)
                if candidate.grounding_metadata or candidate.citation_metadata or candidate.url_context_metadata:
                    self._sources.update(candidate.sources)
                if candidate.finish_reason:
                    self._last, self._final = reply, candidate

    def _reply(self, data: bytes) -> Reply[Part]:
        """Decode one chunk; raises the error that it reports."""
        try:
            reply = CHUNK.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise_error(data, self._provider)
            reply = decode_json(data, CHUNK)  # says what is wrong, as a tako error
        if reply.error:
            raise_error(data, self._provider)
        counted = reply.usage_metadata
        if counted is not None:
            self._count = counted if self._count is None else counted.after(self._count)
        if not self._id and reply.response_id:
            self._id, self._model = text_of(reply.response_id), text_of(reply.model_version) or self._model
        if reply.prompt_feedback is not None and reply.prompt_feedback.block_reason and self._last is None:
            self._last = reply
        return reply

    def _deltas(self, part: Part) -> Iterator[Delta]:
        signature = part.thought_signature
        if part.function_call is not None:
            for piece in self._calls.piece(part.function_call, signature):
                yield Delta(tool_calls=[piece])
        elif part.text or (signature is not None and part.bare):
            if part.thought:
                yield Delta(reasoning=part.text or "", signature=signature)
            else:
                yield Delta(part.text or "", signature=signature)
        elif not part.bare:
            self._odd.append(msgspec.to_builtins(part))
            if part.inline_data is not None:
                said = "an image or a sound came, which a stream has no chunk for: it is in the end's raw"
                self._notices.append(Notice(notices.UNSUPPORTED_PART, said, "", self._provider.name))


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
            return [event.data for event in self._sse.feed(data)]
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
        return [event.data for event in self._sse.flush()] if self._sse is not None else []
