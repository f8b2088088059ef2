"""A streamed reply, read by pointers: Server-Sent Events or NDJSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.fold import closing
from tako.json_values import as_object, text_of
from tako.kit.body import decode_json
from tako.kit.complaints import complaint
from tako.kit.completions.calls import CallIndex
from tako.kit.counts import later, note_odd
from tako.kit.ndjson import NdJsonDecoder
from tako.kit.sse import Event, SseDecoder
from tako.types import Chunk, Delta, End, ToolCallDelta
from tako_http_generic.calls import CallReader
from tako_http_generic.endpoint import error_places
from tako_http_generic.pointers import Finder, Paths
from tako_http_generic.reply import ANY, content_blocks, finish_reason, thoughts
from tako_http_generic.request import asked_model
from tako_http_generic.settings import NdJson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.kit.exchange import Exchange
    from tako.translator import Translator
    from tako_http_generic import HttpGeneric
    from tako_http_generic.calls import Found
    from tako_http_generic.settings import StreamConfig


USUAL = ["/choices/0/delta/content", "/choices/0/message/content"]
"""Where Chat Completions have a stream's text: servers that can't stream send one event with the whole reply."""


REPLY = frozenset(("calls", "content", "done", "finish_reason", "reasoning", "signature"))
"""What an event may have that makes it one of a reply."""


class StreamReader:
    """A stream's settings, compiled once for all of its replies."""

    def __init__(self, config: StreamConfig, owner: str, error: str | list[str]) -> None:
        where = f"{owner}: stream_config"
        calls = config.tool_calls
        self.calls = CallReader(calls, f"{where}.tool_calls") if calls is not None else None
        named = {
            name: getattr(config, f"{name}_pointer")
            for name in ("content", "finish_reason", "usage", "reasoning", "signature", "id", "model")
        }
        if named["content"] == USUAL[0]:
            named["content"] = USUAL
        named["error"] = error_places(config.error_pointer) if config.error_pointer else error
        named["done"] = config.done_pointer if isinstance(config, NdJson) else None
        paths = {
            name: Paths(given, f"{where}.{name}_pointer") if given is not None else None
            for name, given in named.items()
        }
        self._text = paths["content"]
        self.where = [(f"where {text}", wanted) for text, wanted in config.where.items()]
        paths.update({f"where {text}": Paths(text, f"{where}.where") for text in config.where})
        paths["calls"] = self.calls.place if self.calls is not None else None
        self.first = Finder(paths)
        self.others = Finder({name: given for name, given in paths.items() if name not in ("id", "model")})
        self.lines = isinstance(config, NdJson)
        self.marker = config.stop_marker
        self.marker_data = config.stop_marker.encode() if config.stop_marker else None
        self.require_marker = config.require_marker
        self.require_finish = config.require_finish

    def is_reply(self, found: dict[str, Any], doc: Any) -> bool:
        """Whether an event is of a reply at all, if only of one whose text is empty."""
        return bool(found.keys() & REPLY) or (self._text is not None and self._text.problem(doc) is None)


