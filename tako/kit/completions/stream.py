"""A streamed Chat Completions reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.kit.body import decode_any, decode_json
from tako.kit.completions.calls import CallIndex
from tako.kit.completions.dialect import Dialect, finish_reason
from tako.kit.completions.media import Media
from tako.kit.completions.shapes import REPLY, Call, Choice, Reply, content_blocks, usage_of
from tako.kit.failures import facts_of, read_facts
from tako.kit.sse import SseDecoder
from tako.loose import text_of
from tako.types import Chunk, Delta, End, Notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.errors import ProviderError
    from tako.kit.completions.shapes import Content
    from tako.kit.exchange import Exchange
    from tako.kit.failures import Reporter
    from tako.kit.http import HttpProvider
    from tako.kit.sse import Event

NOTHING = Choice()


class CompletionsDecoder:
    """Turns Server-Sent Events of the dialect into chunks.

    A finish reason or ``[DONE]`` ends the stream in order. Usage is the last that came, wherever it stood. Images and
    sound stand in ``End.raw``, where a whole reply has them.
    """

    def __init__(self, provider: Reporter | HttpProvider, exchange: Exchange, dialect: Dialect | None = None) -> None:
        self.ended = False
        self._provider = provider
        self._exchange = exchange
        self._dialect = dialect or Dialect()
        self._sse = SseDecoder(provider.max_event_bytes)
        self._calls = CallIndex()
        self._counts: dict[str, Any] | None = None
        self._finish: str | None = None
        self._id = ""
        self._model = ""
        self._signature: str | None = None
        self._media = Media()

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._chunks(self._sse.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left, the End last."""
        if not self.ended:  # what follows the terminator is nobody's
            try:
                yield from self._chunks(self._sse.flush())
            except ResponseError as error:
                raise StreamTruncatedError("the stream ended in the middle of an event") from error
        if self._finish is None and not self.ended and (self._dialect.require_finish or not clean):
            raise StreamTruncatedError("the stream ended without a finish reason and without [DONE]")
        yield from self._signed()
        yield self._end()

    def _chunks(self, events: list[Event]) -> Iterator[Chunk]:  # noqa: C901 - a call a chunk would cost too much
        decode = REPLY.decode
        for event in events:
            try:
                reply = decode(event.data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                reply = self._odd(event)
                if self.ended:
                    return
            if reply.usage or reply.x_groq or reply.error or reply.object == "error" or event.event == "error":
                self._look(event, reply)
            if not reply.choices:
                continue
            choice = reply.choices[0]
            if choice.index or choice.error:
                choice = self._first(event, reply.choices)
            delta = choice.delta
            if delta is not None:
                content = delta.content
                # the usual delta has text and nothing else; one look at each field is cheaper than a generator
                if (
                    isinstance(content, str)
                    and content
                    and delta.tool_calls is None
                    and delta.reasoning_content is None
                    and delta.reasoning is None
                    and delta.refusal is None
                    and delta.function_call is None
                    and delta.images is None
                    and self._signature is None
                ):
                    yield Delta(content)
                else:
                    yield from self._deltas(delta)
            if choice.finish_reason:
                self._finish = choice.finish_reason
                self._counts = reply.counts or self._counts
            if not self._id:
                self._id, self._model = text_of(reply.id), text_of(reply.model) or self._model

    def _look(self, event: Event, reply: Reply) -> None:
        """Raise the error that an event reports, and keep its usage."""
        if reply.failed or event.event == "error":
            raise self._failure(event, decode_any(event.data))
        self._counts = reply.counts or self._counts

    def _first(self, event: Event, choices: list[Choice]) -> Choice:
        """Find the first answer: other indexes are other answers to the same question. Raises what went wrong in it."""
        choice = next((found for found in choices if not found.index), NOTHING)
        if choice.error:
            raise self._failure(event, {"error": choice.error})
        return choice

    def _odd(self, event: Event) -> Reply:
        """Read an event that is no chunk: the end, an error, or a keep-alive; raises what else it is."""
        self.ended = event.data.startswith(b"[DONE]")
        if event.event == "error":
            said = read_facts(event.data)
            raise self._provider.failure(said, body=event.data.decode("utf-8", "replace"))
        if self.ended or event.event != "message" or not event.data.strip():
            return Reply()
        return decode_json(event.data, REPLY)  # says what is wrong, as a tako error

    def _failure(self, event: Event, value: Any) -> ProviderError:
        return self._provider.failure(facts_of(value), body=event.data.decode("utf-8", "replace"))

    def _deltas(self, delta: Content) -> Iterator[Delta]:
        content = delta.content
        thoughts = delta.reasoning_content or delta.reasoning
        if isinstance(content, list):
            yield from self._listed(content)
            content = None
        if thoughts:
            yield Delta(reasoning=thoughts)
        if self._signature is not None and (content or delta.tool_calls):
            yield from self._signed()
        if content:
            yield Delta(content)
        if delta.refusal:
            yield Delta(delta.refusal)
        if delta.images or delta.audio:
            self._media.add(delta.images, delta.audio)
        if delta.tool_calls:
            yield Delta(tool_calls=self._calls.pieces(delta.tool_calls))
        if (lone := delta.lone_call) is not None:
            yield Delta(tool_calls=[self._calls.piece(Call(index=0, function=lone))])

    def _listed(self, content: list[dict[str, Any]]) -> Iterator[Delta]:
        """Yield the deltas of content that is a list of chunks."""
        for block in content_blocks(content):
            signature = block.get("signature")
            if block["type"] == "text" or (signature and self._signature not in (None, signature)):
                yield from self._signed()
            if block["text"]:
                yield Delta(block["text"]) if block["type"] == "text" else Delta(reasoning=block["text"])
            self._signature = signature or self._signature

    def _signed(self) -> Iterator[Delta]:
        """End the reasoning with its signature, once all of it has come: each piece of it may carry the signature."""
        if self._signature is not None:
            yield Delta(signature=self._signature)
            self._signature = None

    def _end(self) -> End:
        said = list(self._exchange.notices)
        if self._finish is None and not self._calls:
            said.append(
                Notice(notices.FINISH_MISSING, "the stream ended without a finish reason", "", self._provider.name)
            )
        if self._media:
            text = "an image or a sound came, which a stream has no chunk for: it is in the end's raw"
            said.append(Notice(notices.UNSUPPORTED_PART, text, "", self._provider.name))
        return End(
            finish_reason(self._finish, has_calls=bool(self._calls)),
            usage_of(self._counts),
            self._model or self._exchange.body.get("model", ""),
            self._id,
            said,
            {"choices": [{"message": self._media.message}]} if self._media else None,
        )
