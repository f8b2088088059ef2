"""A streamed reply of the Responses API (https://platform.openai.com/docs/api-reference/responses-streaming)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.json_values import as_object, text_of
from tako.kit.body import decode_json
from tako.kit.deltas import StreamFacts
from tako.kit.failures import error_in, read_facts
from tako.kit.hidden_errors import other_api
from tako.kit.responses.items import OUTPUT_TEXT_DELTA, Items
from tako.kit.responses.reply import (
    OBJECT,
    finish_of,
    has_no_output,
    output_of,
    raise_failure,
    raise_hidden_error,
    usage_of,
)
from tako.kit.sse import SseDecoder
from tako.kit.token_counts import note_odd_usage
from tako.types import Chunk, Delta, End

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.errors import ProviderError
    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.kit.sse import Event
    from tako.translator import Translator

END_EVENTS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
    "response.done": "",  # OpenRouter's and other gateways'; the reply says how it ended
}
"""Events that end a reply, and the status that they stand for."""
ERROR_EVENTS = ("error", "response.error")
"""Events of a failure; the second one is other servers'."""
PROGRESS_EVENTS = ("response.created", "response.in_progress", "response.queued")
"""Events that repeat the reply as far as it has come; the last event has all of it."""


class TextDelta(Struct, gc=False):
    """Nearly every event: a text goes on. Its log probabilities come again with the whole item."""

    type: str
    delta: str
    output_index: int | None = None
    content_index: int = 0


TEXT_DELTA = msgspec.json.Decoder(TextDelta)


class ResponsesDecoder:
    """Turns the events of one reply into chunks. Only an event that ends the reply ends the stream.

    Without ``require_finish`` the end of the body does, too, unless the connection broke.

    ``End.raw`` is the reply without its output (but for entries of it that are no items), with events of kinds that
    nobody knows under ``events``.
    """

    def __init__(
        self, provider: HttpProvider, exchange: Exchange, translator: Translator, *, require_finish: bool = True
    ) -> None:
        self.ended = False
        self._require_finish = require_finish
        self._provider = provider
        self._exchange = exchange
        self._context = exchange.context
        self._sse = SseDecoder(provider.max_event_bytes)
        self._items = Items(translator, exchange.context)
        self._reply: dict[str, Any] = {}
        self._facts = StreamFacts(provider.max_reply_bytes)

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._chunks(self._sse.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left, the End last."""
        if not self.ended:  # what follows the last event is nobody's
            try:
                yield from self._chunks(self._sse.flush())
            except ResponseError as error:
                raise StreamTruncatedError("the stream ended in the middle of an event") from error
        if not self.ended:
            if self._require_finish or not clean:
                raise StreamTruncatedError("the stream ended without response.completed")
            self._reply = {**self._reply, "status": ""}
            self._context.notice(notices.FINISH_MISSING, "the stream ended without response.completed", "")
        if self._items.is_empty and not self._facts.fields and has_no_output(self._reply):
            raise ResponseError("the reply has no output")
        yield from self._items.finish(output_of(self._reply))
        yield self._end()

    def _chunks(self, events: Iterable[Event]) -> Iterator[Chunk]:
        for event in events:
            try:
                text_delta = TEXT_DELTA.decode(event.data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                yield from self._event(event)
                if self.ended:
                    return
                continue
            if text_delta.type == OUTPUT_TEXT_DELTA and self._items.is_open_text(
                text_delta.output_index, text_delta.content_index
            ):
                if text_delta.delta:
                    yield Delta(text_delta.delta)
            else:
                yield from self._event(event)

    def _event(self, event: Event) -> Iterator[Delta]:
        """Read an event of any kind; its name may stand beside it or only inside."""
        if event.event == "error":
            raise self._failure(event)
        if event.data.startswith(b"[DONE]") or not event.data.strip():  # not the API's, but compatible servers'
            return
        fields = decode_json(event.data, OBJECT)
        kind = text_of(fields.get("type")) or event.event
        if kind in ERROR_EVENTS or (kind == "message" and error_in(fields)):
            raise self._failure(event)
        if kind in END_EVENTS:
            reply = as_object(fields.get("response")) or {}
            is_known = reply.get("status") in END_EVENTS.values()  # others are of the beginning
            self._reply = {**reply, "status": reply["status"] if is_known else END_EVENTS[kind] or "completed"}
            raise_failure(self._reply, self._provider, event.data)
            self.ended = True
        elif kind in PROGRESS_EVENTS:
            self._reply = as_object(fields.get("response")) or {}
        else:
            raise_hidden_error(fields, self._provider, event.data)
            if fields.get("object") == "chat.completion.chunk":
                raise other_api("chat", self._provider, event.data)
            is_known = yield from self._items.read(kind, fields)
            if not is_known:
                self._facts.add({"events": [fields]}, len(event.data))

    def _failure(self, event: Event) -> ProviderError:
        """Make the error of an event; the SDK's types have it flat, the servers beneath ``error``."""
        return self._provider.failure(read_facts(event.data), body=event.data.decode("utf-8", "replace"))

    def _end(self) -> End:
        reply, context = self._reply, self._context
        if self._facts.is_truncated:
            context.notice(notices.LOST_PART, "more came beside the output than raw keeps", "")
        finish, finish_reason_text = finish_of(reply, self._items.parts, context)
        raw = {name: value for name, value in reply.items() if name != "output"}
        if other_entries := [item for item in output_of(reply) if not as_object(item)]:
            raw["output"] = other_entries
        return End(
            finish,
            note_odd_usage(usage_of(reply.get("usage")), context),
            text_of(reply.get("model")) or self._exchange.body.get("model", ""),
            text_of(reply.get("id")),
            finish_word=finish_reason_text,
            notices=context.notices,
            raw={**raw, **self._facts.fields},
        )
