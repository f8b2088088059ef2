"""A streamed reply, read by pointers: Server-Sent Events or NDJSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.fold import closing_delta
from tako.json_values import as_object, text_of
from tako.kit.body import decode_json
from tako.kit.completions.calls import CallIndex
from tako.kit.hidden_errors import hidden_error
from tako.kit.ndjson import NdJsonDecoder
from tako.kit.sse import Event, SseDecoder
from tako.kit.token_counts import merge_counts, note_odd_usage
from tako.types import Chunk, Delta, End, ToolCallDelta
from tako_http_generic.content import ToolCallReader, content_blocks, reasoning_text
from tako_http_generic.pointers import Finder, PointerChoice
from tako_http_generic.reply import ANY, error_pointers, finish_reason
from tako_http_generic.request import requested_model
from tako_http_generic.settings import NdJson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.kit.exchange import Exchange
    from tako.translator import Translator
    from tako_http_generic import HttpGeneric
    from tako_http_generic.content import ToolCallFragment
    from tako_http_generic.settings import StreamConfig


COMPLETIONS_TEXT = ["/choices/0/delta/content", "/choices/0/message/content"]
"""Where Chat Completions have a stream's text. Servers that can't stream send one event with the complete reply."""


REPLY_FIELDS = frozenset(("tool_calls", "content", "done", "finish_reason", "reasoning", "signature"))
"""Fields that show that an event belongs to a reply."""


class StreamReader:
    """The pointers into events, compiled. ``later_finder`` is for events after the id and the model are known."""

    def __init__(self, config: StreamConfig, owner: str, error: str | list[str]) -> None:
        option = f"{owner}: stream_config"
        calls = config.tool_calls
        self.tool_calls = ToolCallReader(calls, f"{option}.tool_calls") if calls is not None else None
        texts = {
            name: getattr(config, f"{name}_pointer")
            for name in ("content", "finish_reason", "usage", "reasoning", "signature", "id", "model")
        }
        if texts["content"] == COMPLETIONS_TEXT[0]:
            texts["content"] = COMPLETIONS_TEXT
        texts["error"] = error_pointers(config.error_pointer) if config.error_pointer else error
        texts["done"] = config.done_pointer if isinstance(config, NdJson) else None
        pointers = {
            name: PointerChoice(text, f"{option}.{name}_pointer") if text is not None else None
            for name, text in texts.items()
        }
        self._content = pointers["content"]
        self.conditions = [(f"where {text}", expected) for text, expected in config.where.items()]
        pointers.update({f"where {text}": PointerChoice(text, f"{option}.where") for text in config.where})
        pointers["tool_calls"] = self.tool_calls.pointer if self.tool_calls is not None else None
        self.first_finder = Finder(pointers)
        self.later_finder = Finder({name: choice for name, choice in pointers.items() if name not in ("id", "model")})
        self.is_ndjson = isinstance(config, NdJson)
        self.stop_marker = config.stop_marker
        self.stop_data = config.stop_marker.encode() if config.stop_marker else None
        self.require_marker = config.require_marker
        self.require_finish = config.require_finish

    def is_reply(self, values: dict[str, Any], doc: Any) -> bool:
        """Return whether an event belongs to a reply, if only to one with an empty text."""
        return bool(values.keys() & REPLY_FIELDS) or (self._content is not None and self._content.problem(doc) is None)


class PointerDecoder:
    """Turns the bytes of one reply into chunks.

    A reply is complete if it has a finish reason, the stop marker, or a line that says that it's the last. Only after
    the marker is the rest of the body skipped, because usage may follow.
    """

    def __init__(self, provider: HttpGeneric, exchange: Exchange, translator: Translator, reader: StreamReader) -> None:
        self.ended = False
        self._decode = translator.decode
        self._reasoning: list[str] | None = None  # the texts of the open reasoning
        self._provider = provider
        self._exchange = exchange
        self._reader = reader
        self._find = reader.first_finder.find
        self._sse = SseDecoder(provider.max_event_bytes)
        self._ndjson = NdJsonDecoder(provider.max_event_bytes)
        self._calls = CallIndex()
        self._indexes: set[int] = set()
        self._complete_ids: set[str] = set()  # of complete calls: another call with such an id is a new one
        self._usage: dict[str, Any] = {}
        self._vendor_reason = ""
        self._is_done = False
        self._is_empty = True  # no event has belonged to a reply
        self._has_skipped = False
        self._id = ""
        self._model = ""

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._chunks(self._events(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield the remaining chunks, the End last."""
        if not self.ended:  # bytes after the stop marker are ignored
            try:
                yield from self._chunks(self._last_events())
            except ResponseError as error:
                raise StreamTruncatedError("the stream ended in the middle of an event") from error
        reader = self._reader
        is_complete = self.ended or (not reader.require_marker and bool(self._vendor_reason or self._is_done))
        if not is_complete and (reader.require_finish or reader.require_marker or not clean):
            ending = "its stop marker" if reader.require_marker else "a finish reason"
            raise StreamTruncatedError(f"the stream ended without {ending}")
        if self._is_empty:
            raise ResponseError("the stream has neither text nor a finish reason where the pointers lead")
        yield from self._close_reasoning()
        yield self._end()

    def _events(self, data: bytes) -> Iterable[Event]:
        if self._reader.is_ndjson:
            return [Event("message", line) for line in self._ndjson.feed(data)]
        return self._sse.feed(data)

    def _last_events(self) -> Iterable[Event]:
        if self._reader.is_ndjson:
            return [Event("message", line) for line in self._ndjson.flush()]
        return self._sse.flush()

    def _chunks(self, events: Iterable[Event]) -> Iterator[Chunk]:
        reader = self._reader
        for event in events:
            if event.data == reader.stop_data:
                self.ended = True
                return
            try:
                doc = ANY.decode(event.data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                doc = self._decode_invalid(event)
            values = self._find(doc)
            if "error" in values or event.event == "error":
                raise self._provider.failure(
                    self._provider.reply_reader.facts(doc, reported=values.get("error")),
                    body=event.data.decode("utf-8", "replace"),
                )
            for name, expected in reader.conditions:
                if name in values and values[name] != expected:
                    self._note_skipped(values)
                    values = {"usage": values["usage"]} if "usage" in values else {}
            self._is_empty = self._is_empty and not reader.is_reply(values, doc)
            if len(values) == 1 and isinstance(content := values.get("content"), str) and self._reasoning is None:
                yield Delta(content)
            elif values:
                yield from self._read(values)
            else:
                self._raise_complaint(doc, event)
            if event.event == reader.stop_marker:
                self.ended = True
                return

    def _raise_complaint(self, doc: Any, event: Event) -> None:
        """Raise the error that an event without any values reports."""
        if (facts := hidden_error(doc)) is not None:
            raise self._provider.failure(facts, body=event.data.decode("utf-8", "replace"))

    def _note_skipped(self, values: dict[str, Any]) -> None:
        """Add one notice if events with content or tool calls are skipped."""
        if not self._has_skipped and ("content" in values or "tool_calls" in values):
            self._has_skipped = True
            self._exchange.context.notice(notices.LOST_PART, "events that `where` rules out were ignored", "")

    def _decode_invalid(self, event: Event) -> Any:
        """Return the text of an error event; raise ResponseError for any other event that isn't JSON."""
        if event.event == "error":
            return event.data.decode("utf-8", "replace")
        return decode_json(event.data, ANY)

    def _read(self, values: dict[str, Any]) -> Iterator[Delta]:
        if "reasoning" in values:
            yield from self._add_reasoning(reasoning_text(values["reasoning"]))
        if "signature" in values:
            yield from self._add_reasoning("")
            yield from self._close_reasoning({"signature": text_of(values["signature"])})
        if values.get("content") is not None:
            yield from self._content(values["content"])
        if "tool_calls" in values and self._reader.tool_calls is not None:
            yield from self._add_calls(values["tool_calls"], self._reader.tool_calls)
        if "usage" in values:
            self._usage = merge_counts(self._usage, as_object(values["usage"]) or {})
        self._vendor_reason = text_of(values.get("finish_reason")) or self._vendor_reason
        self._is_done = self._is_done or values.get("done") is True
        if "id" in values or "model" in values:
            self._id = self._id or text_of(values.get("id"))
            self._model = self._model or text_of(values.get("model"))
            self._find = self._reader.later_finder.find if self._id and self._model else self._find

    def _content(self, content: Any) -> Iterator[Delta]:
        """Yield the deltas of content: text, or an array of blocks."""
        for block in content_blocks(content, "content_pointer"):
            if block["type"] == "text":
                yield from self._close_reasoning()
                yield Delta(block["text"])
            else:
                yield from self._add_reasoning(block["text"])
                if block["state"]:
                    yield from self._close_reasoning(block["state"])

    def _add_reasoning(self, text: str) -> Iterator[Delta]:
        self._reasoning = [*(self._reasoning or ()), text]
        if text:
            yield Delta(reasoning=text)

    def _close_reasoning(self, state: dict[str, Any] | None = None) -> Iterator[Delta]:
        """End the open reasoning, with the state that the endpoint needs back."""
        if self._reasoning is None:
            return
        block = {"type": "reasoning", "text": "".join(self._reasoning), "state": state or {}}
        self._reasoning = None
        part = self._decode(block, self._exchange.context)
        if part is not None:
            yield closing_delta(part)

    def _add_calls(self, value: Any, reader: ToolCallReader) -> Iterator[Delta]:
        calls = [call for fragment in reader.read(value) if (call := self._call(fragment)) is not None]
        deltas = [delta for call in calls if isinstance(delta := self._calls.piece(call), ToolCallDelta)]
        if deltas:
            yield from self._close_reasoning()
            yield Delta(tool_calls=deltas)

    def _call(self, fragment: ToolCallFragment) -> dict[str, Any] | None:
        """Return a fragment as Chat Completions has it; None for a fragment of something that isn't a call."""
        if fragment.index is not None and not fragment.is_complete:
            if not (fragment.id or fragment.name) and fragment.index not in self._indexes:
                return None
            self._indexes.add(fragment.index)
        function = {"name": fragment.name, "arguments": fragment.arguments}
        if not fragment.is_complete:
            return {"index": fragment.index, "id": fragment.id, "function": function}
        is_repeated = fragment.id in self._complete_ids
        self._complete_ids.add(fragment.id)
        return {"id": "" if is_repeated else fragment.id, "function": function}

    def _end(self) -> End:
        reader, context = self._provider.reply_reader, self._exchange.context
        has_calls = bool(self._calls)
        if not self._vendor_reason and not has_calls and not self._is_done:
            context.notice(notices.FINISH_MISSING, "the stream ended without a finish reason", "")
        reason = finish_reason(
            self._vendor_reason or ("stop" if self._is_done else ""),
            reader.finish_reasons,
            has_calls=has_calls,
            finish_from_calls=reader.finish_from_calls or not self._vendor_reason,
        )
        return End(
            reason,
            note_odd_usage(reader.usage_reader.usage(self._usage), context),
            self._model or requested_model(self._exchange, self._provider),
            self._id,
            finish_word=self._vendor_reason,
            notices=context.notices,
            raw={"usage": self._usage} if self._usage else None,
        )
