"""A streamed Chat Completions reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.json_values import as_object, text_of
from tako.kit.body import decode_any
from tako.kit.complaints import complaint, other_api
from tako.kit.completions.blocks import REASONING, Block, chunks_of, is_plain
from tako.kit.completions.calls import CallIndex, OpenCall
from tako.kit.completions.citations import REFERENCES, annotated, referenced
from tako.kit.completions.decode import SILENT, is_spread, last_blocks, minting, note_refusal, reasoning_texts
from tako.kit.completions.dialect import Dialect
from tako.kit.completions.gathered import Gathered
from tako.kit.completions.open_block import OpenBlock, unsaid
from tako.kit.completions.replied import Spoken
from tako.kit.completions.shapes import CHUNK, Choice, Content, Reply, read_reply, usage_of
from tako.kit.completions.usual import NO_RESULTS, Expected
from tako.kit.counts import later, note_odd
from tako.kit.failures import facts_of, read_facts
from tako.kit.finish_words import finish_reason
from tako.kit.ids import read_id
from tako.kit.sse import SseDecoder
from tako.parts import ToolCallPart
from tako.state import BLOCK_END
from tako.types import Chunk, Delta, End, FinishReason, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.errors import ProviderError
    from tako.kit.exchange import Exchange
    from tako.kit.failures import Facts, Reporter
    from tako.kit.http import HttpProvider
    from tako.kit.sse import Event
    from tako.parts import Part
    from tako.translator import Translator

NO_FACTS = (None, None, None)


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
        self._sse = SseDecoder(provider.max_event_bytes)
        self._block = OpenBlock(self._decode)
        self._calls = CallIndex(minting(self._dialect))
        self._spoken = Spoken(exchange.context)
        self._gathered = Gathered()
        self._gathered_event: Event | None = None
        self._facts: tuple[Any, ...] = ()
        self._counts: dict[str, Any] | None = None
        self._finish = ""
        self._id = ""
        self._model = ""
        self._spread = is_spread(exchange)
        self._empty = True  # no choice has had a message so far
        self._passed_over = False  # other answers to the same question were
        self._in_pieces = False  # deltas have said something
        self._text_from: int | None = None  # the choice whose text is taken if the first one has none
        self._says_it_again = False  # the details of reasoning repeat the text that another field has
        self._cites = False  # only references came after the last text
        self._silent: dict[str, None] = {}
        self._usual = Expected()

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
        if not self._finish and not self.ended and (self._dialect.require_finish or not clean):
            raise StreamTruncatedError("the stream ended without a finish reason and without [DONE]")
        if self._empty and self._dialect.finish_reasons.get(self._finish) not in SILENT:
            raise ResponseError(f"the reply has no {'message' if self._finish else 'choices'}")
        fields = self._gathered.fields()
        yield from self._rest(fields)
        yield self._end(fields)

    def _decode(self, block: Block) -> Part | None:
        return self._translator.decode(block, self._exchange.context)

    def _chunks(self, events: list[Event]) -> Iterator[Chunk]:
        for event in events:
            data, usual = event.data, self._usual
            if usual.plain and (text := usual.text_of(data)):
                if usual.field == "content":  # most: as `_text` does, without a function's call
                    self._block.pieces.append(text)
                    yield Delta(text)
                else:
                    yield self._text(text)
                continue
            if data.startswith(usual.head) and (delta := self._parsed(data, usual)) is not None:
                yield delta
                continue
            yield from self._any(event)
            if self.ended:
                return

    def _parsed(self, data: bytes, usual: Expected) -> Delta | None:
        """Read a chunk that goes on with the block that is open; None if it's another one."""
        try:
            chunk = usual.read(b"{" + data[usual.skip :])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        text = chunk.choices[0].delta.text
        if not text or not (self._id or (chunk.id is None and chunk.model is None)):  # else these come only now
            return None
        return self._text(text) if usual.plain else self._go_on(text, chunk)

    def _text(self, text: str) -> Delta:
        """Add text or reasoning to the block that is open."""
        field = self._usual.field
        if field == "content":
            self._block.pieces.append(text)
            return Delta(text)
        self._block.pieces.append({field: text})
        return Delta(reasoning=text)

    def _go_on(self, text: Any, chunk: Any) -> Delta | None:
        """Add what a usual chunk has to the block that is open; None if it isn't one that goes on."""
        facts = (chunk.service_tier, chunk.system_fingerprint, chunk.provider)
        if facts != NO_FACTS and any(new not in (None, old) for new, old in zip(facts, self._facts, strict=True)):
            return None
        choice, pieces = chunk.choices[0], self._block.pieces
        match self._usual.field:
            case "content":
                pieces.append(text)
                delta = Delta(text)
            case "tool_calls":
                piece = self._calls.go_on(text[0].index, text[0].function.arguments)
                if piece is None:
                    return None
                delta = Delta(tool_calls=[piece])
            case "thinking":
                thought = text[0].thinking[0].text
                if not thought:
                    return None
                pieces.append({"type": "thinking", "thinking": [{"type": "text", "text": thought}]})
                delta = Delta(reasoning=thought)
            case field:
                pieces.append({field: text})
                delta = Delta(reasoning=text)
                self._gathered.go_on("reasoning_details", choice.delta.reasoning_details)
        if chunk.usage:
            self._count(chunk.usage)
            self._gathered.add({"usage": chunk.usage})
        if choice.content_filter_results not in NO_RESULTS:
            self._gathered.filtered = choice.content_filter_results
        return delta

    def _any(self, event: Event) -> list[Delta]:
        """Read an event of any kind, and expect that the next one goes on with it."""
        try:
            reply = CHUNK.decode(event.data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            odd = self._odd(event)
            if odd is None:
                return []
            reply = odd
        deltas = self._read(event, reply)
        field = "tool_calls" if self._calls and not self._block.kind else self._block.goes_on
        self._usual = Expected(field, event.data)
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
            self._gather(event)
        if reply.usage or reply.x_groq or (reply.choices and reply.choices[0].usage):
            self._count(reply.counts)
        if not self._id:
            self._id, self._model = read_id(reply.id), text_of(reply.model) or self._model
        out: list[Delta] = []
        if reply.choices:
            if reply.choices[0].index or len(reply.choices) > 1:
                self._several(event, reply.choices, out)
            else:
                self._choice(event, reply.choices[0], out)
        return out

    def _choice(self, event: Event, choice: Choice, out: list[Delta]) -> None:
        if choice.error:
            raise self._failure(event, facts_of({"error": choice.error}))
        delta = choice.said
        if choice.repeats and choice.message is not None:
            delta = unsaid(choice.message, self._block, self._calls) if self._in_pieces else choice.message
        elif choice.delta is not None and not choice.delta.is_silent:
            self._in_pieces = True
        if delta is not None:
            self._empty = False
            self._delta(delta, out)
        if isinstance(choice.content_filter_results, msgspec.Raw) and choice.content_filter_results not in NO_RESULTS:
            self._gathered.filtered = choice.content_filter_results
        if choice.finish_reason:
            self._finish = choice.finish_reason
            self._gather(event)

    def _count(self, counts: dict[str, Any] | None) -> None:
        """Keep the counts of tokens that came last; zeros take none away."""
        if counts is not None:
            self._counts = later(self._counts or {}, counts)

    def _gather(self, event: Event) -> None:
        """Keep the fields of an event that are facts, or go back with the message; once."""
        if event is not self._gathered_event:
            self._gathered_event = event
            self._gathered.add(as_object(decode_any(event.data)) or {})

    def _several(self, event: Event, choices: list[Choice], out: list[Delta]) -> None:
        """Read several choices: others than the first are other answers, or have more of the same one."""
        first = next((choice for choice in choices if not choice.index), None)
        if first is not None:
            self._choice(event, first, out)
        for choice in choices:
            if choice is not first and self._spread:
                self._more(choice, out)
            elif choice is not first and choice.said is not None and (choice.said.content or choice.said.calls):
                self._pass_over()

    def _more(self, choice: Choice, out: list[Delta]) -> None:
        """Add what another choice has of an answer that is spread: its calls, and its text if the first has none."""
        said = choice.said
        if said is not None:
            self._empty = False
            if said.content and choice.index != self._text_from:
                if "text" in self._block.kinds:
                    self._pass_over()
                    said = replace(said, content=None)
                else:
                    self._text_from = choice.index
            self._delta(said, out)
        words, word = self._dialect.finish_reasons, choice.finish_reason
        if word and (not self._finish or finish_reason(word, words, has_calls=False) is FinishReason.TOOL_CALLS):
            self._finish = word

    def _pass_over(self) -> None:
        """Note once that a text or calls of another choice were passed over."""
        if not self._passed_over:
            self._passed_over = True
            text = "the reply has several choices; all but the first were ignored"
            self._exchange.context.notice(notices.LOST_PART, text, "")

    def _odd(self, event: Event) -> Reply | None:
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
        if (facts := complaint(document)) is not None:
            raise self._failure(event, facts)
        reply = read_reply(document, event.data)
        self._gather(event)
        return reply

    def _failure(self, event: Event, facts: Facts) -> ProviderError:
        return self._provider.failure(facts, body=event.data.decode("utf-8", "replace"))

    def _delta(self, delta: Content, out: list[Delta]) -> None:
        if not (delta.reasoning_content is delta.reasoning is delta.reasoning_details is None):
            self._thoughts(delta, out)
        if isinstance(delta.content, list):
            self._listed(delta.content, out)
        elif delta.content:
            self._block.text(delta.content, out)
        if delta.refusal:
            self._block.refusal(delta.refusal, out)
        if delta.audio:
            self._speak(delta.audio, out)
        if self._spoken.is_open and delta.calls:
            out += self._spoken.end()
        for piece in self._calls.pieces(delta.calls):
            if isinstance(piece, OpenCall):
                self._block.call(piece, out)
            else:
                self._block.end(out)
                out.append(Delta(tool_calls=[piece]))

    def _speak(self, audio: Any, out: list[Delta]) -> None:
        """Add a piece of a spoken answer, whose text is a block of its own."""
        self._block.end(out)
        if not self._spoken.is_open and "text" in self._block.kinds:
            out.append(Delta(state=BLOCK_END))
        out += self._spoken.add(audio)

    def _thoughts(self, delta: Content, out: list[Delta]) -> None:
        """Add a piece of reasoning; of fields that are empty remember that they are there."""
        texts = reasoning_texts(delta)
        if "reasoning_details" in texts and self._says_it_again:
            return
        if texts:
            self._says_it_again = "reasoning_details" not in texts
            self._block.reasoning(texts, out)
        else:
            self._silent.update(dict.fromkeys(name for name in REASONING if getattr(delta, name) == ""))

    def _listed(self, content: list[Any], out: list[Delta]) -> None:
        """Read content that is a list of chunks: pieces of text and of thinking, others whole."""
        for chunk in chunks_of(content):
            if is_plain(chunk):
                self._block.text(chunk["text"], out)
            elif chunk.get("type") == "thinking" and isinstance(chunk.get("thinking"), (str, list)):
                self._cites = False
                self._block.thinking(chunk, out)
            else:
                self._cites = chunk.get("type") in REFERENCES and (self._cites or self._block.kind == "text")
                if self._cites:
                    out.append(Delta(citations=tuple(referenced(chunk))))
                self._block.end(out)
                part = self._decode(chunk)
                if part is not None:
                    out.append(Delta(part=part))

    def _rest(self, fields: Block) -> list[Delta]:
        """Return what only the end of the stream tells: the states of calls, citations, and other fields."""
        out: list[Delta] = []
        self._block.end(out)
        out += self._spoken.end()
        for call in self._calls.calls:
            part = self._decode(call.block()) if call.kind else None
            if isinstance(part, ToolCallPart) and part.state is not None:
                out.append(Delta(tool_calls=[ToolCallDelta(call.position, state=part.state)]))
        kinds = self._block.kinds
        if "text" in kinds and (cited := annotated(fields.get("annotations"))):
            out.append(Delta(citations=tuple(cited)))
        silent = [] if "reasoning" in kinds or not self._calls else list(self._silent)
        unspoken = self._spoken.rest()
        for block in (*([unspoken] if unspoken else ()), *last_blocks(fields, cites="text" in kinds, silent=silent)):
            part = self._decode(block)
            if part is not None:
                out.append(Delta(part=part))
        return out

    def _end(self, fields: Block) -> End:
        context = self._exchange.context
        if not self._finish and not self._calls:
            context.notice(notices.FINISH_MISSING, "the stream ended without a finish reason", "")
        if "refusal" in self._block.kinds:
            note_refusal(context)
        raw = self._gathered.raw(fields)
        if raw and self._counts and "usage" in raw:
            raw["usage"] = self._counts
        return End(
            finish_reason(self._finish, self._dialect.finish_reasons, has_calls=bool(self._calls)),
            note_odd(usage_of(self._counts), context),
            self._model or self._exchange.body.get("model", ""),
            self._id,
            finish_word=self._finish,
            notices=context.notices,
            raw=raw,
        )
