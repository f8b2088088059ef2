"""A streamed Chat Completions reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.json_values import as_object, text_of
from tako.kit.body import decode_any
from tako.kit.completions.audio import SpokenAnswer
from tako.kit.completions.blocks import REASONING, Block, chunks_of, is_plain
from tako.kit.completions.calls import CallIndex, OpenCall
from tako.kit.completions.citations import REFERENCES, annotated_citations, referenced_citations
from tako.kit.completions.decode import (
    SILENT_FINISH_REASONS,
    ended_for_calls,
    id_maker,
    is_spread,
    last_blocks,
    note_refusal,
    reasoning_texts,
)
from tako.kit.completions.dialect import Dialect
from tako.kit.completions.expected_chunks import NO_RESULTS, ExpectedChunk
from tako.kit.completions.open_block import OpenBlock, remaining
from tako.kit.completions.reply_fields import CHUNK, Choice, Content, Reply, read_reply, usage_of
from tako.kit.completions.stream_fields import StreamFields
from tako.kit.failures import facts_of, read_facts
from tako.kit.finish_reasons import finish_reason
from tako.kit.hidden_errors import hidden_error, other_api
from tako.kit.ids import read_id
from tako.kit.repeated_events import RepeatedEvents
from tako.kit.token_counts import merge_counts, note_odd_usage
from tako.state import BLOCK_END
from tako.types import Chunk, Delta, End

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.errors import ProviderError
    from tako.kit.exchange import Exchange
    from tako.kit.failures import Facts, Reporter
    from tako.kit.http import HttpProvider
    from tako.kit.sse import Event
    from tako.parts import Part
    from tako.translator import Translator

NO_FACT_VALUES = (None, None, None)


class CompletionsDecoder:
    """Turns Server-Sent Events of the dialect into chunks.

    A finish reason or ``[DONE]`` ends the stream in order. Usage is the last that came, wherever it stood. What stands
    beside text, reasoning and calls comes last: images and other fields of the message as parts, facts in ``End.raw``.
    """

    def __init__(
        self,
        provider: Reporter | HttpProvider,
        exchange: Exchange,
        translator: Translator,
        dialect: Dialect | None = None,
    ) -> None:
        self.ended = False
        self._provider = provider
        self._exchange = exchange
        self._translator = translator
        self._dialect = dialect or Dialect()
        self._events = RepeatedEvents(provider.max_event_bytes)
        self._open_block = OpenBlock(self._decode)
        self._calls = CallIndex(id_maker(self._dialect))
        self._spoken_answer = SpokenAnswer(exchange.context)
        self._fields = StreamFields()
        self._facts: tuple[Any, ...] = ()
        self._counts: dict[str, Any] | None = None
        self._finish_reason = self._id = self._model = ""
        self._is_spread = is_spread(exchange)
        self._is_empty = True  # no choice has had a message so far
        self._has_ignored_choices = False  # other answers to the same question were
        self._has_deltas = False  # deltas have said something
        self._text_choice: int | None = None  # the choice whose text is taken if the first one has none
        self._details_repeat_text = False  # the details of reasoning repeat the text that another field has
        self._has_citations = False  # only references came after the last text
        self._empty_fields: dict[str, None] = {}
        self._expected = ExpectedChunk()

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        at = 0
        while at < len(data) and not self.ended:
            texts, events, at = self._events.read(data, at)
            yield from self._texts(texts) if texts else self._chunks(events)

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left, the End last."""
        if not self.ended:  # what follows the terminator is nobody's
            try:
                yield from self._chunks(self._events.flush())
            except ResponseError as error:
                raise StreamTruncatedError("the stream ended in the middle of an event") from error
        if not self._finish_reason and not self.ended and (self._dialect.require_finish or not clean):
            raise StreamTruncatedError("the stream ended without a finish reason and without [DONE]")
        if self._is_empty and self._dialect.finish_reasons.get(self._finish_reason) not in SILENT_FINISH_REASONS:
            raise ResponseError(f"the reply has no {'message' if self._finish_reason else 'choices'}")
        fields = self._fields.fields()
        yield from self._last_deltas(fields)
        yield self._end(fields)

    def _decode(self, block: Block) -> Part | None:
        return self._translator.decode(block, self._exchange.context)

    def _chunks(self, events: list[Event]) -> Iterator[Chunk]:
        for event in events:
            data, expected = event.data, self._expected
            if data.startswith(expected.head) and (delta := self._decode_expected(data, expected)) is not None:
                yield delta
                continue
            yield from self._read_any(event)
            if self.ended:
                return

    def _decode_expected(self, data: bytes, expected: ExpectedChunk) -> Delta | None:
        """Read a chunk that goes on with the block that is open; None if it's another one."""
        try:
            chunk = expected.decode(b"{" + data[expected.skip :])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        text = chunk.choices[0].delta.text
        if not text or not (self._id or (chunk.id is None and chunk.model is None)):  # else these come only now
            return None
        if not expected.is_text_only:
            return self._continue_block(text, chunk)
        self._events.expect(data, expected.field, text)
        return self._texts([text])[0]

    def _texts(self, texts: list[str]) -> list[Delta]:
        """Add pieces of text or reasoning to the block that is open."""
        field = self._expected.field
        if field == "content":
            self._open_block.pieces += texts
            return [*map(Delta, texts)]
        self._open_block.pieces += [{field: text} for text in texts]
        return [Delta(reasoning=text) for text in texts]

    def _continue_block(self, text: Any, chunk: Any) -> Delta | None:
        """Add what a usual chunk has to the block that is open; None if it isn't one that goes on."""
        facts = (chunk.service_tier, chunk.system_fingerprint, chunk.provider)
        if facts != NO_FACT_VALUES and any(new not in (None, old) for new, old in zip(facts, self._facts, strict=True)):
            return None
        choice, pieces = chunk.choices[0], self._open_block.pieces
        match self._expected.field:
            case "content":
                pieces.append(text)
                delta = Delta(text)
            case "tool_calls":
                piece = self._calls.add_arguments(text[0].index, text[0].function.arguments)
                if piece is None:
                    return None
                delta = Delta(tool_calls=[piece])
            case "thinking":
                thinking = text[0].thinking[0].text
                if not thinking:
                    return None
                pieces.append({"type": "thinking", "thinking": [{"type": "text", "text": thinking}]})
                delta = Delta(reasoning=thinking)
            case field:
                pieces.append({field: text})
                delta = Delta(reasoning=text)
                self._fields.add_piece("reasoning_details", choice.delta.reasoning_details)
        if chunk.usage:
            self._count(chunk.usage)
            self._fields.add({"usage": chunk.usage})
        if choice.content_filter_results not in NO_RESULTS:
            self._fields.content_filter_json = choice.content_filter_results
        return delta

    def _read_any(self, event: Event) -> list[Delta]:
        """Read an event of any kind, and expect that the next one goes on with it."""
        try:
            reply = CHUNK.decode(event.data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            unusual = self._read_unusual(event)
            if unusual is None:
                return []
            reply = unusual
        deltas = self._read(event, reply)
        field = "tool_calls" if self._calls and not self._open_block.kind else self._open_block.continuation
        self._expected = expected = ExpectedChunk(field, event.data)
        self._events.forget()
        if expected.is_text_only:
            self._events.expect(event.data, field, expected.text)
        return deltas

    def _read(self, event: Event, reply: Reply) -> list[Delta]:
        """Read a chunk of any kind; raises the error that it reports."""
        if reply.failed or event.event == "error":
            raise self._failure(event, facts_of(decode_any(event.data)))
        if reply.choices is None and event.event.startswith("response."):
            raise other_api("responses", self._provider, event.data)
        facts = (reply.service_tier, reply.system_fingerprint, reply.provider)
        if reply.usage or facts != self._facts:
            self._facts = facts
            self._fields.add_event(event)
        if reply.usage or reply.x_groq or (reply.choices and reply.choices[0].usage):
            self._count(reply.counts)
        if not self._id:
            self._id, self._model = read_id(reply.id), text_of(reply.model) or self._model
        out: list[Delta] = []
        if reply.choices:
            if reply.choices[0].index or len(reply.choices) > 1:
                self._read_choices(event, reply.choices, out)
            else:
                self._read_choice(event, reply.choices[0], out)
        return out

    def _read_choice(self, event: Event, choice: Choice, out: list[Delta]) -> None:
        if choice.error:
            raise self._failure(event, facts_of({"error": choice.error}))
        delta = choice.delta_or_message
        if choice.repeats and choice.message is not None:
            delta = remaining(choice.message, self._open_block, self._calls) if self._has_deltas else choice.message
        elif choice.delta is not None and not choice.delta.is_silent:
            self._has_deltas = True
        if delta is not None:
            self._is_empty = False
            self._read_delta(delta, out)
        if isinstance(choice.content_filter_results, msgspec.Raw) and choice.content_filter_results not in NO_RESULTS:
            self._fields.content_filter_json = choice.content_filter_results
        if choice.finish_reason:
            self._finish_reason = choice.finish_reason
            self._fields.add_event(event)

    def _count(self, counts: dict[str, Any] | None) -> None:
        """Keep the counts of tokens that came last; zeros take none away."""
        if counts is not None:
            self._counts = merge_counts(self._counts or {}, counts)

    def _read_choices(self, event: Event, choices: list[Choice], out: list[Delta]) -> None:
        """Read several choices: others than the first are other answers, or have more of the same one."""
        first = next((choice for choice in choices if not choice.index), None)
        if first is not None:
            self._read_choice(event, first, out)
        for choice in choices:
            content = choice.delta_or_message
            if choice is first:
                continue
            if self._is_spread:
                self._read_other_choice(choice, out)
            elif content is not None and (content.content or content.calls):
                self._note_ignored_choices()

    def _read_other_choice(self, choice: Choice, out: list[Delta]) -> None:
        """Add what another choice has of an answer that is spread: its calls, and its text if the first has none."""
        content = choice.delta_or_message
        if content is not None:
            self._is_empty = False
            if content.content and choice.index != self._text_choice:
                if "text" in self._open_block.kinds:
                    self._note_ignored_choices()
                    content = replace(content, content=None)
                else:
                    self._text_choice = choice.index
            self._read_delta(content, out)
        if choice.finish_reason and (not self._finish_reason or ended_for_calls(choice, self._dialect)):
            self._finish_reason = choice.finish_reason

    def _note_ignored_choices(self) -> None:
        """Note once that a text or calls of another choice were passed over."""
        if not self._has_ignored_choices:
            self._has_ignored_choices = True
            text = "the reply has several choices; all but the first were ignored"
            self._exchange.context.notice(notices.LOST_PART, text, "")

    def _read_unusual(self, event: Event) -> Reply | None:
        """Read an event that has more fields than the usual chunk, or isn't one: the end, an error, or a keep-alive.

        Raises what else it is.
        """
        self.ended = event.data.startswith(b"[DONE]")
        if self.ended or not (event.data.strip() or event.event == "error"):
            return None
        try:
            document = decode_any(event.data)
        except ResponseError:
            document = None
            if event.event == "message":
                raise
        if as_object(document) is None and event.event != "message":
            if event.event == "error":
                raise self._failure(event, read_facts(event.data))
            return None
        if document is None:
            return None
        if (facts := hidden_error(document)) is not None:
            raise self._failure(event, facts)
        reply = read_reply(document, event.data)
        self._fields.add_event(event)
        return reply

    def _failure(self, event: Event, facts: Facts) -> ProviderError:
        return self._provider.failure(facts, body=event.data.decode("utf-8", "replace"))

    def _read_delta(self, delta: Content, out: list[Delta]) -> None:
        if not (delta.reasoning_content is delta.reasoning is delta.reasoning_details is None):
            self._read_reasoning(delta, out)
        if isinstance(delta.content, list):
            self._read_chunks(delta.content, out)
        elif delta.content:
            self._open_block.text(delta.content, out)
        if delta.refusal:
            self._open_block.refusal(delta.refusal, out)
        if delta.audio:
            self._read_audio(delta.audio, out)
        if self._spoken_answer.is_open and delta.calls:
            out += self._spoken_answer.end()
        for piece in self._calls.pieces(delta.calls):
            if isinstance(piece, OpenCall):
                self._open_block.call(piece, out)
            else:
                self._open_block.end(out)
                out.append(Delta(tool_calls=[piece]))

    def _read_audio(self, audio: Any, out: list[Delta]) -> None:
        """Add a piece of a spoken answer, whose text is a block of its own."""
        self._open_block.end(out)
        if not self._spoken_answer.is_open and "text" in self._open_block.kinds:
            out.append(Delta(state=BLOCK_END))
        out += self._spoken_answer.add(audio)

    def _read_reasoning(self, delta: Content, out: list[Delta]) -> None:
        """Add a piece of reasoning; of fields that are empty remember that they are there."""
        texts = reasoning_texts(delta)
        if "reasoning_details" in texts and self._details_repeat_text:
            return
        if texts:
            self._details_repeat_text = "reasoning_details" not in texts
            self._open_block.reasoning(texts, out)
        else:
            self._empty_fields.update(dict.fromkeys(name for name in REASONING if getattr(delta, name) == ""))

    def _read_chunks(self, content: list[Any], out: list[Delta]) -> None:
        """Read content that is a list of chunks: pieces of text and of thinking, others whole."""
        for chunk in chunks_of(content):
            if is_plain(chunk):
                self._open_block.text(chunk["text"], out)
            elif chunk.get("type") == "thinking" and isinstance(chunk.get("thinking"), (str, list)):
                self._has_citations = False
                self._open_block.thinking(chunk, out)
            else:
                self._has_citations = chunk.get("type") in REFERENCES and (
                    self._has_citations or self._open_block.kind == "text"
                )
                if self._has_citations:
                    out.append(Delta(citations=tuple(referenced_citations(chunk))))
                self._open_block.end(out)
                part = self._decode(chunk)
                if part is not None:
                    out.append(Delta(part=part))

    def _last_deltas(self, fields: Block) -> list[Delta]:
        """Return what only the end of the stream tells: the states of calls, citations, and other fields."""
        out: list[Delta] = []
        self._open_block.end(out)
        out += self._spoken_answer.end()
        out += self._calls.states(self._decode)
        kinds = self._open_block.kinds
        if "text" in kinds and (citations := annotated_citations(fields.get("annotations"))):
            out.append(Delta(citations=tuple(citations)))
        empty_fields = [] if "reasoning" in kinds or not self._calls else list(self._empty_fields)
        unspoken = self._spoken_answer.unsent()
        rest = last_blocks(fields, has_citations="text" in kinds, empty_fields=empty_fields)
        for block in (*([unspoken] if unspoken else ()), *rest):
            part = self._decode(block)
            if part is not None:
                out.append(Delta(part=part))
        return out

    def _end(self, fields: Block) -> End:
        context = self._exchange.context
        if not self._finish_reason and not self._calls:
            context.notice(notices.FINISH_MISSING, "the stream ended without a finish reason", "")
        if "refusal" in self._open_block.kinds:
            note_refusal(context)
        raw = self._fields.raw(fields)
        if raw and self._counts and "usage" in raw:
            raw["usage"] = self._counts
        return End(
            finish_reason(self._finish_reason, self._dialect.finish_reasons, has_calls=bool(self._calls)),
            note_odd_usage(usage_of(self._counts), context),
            self._model or self._exchange.body.get("model", ""),
            self._id,
            finish_word=self._finish_reason,
            notices=context.notices,
            raw=raw,
        )