class PointerDecoder:
    """Turns the bytes of one reply into chunks.

    What ends a reply in order is a finish reason, the stop marker, or a line that says that it is the last. Reading
    goes on to the end of the body all the same, unless the marker has come: usage may follow.
    """

    def __init__(self, provider: HttpGeneric, exchange: Exchange, translator: Translator, reader: StreamReader) -> None:
        self.ended = False
        self._decode = translator.decode
        self._thoughts: list[str] | None = None  # of the reasoning that is open
        self._provider = provider
        self._exchange = exchange
        self._reader = reader
        self._find = reader.first.find
        self._sse = SseDecoder(provider.max_event_bytes)
        self._ndjson = NdJsonDecoder(provider.max_event_bytes)
        self._calls = CallIndex()
        self._indexes: set[int] = set()
        self._whole: set[str] = set()  # the ids of calls that came whole: another one with such an id is another call
        self._counts: dict[str, Any] = {}
        self._finish = ""
        self._done = False
        self._empty = True  # nothing has stood where a reply is
        self._passed_over = False
        self._id = ""
        self._model = ""

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._chunks(self._events(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left, the End last."""
        if not self.ended:  # what follows the terminator is nobody's
            try:
                yield from self._chunks(self._rest())
            except ResponseError as error:
                raise StreamTruncatedError("the stream ended in the middle of an event") from error
        reader = self._reader
        enough = self.ended or (not reader.require_marker and bool(self._finish or self._done))
        if not enough and (reader.require_finish or reader.require_marker or not clean):
            what = "its stop marker" if reader.require_marker else "a finish reason"
            raise StreamTruncatedError(f"the stream ended without {what}")
        if self._empty:
            raise ResponseError("the stream has neither text nor a finish reason where the pointers lead")
        yield from self._close()
        yield self._end()

    def _events(self, data: bytes) -> Iterable[Event]:
        if self._reader.lines:
            return [Event("message", line) for line in self._ndjson.feed(data)]
        return self._sse.feed(data)

    def _rest(self) -> Iterable[Event]:
        if self._reader.lines:
            return [Event("message", line) for line in self._ndjson.flush()]
        return self._sse.flush()

    def _chunks(self, events: Iterable[Event]) -> Iterator[Chunk]:
        reader = self._reader
        for event in events:
            if event.data == reader.marker_data:
                self.ended = True
                return
            try:
                doc = ANY.decode(event.data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                doc = self._odd(event)
            found = self._find(doc)
            if "error" in found or event.event == "error":
                raise self._provider.failure(
                    self._provider.reader.facts(doc, reported=found.get("error")),
                    body=event.data.decode("utf-8", "replace"),
                )
            for name, wanted in reader.where:
                if name in found and found[name] != wanted:
                    self._pass_over(found)
                    found = {"usage": found["usage"]} if "usage" in found else {}
            self._empty = self._empty and not reader.is_reply(found, doc)
            if len(found) == 1 and isinstance(content := found.get("content"), str) and self._thoughts is None:
                yield Delta(content)
            elif found:
                yield from self._read(found)
            else:
                self._raise_complaint(doc, event)
            if event.event == reader.marker:
                self.ended = True
                return

    def _raise_complaint(self, doc: Any, event: Event) -> None:
        """Raise what an event complains of that has nothing at any pointer."""
        if (facts := complaint(doc)) is not None:
            raise self._provider.failure(facts, body=event.data.decode("utf-8", "replace"))

    def _pass_over(self, found: dict[str, Any]) -> None:
        """Note once that an event was passed over that says something."""
        if not self._passed_over and ("content" in found or "calls" in found):
            self._passed_over = True
            self._exchange.context.notice(notices.LOST_PART, "events that `where` rules out were ignored", "")

    def _odd(self, event: Event) -> Any:
        """An error may be plain text; anything else that is no JSON is a reply that cannot be understood."""
        if event.event == "error":
            return event.data.decode("utf-8", "replace")
        return decode_json(event.data, ANY)

    def _read(self, found: dict[str, Any]) -> Iterator[Delta]:
        if "reasoning" in found:
            yield from self._think(thoughts(found["reasoning"]))
        if "signature" in found:
            yield from self._think("")
            yield from self._close({"signature": text_of(found["signature"])})
        if found.get("content") is not None:
            yield from self._content(found["content"])
        if "calls" in found and self._reader.calls is not None:
            yield from self._called(found["calls"], self._reader.calls)
        if "usage" in found:
            self._counts = later(self._counts, as_object(found["usage"]) or {})
        self._finish = text_of(found.get("finish_reason")) or self._finish
        self._done = self._done or found.get("done") is True
        if "id" in found or "model" in found:
            self._id = self._id or text_of(found.get("id"))
            self._model = self._model or text_of(found.get("model"))
            self._find = self._reader.others.find if self._id and self._model else self._find

    def _content(self, content: Any) -> Iterator[Delta]:
        """Yield the deltas of content: text, or an array of blocks."""
        for block in content_blocks(content, "content_pointer"):
            if block["type"] == "text":
                yield from self._close()
                yield Delta(block["text"])
            else:
                yield from self._think(block["text"])
                if block["state"]:
                    yield from self._close(block["state"])

    def _think(self, text: str) -> Iterator[Delta]:
        self._thoughts = [*(self._thoughts or ()), text]
        if text:
            yield Delta(reasoning=text)

    def _close(self, state: dict[str, Any] | None = None) -> Iterator[Delta]:
        """End the reasoning that is open, with what the endpoint wants back of it."""
        if self._thoughts is None:
            return
        block = {"type": "reasoning", "text": "".join(self._thoughts), "state": state or {}}
        self._thoughts = None
        part = self._decode(block, self._exchange.context)
        if part is not None:
            yield closing(part)

    def _called(self, value: Any, reader: CallReader) -> Iterator[Delta]:
        calls = [call for item in reader.read(value) if (call := self._call(item)) is not None]
        pieces = [piece for call in calls if isinstance(piece := self._calls.piece(call), ToolCallDelta)]
        if pieces:
            yield from self._close()
            yield Delta(tool_calls=pieces)

    def _call(self, found: Found) -> dict[str, Any] | None:
        """Return a fragment in the shape of Chat Completions, or None for a piece of something that isn't a call."""
        if found.index is not None and not found.whole:
            if not (found.id or found.name) and found.index not in self._indexes:
                return None
            self._indexes.add(found.index)
        function = {"name": found.name, "arguments": found.arguments}
        if not found.whole:
            return {"index": found.index, "id": found.id, "function": function}
        again = found.id in self._whole
        self._whole.add(found.id)
        return {"id": "" if again else found.id, "function": function}

    def _end(self) -> End:
        reader, context = self._provider.reader, self._exchange.context
        has_calls = bool(self._calls)
        if not self._finish and not has_calls and not self._done:
            context.notice(notices.FINISH_MISSING, "the stream ended without a finish reason", "")
        reason = finish_reason(
            self._finish or ("stop" if self._done else ""),
            reader.words,
            has_calls=has_calls,
            trust_calls=reader.trust_calls or not self._finish,
        )
        return End(
            reason,
            note_odd(reader.counter.usage(self._counts), context),
            self._model or asked_model(self._exchange, self._provider),
            self._id,
            finish_word=self._finish,
            notices=context.notices,
            raw={"usage": self._counts} if self._counts else None,
        )
