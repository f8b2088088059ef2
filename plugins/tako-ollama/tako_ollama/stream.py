"""Streamed replies of ``/api/chat``: one JSON object per line (https://docs.ollama.com/api/streaming)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.json_values import as_object, text_of
from tako.kit.body import decode_json
from tako.kit.deltas import StreamFacts, merge_delta
from tako.kit.failures import read_facts
from tako.kit.hidden_errors import hidden_error
from tako.kit.ids import CallIds
from tako.kit.ndjson import NdJsonDecoder
from tako.parts import ToolCallPart
from tako.state import State
from tako.types import Chunk, Delta, End, ToolCallDelta
from tako_ollama.reply import ANY, LINE, PART_FIELDS, blocks, finish_reason, reported_error, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.translator import Translator

FIELDS = frozenset(("model", "created_at", "message", "done"))
"""The fields of every line; a stream's ``raw`` has the others."""


class TextMessage(Struct, forbid_unknown_fields=True, gc=False):
    """What a line adds to the text or to the reasoning."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    thinking: str = ""


class TextLine(Struct, forbid_unknown_fields=True, gc=False):
    """A line with text or reasoning only, as nearly all are; others are decoded as any JSON."""

    message: TextMessage
    model: str = ""
    created_at: str = ""
    done: bool = False


TEXT_LINE = msgspec.json.Decoder(TextLine)


def _text_line(data: bytes) -> TextLine | None:
    """Return a line with text or reasoning only; None for another one, or the last."""
    try:
        line = TEXT_LINE.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return None if line.done else line


class ChatDecoder:
    """Turns the lines of a streamed reply into chunks; a line with ``done`` ends it.

    ``End.raw`` is the last line, with the other fields of earlier lines (logprobs).
    """

    def __init__(self, provider: HttpProvider, exchange: Exchange, translator: Translator) -> None:
        self.ended = False
        self._provider = provider
        self._context = exchange.context
        self._model = exchange.body.get("model", "")
        self._decode = translator.decode
        self._lines = NdJsonDecoder(provider.max_event_bytes)
        self._ids = CallIds()
        self._has_message = False
        self._is_reasoning = False
        self._other_fields: dict[str, Any] = {}
        self._facts = StreamFacts(provider.max_reply_bytes)

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._chunks(self._lines.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield the remaining chunks, the End last."""
        if not self.ended:
            try:
                yield from self._chunks(self._lines.flush())
            except ResponseError as error:
                raise StreamTruncatedError("the stream ended in the middle of a line") from error
        if not self.ended:
            raise StreamTruncatedError("the stream ended without a line that is done")
        if not self._has_message:
            raise ResponseError("the reply has no message")
        yield from self._end_reasoning()
        yield from self._blocks(self._other_fields)
        yield self._end()

    def _chunks(self, lines: Iterable[bytes]) -> Iterator[Chunk]:
        for data in lines:
            line = _text_line(data)
            if line is None:
                yield from self._read(data)
                if self.ended:
                    return
                continue
            message = line.message
            self._has_message = True
            if message.thinking:
                self._is_reasoning = True
                yield Delta(reasoning=message.thinking)
            if message.content:
                if self._is_reasoning:
                    yield from self._end_reasoning()
                yield Delta(message.content)

    def _read(self, data: bytes) -> Iterator[Delta]:
        """Read a line of any kind. Raises the error that it reports."""
        data = self._json_of(data)
        line = decode_json(data, ANY)
        if line.get("error"):
            raise reported_error(data, self._provider)
        if not isinstance(line.get("message"), dict) and (facts := hidden_error(line)) is not None:
            raise self._provider.failure(facts, body=data.decode("utf-8", "replace"))
        if line.get("message") is not None:
            yield from self._deltas(data, line["message"])
        if line.keys() - FIELDS:
            self._add_facts(data, line)
        if line.get("done"):
            decode_json(data, LINE)
            self.ended = True
            self._facts.fields.update({name: line[name] for name in line.keys() & FIELDS - {"message"}})

    def _json_of(self, data: bytes) -> bytes:
        """Return a line's JSON. Raises the error in a line of text. Proxies may send lines as Server-Sent Events."""
        if data.startswith(b"error:"):
            raise self._provider.failure(read_facts(data[6:].strip()), body=data.decode("utf-8", "replace"))
        text = data.removeprefix(b"data:").strip()
        return b"{}" if text in (b"null", b"[DONE]", b"") or data.startswith((b":", b"event:", b"id:")) else text

    def _add_facts(self, data: bytes, line: dict[str, Any]) -> None:
        """Keep a line's other fields. Raises the error that a gateway sends in a list."""
        if line.get("errors"):
            raise reported_error(data, self._provider)
        known = self._facts.fields
        facts = {name: value for name, value in line.items() if name not in FIELDS and (value or name not in known)}
        self._facts.add(facts, len(data))  # a zero doesn't replace a value

    def _deltas(self, data: bytes, message: Any) -> Iterator[Delta]:
        """Read a message with more than text. Fields that tako has no part for are collected for the end."""
        decode_json(data, LINE)
        self._has_message = True
        fields = as_object(message) or {}
        if thinking := fields.get("thinking"):
            self._is_reasoning = True
            yield Delta(reasoning=thinking)
        if content := fields.get("content"):
            yield from self._end_reasoning()
            yield Delta(content)
        lists = {name: fields[name] for name in ("images", "tool_calls") if fields.get(name)}
        if lists:
            yield from self._end_reasoning()
            yield from self._blocks(lists)
        merge_delta(
            self._other_fields, {name: value for name, value in fields.items() if name not in PART_FIELDS}, texts=True
        )

    def _end_reasoning(self) -> Iterator[Delta]:
        """End the open reasoning."""
        if self._is_reasoning:
            self._is_reasoning = False
            yield Delta(state=State(self._context.origin))

    def _blocks(self, message: dict[str, Any]) -> Iterator[Delta]:
        """Yield the parts of blocks; calls of all lines are numbered in their order."""
        parts = [part for block in blocks(message) if (part := self._decode(block, self._context)) is not None]
        for part in self._ids.give(parts):
            if isinstance(part, ToolCallPart):
                text = part.args if isinstance(part.args, str) else msgspec.json.encode(part.args).decode()
                yield Delta(tool_calls=[ToolCallDelta(len(self._ids) - 1, part.id, part.name, text, part.state)])
            else:
                yield Delta(part=part)

    def _end(self) -> End:
        raw, context = self._facts.fields, self._context
        vendor_reason = text_of(raw.get("done_reason"))
        if self._facts.is_truncated:
            context.notice(notices.LOST_PART, "the stream had more fields than raw keeps", "")
        return End(
            finish_reason(vendor_reason, context, has_calls=len(self._ids) > 0),
            usage_of(raw),
            text_of(raw.get("model")) or self._model,
            finish_word=vendor_reason,
            notices=context.notices,
            raw=raw,
        )
