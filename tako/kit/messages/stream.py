"""A streamed reply (https://platform.claude.com/docs/en/build-with-claude/streaming)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import Struct, defstruct, field

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.fold import closing_delta
from tako.json_values import as_array, as_object, text_of
from tako.kit.body import decode_json
from tako.kit.failures import error_in
from tako.kit.finish_reasons import lookup_finish_reason
from tako.kit.hidden_errors import hidden_error
from tako.kit.ids import CallIds, read_id
from tako.kit.messages.open_block import STREAMED_FIELDS, OpenBlock
from tako.kit.messages.reply import FINISH_REASONS, error_of, finish_reason, usage_of
from tako.kit.repeated_events import RepeatedEvents
from tako.kit.token_counts import merge_counts
from tako.parts import TextPart, ToolCallPart
from tako.state import BLOCK_END, State
from tako.types import Chunk, Delta, End, FinishReason, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tako.kit.exchange import Exchange
    from tako.kit.failures import Reporter
    from tako.kit.sse import Event
    from tako.translator import Translator

EVENTS = frozenset(
    (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
    )
)
"""The events that are read."""
MAX_LOST_NOTICES = 16
"""Notices about what was lost of one reply; a server could make up names without end."""
PROGRESS_FIELDS = frozenset(("estimated_tokens",))
"""Fields of deltas that only help to draw a progress bar."""


class TextFragment(Struct, gc=False, forbid_unknown_fields=True, tag_field="type"):
    """A delta that holds a piece of text; one of another kind, or with other fields, is read as any JSON."""

    name: ClassVar[str]
    """The field of the block that the text belongs to."""


class TextDelta(TextFragment, gc=False, forbid_unknown_fields=True, tag="text_delta"):
    """A piece of text."""

    name = "text"
    text: str = ""


class ThinkingDelta(TextFragment, gc=False, forbid_unknown_fields=True, tag="thinking_delta"):
    """A piece of reasoning."""

    name = "thinking"
    text: str = field(default="", name="thinking")


class SignatureDelta(TextFragment, gc=False, forbid_unknown_fields=True, tag="signature_delta"):
    """The signature of a block."""

    name = "signature"
    text: str = field(default="", name="signature")


class InputDelta(TextFragment, gc=False, forbid_unknown_fields=True, tag="input_json_delta"):
    """A piece of a call's arguments, which are JSON text."""

    name = "partial_json"
    text: str = field(default="", name="partial_json")


class BlockDelta(Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="content_block_delta"):
    """A ``content_block_delta`` event."""

    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta
    index: int = 0


FIELD_OF_DELTA = {cls.__struct_config__.tag: cls.name for cls in (TextDelta, ThinkingDelta, SignatureDelta, InputDelta)}
"""The kinds of deltas that hold a piece of text, and the field that it is in."""
NO_BLOCK = OpenBlock({})
BLOCK_DELTA = msgspec.json.Decoder(BlockDelta)
EXPECTED_DELTAS: dict[str, Callable[[bytes], Any]] = {
    piece.name: msgspec.json.Decoder(
        defstruct(
            "BlockDelta",
            [("delta", piece), ("index", int, 0)],
            gc=False,
            forbid_unknown_fields=True,
            tag_field="type",
            tag="content_block_delta",
        )
    ).decode
    for piece in (TextDelta, ThinkingDelta, InputDelta)
}
"""What reads nearly every event: a block goes on with this field. It's cheaper than what reads all of these kinds."""
OBJECT = msgspec.json.Decoder(dict[str, Any])


