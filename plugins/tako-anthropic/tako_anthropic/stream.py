"""A streamed reply (https://platform.claude.com/docs/en/build-with-claude/streaming)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako.errors import ResponseError, StreamTruncatedError
from tako.fold import arguments
from tako.kit.body import decode_json
from tako.kit.completions.decode import mint_id
from tako.kit.sse import SseDecoder
from tako.loose import as_array, as_object, text_of
from tako.types import Chunk, Delta, End, ToolCallDelta
from tako_anthropic.reply import finish_reason, reported, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.kit.sse import Event

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
"""The events that are read; ``ping`` and whatever comes new are passed over."""


class Piece(Struct, gc=False):
    """The delta of a content block."""

    type: str
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    citation: Any = None
    content: Any = None
    encrypted_content: Any = None


class BlockDelta(Struct, gc=False):
    """A ``content_block_delta`` event."""

    delta: Piece
    index: int = 0


BLOCK_DELTA = msgspec.json.Decoder(BlockDelta)
OBJECT = msgspec.json.Decoder(dict[str, Any])


class MessagesDecoder:
    """Turns the events of one reply into chunks. ``message_stop`` ends it, nothing else does.

    Blocks that tako has no part for (tools that the server runs, their results, and what comes new) are put together
    again and stand in ``End.raw["content"]`` in the vendor's own shape, with their ``index``.
    """

    def __init__(self, provider: HttpProvider, exchange: Exchange) -> None:
        self.ended = False
        self._provider = provider
        self._exchange = exchange
        self._sse = SseDecoder(provider.max_event_bytes)
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._calls: dict[int, _Call] = {}
        self._call_ids: set[str] = set()
        self._signatures: dict[int, str] = {}
        self._others: dict[int, dict[str, Any]] = {}
        self._json: dict[int, list[str]] = {}
        self._silent: set[int] = set()

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
        if not self.ended:
            raise StreamTruncatedError("the stream ended without message_stop")
        yield self._end()

    def _chunks(self, events: Iterable[Event]) -> Iterator[Chunk]:
        for event in events:
            if event.event == "content_block_delta":
                try:
                    read = BLOCK_DELTA.decode(event.data)
                except (msgspec.DecodeError, UnicodeError, RecursionError):
                    read = self._any_delta(event.data)
                piece = read.delta
                if piece.type == "text_delta" and not self._silent:
                    if piece.text:
                        yield Delta(piece.text)
                else:
                    yield from self._delta(read.index, piece)
            elif event.event != "ping":
                yield from self._event(event)
                if self.ended:
                    return

    def _event(self, event: Event) -> Iterator[Chunk]:
        """Read any event but the frequent ones; its type is told by its name or, where a proxy lost that, inside."""
        if event.event not in EVENTS and event.event != "message":
            return
        if event.data.startswith(b"[DONE]") or not event.data.strip():  # not the API's, but compatible servers'
            return
        frame = decode_json(event.data, OBJECT)
        match frame.get("type") or event.event:
            case "content_block_start":
                yield from self._start(_index(frame), as_object(frame.get("content_block")) or {})
            case "content_block_delta":
                read = self._any_delta(event.data)
                yield from self._delta(read.index, read.delta)
            case "content_block_stop":
                yield from self._stop(_index(frame))
            case "message_start":
                self._message = as_object(frame.get("message")) or {}
                self._count(self._message.get("usage"))
                yield from self._given(as_array(self._message.get("content")) or [])
            case "message_delta":
                self._message.update(_said(frame.get("delta")))
                self._count(frame.get("usage"))
            case "message_stop":
                self.ended = True
            case "error":
                raise reported(frame.get("error"), text_of(frame.get("request_id")) or None, self._provider, event.data)
            case _:
                pass

    def _start(self, index: int, block: dict[str, Any]) -> Iterator[Delta]:
        self._silent.discard(index)
        match block.get("type"):
            case "text":
                if text := text_of(block.get("text")):
                    yield Delta(text)
            case "thinking":
                if text := text_of(block.get("thinking")):
                    yield Delta(reasoning=text)
                if isinstance(block.get("signature"), str):
                    self._signatures[index] = block["signature"]
            case "redacted_thinking":
                yield Delta(data=block)
            case "tool_use":
                yield self._call(index, block)
            case _:
                self._others[index] = block
                self._silent.add(index)

    def _call(self, index: int, block: dict[str, Any]) -> Delta:
        id = text_of(block.get("id"))
        if not id or id in self._call_ids:
            id = mint_id()
        self._call_ids.add(id)
        call = self._calls[index] = _Call(len(self._call_ids) - 1, block.get("input"))
        return Delta(tool_calls=[ToolCallDelta(call.position, id, text_of(block.get("name")))])

    def _delta(self, index: int, piece: Piece) -> Iterator[Delta]:
        """Read a piece of any block; kinds that are new are passed over, as are those of blocks that are kept aside."""
        if index in self._silent:
            if piece.partial_json:
                self._json.setdefault(index, []).append(piece.partial_json)
            if piece.type == "compaction_delta":
                self._others[index] |= {"content": piece.content, "encrypted_content": piece.encrypted_content}
            return
        match piece.type:
            case "text_delta":
                yield Delta(piece.text)
            case "input_json_delta":
                call = self._calls.get(index)
                if call is not None and piece.partial_json:
                    call.begun = True
                    yield Delta(tool_calls=[ToolCallDelta(call.position, None, None, piece.partial_json)])
            case "thinking_delta" if piece.thinking:
                yield Delta(reasoning=piece.thinking)
            case "signature_delta":
                self._signatures[index] = self._signatures.get(index, "") + piece.signature
            case "citations_delta":
                cited = self._others.setdefault(index, {"type": "text", "citations": []})
                cited["citations"].append(piece.citation)
            case _:
                pass

    def _stop(self, index: int) -> Iterator[Delta]:
        """End a block: its signature closes its part, and arguments that came whole at its start are handed over."""
        self._silent.discard(index)
        signature = self._signatures.pop(index, None)
        if signature is not None:
            yield Delta(reasoning="", signature=signature)
        call = self._calls.pop(index, None)
        if call is not None and not call.begun and call.given:
            text = msgspec.json.encode(call.given).decode()
            yield Delta(tool_calls=[ToolCallDelta(call.position, None, None, text)])
        pieces = self._json.pop(index, None)
        if pieces:
            self._others[index]["input"] = arguments("".join(pieces))

    def _given(self, blocks: list[Any]) -> Iterator[Delta]:
        """Read blocks that a message begins with, as after tools that ran on the vendor's side between two turns."""
        for index, block in enumerate(blocks):
            yield from self._start(index, as_object(block) or {})
            yield from self._stop(index)

    def _any_delta(self, data: bytes) -> BlockDelta:
        """Read a delta; of a new kind it may have any shape, one of a known kind that does not fit is an error."""
        try:
            return BLOCK_DELTA.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
        frame = decode_json(data, OBJECT)
        kind = text_of((as_object(frame.get("delta")) or {}).get("type"))
        if kind in ("text_delta", "thinking_delta", "input_json_delta", "signature_delta"):
            return decode_json(data, BLOCK_DELTA)  # says what does not fit
        return BlockDelta(Piece("unknown"), _index(frame))

    def _count(self, usage: Any) -> None:
        """Usage is cumulative, and any of its fields may come late, or at the start alone."""
        self._usage.update(_said(usage))

    def _end(self) -> End:
        said = list(self._exchange.notices)
        word = text_of(self._message.get("stop_reason"))
        others = [{"index": index, **block} for index, block in sorted(self._others.items())]
        return End(
            finish_reason(word, said, self._provider, bool(self._call_ids)),
            usage_of(self._usage),
            text_of(self._message.get("model")) or self._exchange.body.get("model", ""),
            text_of(self._message.get("id")),
            said,
            {**self._message, "usage": self._usage, "content": others},
        )


class _Call:
    """A call that is open, and the arguments that came with its beginning."""

    def __init__(self, position: int, given: Any) -> None:
        self.position = position
        self.given = given
        self.begun = False


def _said(fields: Any) -> dict[str, Any]:
    """Return the fields that say something: what comes later as null takes back nothing."""
    return {name: value for name, value in (as_object(fields) or {}).items() if value is not None}


def _index(frame: dict[str, Any]) -> int:
    index = frame.get("index")
    return index if isinstance(index, int) else 0