class MessagesDecoder:
    """Turns the events of one reply into chunks. ``message_stop`` ends it, nothing else does.

    With ``require_finish=False`` the body may end after a stop reason, as some servers' do.

    Text, reasoning and arguments are handed over as they come. At its end each block is put together as a whole reply
    has it and read by the translator, which says the rest of it.
    """

    def __init__(
        self, provider: Reporter, exchange: Exchange, translator: Translator, *, require_finish: bool = True
    ) -> None:
        self.ended = False
        self._require_finish = require_finish
        self._provider = provider
        self._exchange = exchange
        self._context = exchange.context
        self._translator = translator
        self._events = RepeatedEvents(provider.max_event_bytes)
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, OpenBlock] = {}
        self._last_block = NO_BLOCK  # the block that began last
        self._index: int | None = None
        self._decode_expected = EXPECTED_DELTAS["text"]  # reads an event with which it goes on
        self._last_texts = NO_BLOCK.texts
        self._delta_of: Callable[[str], Delta] = Delta
        self._ids = CallIds()
        self._calls = 0
        self._has_open_text = False  # the last thing handed over is a text whose end has not been told
        self._noted: set[str] = set()

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        at = 0
        while at < len(data) and not self.ended:
            texts, events, at = self._events.read(data, at)
            self._last_texts += texts
            yield from map(self._delta_of, texts) if texts else self._chunks(events)

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left, the End last."""
        if not self.ended:  # what follows the terminator is nobody's
            try:
                yield from self._chunks(self._events.flush())
            except ResponseError as error:
                raise StreamTruncatedError("the stream ended in the middle of an event") from error
        if not self.ended:
            if self._require_finish or not clean or not self._message.get("stop_reason"):
                raise StreamTruncatedError("the stream ended without message_stop")
            yield from self._end_blocks()
        yield self._end()

    def _chunks(self, events: Iterable[Event]) -> Iterator[Chunk]:
        for event in events:
            if event.event == "content_block_delta":
                try:
                    delta_event = self._decode_expected(event.data)
                except (msgspec.DecodeError, UnicodeError, RecursionError):
                    yield from self._event(event)
                    continue
                if delta_event.index != self._index:
                    yield from self._event(event)
                elif text := delta_event.delta.text:
                    self._events.expect(event.data, delta_event.delta.name, text)
                    self._last_texts.append(text)
                    yield self._delta_of(text)
            elif event.event != "ping":
                yield from self._event(event)
                if self.ended:
                    return

    def _event(self, event: Event) -> Iterator[Chunk]:
        """Read any event but the frequent ones; its type is told by its name or, where a proxy lost that, inside."""
        is_error = event.event == "error"
        if not is_error and event.data.strip() in (b"[DONE]", b"", b"null"):  # compatible servers', not the API's
            yield from self._end_of_stream(event.data)
            return
        if event.event not in EVENTS and event.event != "message":
            self._skip(event.event, event.data)
            return
        frame = {"type": "error"} if is_error else decode_json(event.data, OBJECT)
        if frame.get("type") == "error" or error_in(frame):
            raise error_of(event.data, self._provider)
        match frame.get("type") or event.event:
            case "content_block_start":
                yield from self._start(_index(frame), as_object(frame.get("content_block")) or {})
                self._keep_unknown(frame, "index", "content_block")
            case "content_block_delta":
                yield from self._other_delta(frame, event.data)
                self._keep_unknown(frame, "index", "delta")
            case "content_block_stop":
                yield from self._stop(_index(frame))
                self._keep_unknown(frame, "index")
            case "message_start":
                yield from self._begin(as_object(frame.get("message")) or {})
                self._keep_unknown(frame, "message")
            case "message_delta":
                fields = {**_without_nulls(frame), **_without_nulls(frame.get("delta"))}  # any of them may come late
                self._usage = merge_counts(self._usage, as_object(fields.pop("usage", None)) or {})  # cumulative
                self._message.update({name: fields[name] for name in fields.keys() - {"type", "delta"}})
            case "message_stop":
                self.ended = True
                self._keep_unknown(frame)
                yield from self._end_blocks()
            case kind:
                self._skip(text_of(kind), event.data)

    def _end_of_stream(self, data: bytes) -> Iterator[Delta]:
        """End a reply whose stop reason has come, if a server says so in the way of Chat Completions."""
        if data.startswith(b"[DONE]") and self._message.get("stop_reason"):
            self.ended = True
            yield from self._end_blocks()

    def _begin(self, message: dict[str, Any]) -> Iterator[Delta]:
        """Begin the message; it may have blocks already, as after tools that ran on the vendor's side."""
        self._usage = merge_counts(self._usage, _without_nulls(message.get("usage")))
        self._message.update({name: value for name, value in message.items() if name not in ("content", "usage")})
        for index, block in enumerate(as_array(message.get("content")) or []):
            yield from self._start(index, as_object(block) or {})
            yield from self._stop(index)

    def _start(self, index: int, fields: dict[str, Any]) -> Iterator[Delta]:
        if index in self._blocks:
            yield from self._stop(index)
        self._events.forget()
        block = self._blocks[index] = self._last_block = OpenBlock(fields)
        self._index = index if block.streamed_field else None
        self._decode_expected, self._last_texts = (
            EXPECTED_DELTAS.get(block.streamed_field, EXPECTED_DELTAS["text"]),
            block.texts,
        )
        self._delta_of = Delta if block.kind == "text" else block.delta
        if block.kind == "text" and self._has_open_text:
            yield Delta(state=BLOCK_END)
        if block.streamed_field:
            self._has_open_text = False
        if block.kind == "tool_use":
            block.fields["id"] = self._ids.unique(read_id(fields.get("id")))
            block.call_index = self._calls
            self._calls += 1
            name = text_of(fields.get("name"))
            yield Delta(tool_calls=[ToolCallDelta(block.call_index, block.fields["id"], name)])
        elif block.has_streamed:
            yield block.delta(block.texts[0])

    def _delta(self, index: int, name: str, text: str) -> Iterator[Delta]:
        """Read a piece of text of any block. Some servers don't say where a block begins, or of what kind it is."""
        block = self._blocks.get(index)
        if name in STREAMED_FIELDS and (block is None or not block.accepts(name)):
            yield from self._start(index, {"type": name, name: ""})
            block = self._blocks[index]
        if block is None:
            self._note_lost(f"a piece of {name} without a block")
            return
        block.add(name, text)
        if text and name == block.streamed_field:
            yield block.delta(text)

    def _other_delta(self, frame: dict[str, Any], data: bytes) -> Iterator[Delta]:
        """Read a delta of any shape. What a new kind of delta has is its block's; one that doesn't fit is an error."""
        index, delta = _index(frame), as_object(frame.get("delta")) or {}
        kind = text_of(delta.get("type"))
        name = FIELD_OF_DELTA.get(kind)
        if name is not None:
            text = delta.get(name, "")
            if not isinstance(text, str):
                decode_json(data, BLOCK_DELTA)  # says what does not fit
            yield from self._delta(index, name, text)
            for unknown_field in delta.keys() - {"type", name} - PROGRESS_FIELDS:
                self._note_lost(f"the field {unknown_field!r} of a {kind}")
            return
        block = self._blocks.get(index)
        if block is None:
            self._note_lost(f"a {kind or 'delta'} without a block")
        elif kind == "citations_delta":
            block.add("citations", [delta.get("citation")])
        else:
            for field, value in delta.items():
                if field == block.streamed_field:
                    self._note_lost(f"the {field} of a {kind}")
                elif field != "type":
                    block.add(field, value)

    def _stop(self, index: int) -> Iterator[Delta]:
        """End a block: say what has not been said of it."""
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block is self._last_block:
            self._events.forget()
            self._last_block, self._index = NO_BLOCK, None
        fields = block.complete()
        if block.kind == "fallback":  # the model that goes on, which the whole reply names
            self._message["model"] = (as_object(fields.get("to")) or {}).get("model") or self._message.get("model")
        part = self._translator.decode(fields, self._context)
        if block.call_index >= 0:
            yield from self._end_call(block, fields, part.state if isinstance(part, ToolCallPart) else None)
        elif part is not None and not block.has_streamed:
            self._has_open_text = False
            yield Delta(part=part)
        elif isinstance(part, TextPart) and not (part.citations or part.state):
            self._has_open_text = True
        elif part is not None:
            yield closing_delta(part)

    def _end_call(self, block: OpenBlock, fields: dict[str, Any], state: State | None) -> Iterator[Delta]:
        """Hand over arguments that came whole with the call's beginning, and its state."""
        input = fields.get("input")
        text = msgspec.json.encode(input).decode() if input and not block.has_streamed else ""
        if text or state:
            yield Delta(tool_calls=[ToolCallDelta(block.call_index, None, None, text, state)])

    def _end_blocks(self) -> Iterator[Delta]:
        """End what has not been ended; of a paused turn, say who made its last text (see ``reply.paused``)."""
        for index in sorted(self._blocks):
            yield from self._stop(index)
        stop_reason = text_of(self._message.get("stop_reason"))
        if self._has_open_text and lookup_finish_reason(stop_reason, FINISH_REASONS) is FinishReason.PAUSE:
            yield Delta(state=State(self._context.origin))

    def _keep_unknown(self, frame: dict[str, Any], *known_fields: str) -> None:
        """Keep the fields of an event that tako doesn't know for ``raw``, one value of each."""
        for name, value in _without_nulls(frame).items():
            if name not in ("type", *known_fields) and self._message.setdefault(name, value) != value:
                self._note_lost(f"a value of the field {name!r}")

    def _skip(self, kind: str, data: bytes) -> None:
        """Pass an unknown event over, with a notice if it says anything."""
        try:
            frame: Any = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            frame = data
        if (facts := hidden_error(frame)) is not None:
            raise self._provider.failure(facts, body=data.decode("utf-8", "replace"))
        if frame and kind != "ping" and frame != {"type": kind}:
            self._note_lost(f"an event of type {kind[:64]!r}")

    def _note_lost(self, subject: str) -> None:
        """Note once that something of the reply was lost."""
        if subject not in self._noted and len(self._noted) < MAX_LOST_NOTICES:
            self._noted.add(subject)
            self._context.notice(notices.LOST_PART, f"{subject} was lost: tako doesn't know it", "")

    def _end(self) -> End:
        message = self._message
        stop_reason = text_of(message.get("stop_reason"))
        reason = finish_reason(stop_reason, message.get("stop_details"), self._context, has_calls=self._calls > 0)
        return End(
            reason,
            usage_of(self._usage),
            text_of(message.get("model")) or self._exchange.body.get("model", ""),
            text_of(message.get("id")),
            finish_word=stop_reason,
            notices=list(self._exchange.notices),
            raw={**message, "usage": self._usage},
        )


def _without_nulls(fields: Any) -> dict[str, Any]:
    """Return the fields that say something: what comes later as null takes back nothing."""
    return {name: value for name, value in (as_object(fields) or {}).items() if value is not None}


def _index(frame: dict[str, Any]) -> int:
    index = frame.get("index")
    return index if isinstance(index, int) else 0
