"""A streamed Chat Completions reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.fold import closing
from tako.kit.body import decode_any
from tako.kit.completions.blocks import REASONING, Block, chunks_of, is_plain
from tako.kit.completions.calls import CallIndex, Open
from tako.kit.completions.citations import REFERENCES, annotated, referenced
from tako.kit.completions.decode import last_blocks, minting, note_refusal, reasoning_texts
from tako.kit.completions.dialect import Dialect, finish_reason
from tako.kit.completions.gathered import Gathered
from tako.kit.completions.shapes import CHUNK, NO_RESULTS, Choice, Content, Reply, read_reply, usage_of
from tako.kit.failures import facts_of, read_facts
from tako.kit.gather import joined
from tako.kit.sse import SseDecoder
from tako.loose import as_object, text_of
from tako.parts import ReasoningPart, TextPart, ToolCallPart
from tako.types import Chunk, Delta, End, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.errors import ProviderError
    from tako.kit.exchange import Exchange
    from tako.kit.failures import Reporter
    from tako.kit.http import HttpProvider
    from tako.kit.sse import Event
    from tako.translator import Translator

NOTHING = Choice()


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
        self._calls = CallIndex(minting(self._dialect))
        self._gathered = Gathered()
        self._gathered_event: Event | None = None
        self._head: tuple[Any, ...] = ()
        self._counts: dict[str, Any] | None = None
        self._finish = ""
        self._id = ""
        self._model = ""
        self._kind = ""  # of the block that is open
        self._pieces: list[Any] = []  # what it consists of
        self._signature: Any = None  # its signature
        self._kinds: set[str] = set()  # of all blocks so far
        self._says_it_again = False  # the details of reasoning repeat the text that another field has
        self._silent: dict[str, None] = {}

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
        yield from self._close()
        fields = self._gathered.fields()
        yield from self._rest(fields)
        yield self._end(fields)

    def _chunks(self, events: list[Event]) -> Iterator[Chunk]:  # noqa: C901 - a call a chunk would cost too much
        decode = CHUNK.decode
        for event in events:
            try:
                reply = decode(event.data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                unusual = self._odd(event)
                if self.ended:
                    return
                if unusual is None:
                    continue
                reply = unusual
            head = (reply.id, reply.model, reply.created, reply.service_tier, reply.system_fingerprint, reply.provider)
            if (
                head != self._head
                or reply.usage
                or reply.x_groq
                or reply.error
                or reply.object == "error"
                or event.event == "error"
            ):
                self._head = head
                self._look(event, reply)
            if not reply.choices:
                continue
            choice = reply.choices[0]
            if choice.index or choice.error:
                choice = self._first(event, reply.choices)
            delta = choice.delta or choice.message
            if delta is not None:
                content = delta.content
                # the usual delta has text and nothing else; one look at each field is cheaper than a generator
                if (
                    isinstance(content, str)
                    and content
                    and self._kind == "text"
                    and delta.tool_calls is None
                    and delta.reasoning_content is None
                    and delta.reasoning is None
                    and delta.reasoning_details is None
                    and delta.refusal is None
                    and delta.function_call is None
                ):
                    self._pieces.append(content)
                    yield Delta(content)
                else:
                    yield from self._deltas(event, delta)
            if isinstance(found := choice.content_filter_results, msgspec.Raw) and found not in NO_RESULTS:
                self._gathered.filtered = found
            if choice.has_facts:
                self._gather(event)
                self._finish = choice.finish_reason or self._finish
                self._count(reply)

    def _look(self, event: Event, reply: Reply) -> None:
        """Raise the error that an event reports; keep its usage and its facts."""
        if reply.failed or event.event == "error":
            raise self._failure(event, decode_any(event.data))
        self._count(reply)
        if not self._id:
            self._id, self._model = text_of(reply.id), text_of(reply.model) or self._model
        self._gather(event)

    def _count(self, reply: Reply) -> None:
        """Keep the counts of tokens that came last; zeros take none away."""
        counts = reply.counts
        if counts is not None and (self._counts is None or usage_of(counts).total):
            self._counts = counts

    def _gather(self, event: Event) -> None:
        """Keep the fields of an event that are facts, or go back with the message; once."""
        if event is not self._gathered_event:
            self._gathered_event = event
            self._gathered.add(as_object(decode_any(event.data)) or {})

    def _first(self, event: Event, choices: list[Choice]) -> Choice:
        """Find the first answer: other indexes are other answers to the same question. Raises what went wrong in it."""
        choice = next((found for found in choices if not found.index), NOTHING)
        if choice.error:
            raise self._failure(event, {"error": choice.error})
        others = [found.delta or found.message for found in choices if found.index]
        if "other" not in self._kinds and any(other and (other.content or other.calls) for other in others):
            self._kinds.add("other")
            text = "the reply has several choices; all but the first were passed over"
            self._exchange.context.notice(notices.LOST_PART, text, "")
        return choice

    def _odd(self, event: Event) -> Reply | None:
        """Read an event that has more fields than the usual chunk, or isn't one: the end, an error, or a keep-alive.

        Raises what else it is.
        """
        self.ended = event.data.startswith(b"[DONE]")
        if self.ended or not event.data.strip():
            return None
        try:
            document = decode_any(event.data)
        except ResponseError:
            document = None
            if event.event == "message":
                raise
        if as_object(document) is None and event.event != "message":
            if event.event == "error":
                raise self._provider.failure(read_facts(event.data), body=event.data.decode("utf-8", "replace"))
            return None
        reply = read_reply(document, event.data)
        self._gather(event)
        return reply

    def _failure(self, event: Event, value: Any) -> ProviderError:
        return self._provider.failure(facts_of(value), body=event.data.decode("utf-8", "replace"))

    def _deltas(self, event: Event, delta: Content) -> Iterator[Delta]:
        if delta.reasoning_details is not None:
            self._gather(event)
        if not (delta.reasoning_content is delta.reasoning is delta.reasoning_details is None):
            yield from self._thoughts(delta)
        if isinstance(delta.content, list):
            yield from self._listed(delta.content)
        elif delta.content:
            yield from self._text(delta.content)
        if delta.refusal:
            yield from self._open("refusal")
            self._pieces.append(delta.refusal)
            yield Delta(delta.refusal, refusal=True)
        for piece in self._calls.pieces(delta.calls):
            if not isinstance(piece, Open):
                if self._kind:
                    yield from self._close()
                yield Delta(tool_calls=[piece])
            elif self._pieces[-1:] != [piece]:
                yield from self._close()
                self._kind, self._pieces = "call", [piece]

    def _thoughts(self, delta: Content) -> Iterator[Delta]:
        """Yield a piece of reasoning; of fields that are empty remember that they are there."""
        texts = reasoning_texts(delta)
        if "reasoning_details" in texts and self._says_it_again:
            return
        if texts:
            self._says_it_again = "reasoning_details" not in texts
            yield from self._open("reasoning")
            self._pieces.append(texts)
            yield Delta(reasoning=next(iter(texts.values())))
        else:
            self._silent.update(dict.fromkeys(name for name in REASONING if getattr(delta, name) == ""))

    def _listed(self, content: list[Any]) -> Iterator[Delta]:
        """Yield the deltas of content that is a list of chunks: pieces of text and of thinking, others whole."""
        for chunk in chunks_of(content):
            if is_plain(chunk):
                yield from self._text(chunk["text"])
            elif chunk.get("type") == "thinking" and isinstance(chunk.get("thinking"), (str, list)):
                yield from self._thinking(chunk)
            else:
                if chunk.get("type") in REFERENCES and self._kind == "text":
                    yield Delta(citations=tuple(referenced(chunk)))
                yield from self._close()
                part = self._translator.decode(chunk, self._exchange.context)
                if part is not None:
                    yield Delta(part=part)

    def _text(self, text: str) -> Iterator[Delta]:
        yield from self._open("text")
        self._pieces.append(text)
        yield Delta(text)

    def _thinking(self, chunk: Block) -> Iterator[Delta]:
        """Yield a piece of a thinking chunk. An empty piece ends it, and so does another signature."""
        signature = chunk.get("signature") or self._signature
        if self._kind == "thinking" and (
            signature != (self._signature or signature) or not self._pieces[-1]["thinking"]
        ):
            yield from self._close()
        yield from self._open("thinking")
        self._signature = chunk.get("signature") or self._signature
        self._pieces.append(chunk)
        inner = chunk["thinking"]
        text = inner if isinstance(inner, str) else "".join([text_of(one.get("text")) for one in chunks_of(inner)])
        if text:
            yield Delta(reasoning=text)

    def _open(self, kind: str) -> Iterator[Delta]:
        """Begin a block of that kind, unless one is open."""
        if self._kind != kind:
            yield from self._close()
            self._kind = kind
            self._kinds.add(kind)

    def _close(self) -> Iterator[Delta]:
        """End the block that is open with what is still to say of it."""
        kind, pieces = self._kind, self._pieces
        if not kind:
            return
        self._kind, self._pieces, self._signature = "", [], None
        part = self._translator.decode(_whole(kind, pieces), self._exchange.context)
        if part is None or (isinstance(part, TextPart) and not (part.citations or part.state)):
            return
        silent = isinstance(part, ReasoningPart) and not part.text
        yield Delta(part=part) if silent else closing(part)

    def _rest(self, fields: Block) -> Iterator[Delta]:
        """Yield what only the end of the stream tells: the states of calls, citations, and other fields."""
        decode, context = self._translator.decode, self._exchange.context
        for call in self._calls.calls:
            part = decode(call.block(), context) if call.kind else None
            if isinstance(part, ToolCallPart) and part.state is not None:
                yield Delta(tool_calls=[ToolCallDelta(call.position, state=part.state)])
        cites = "text" in self._kinds
        if cites and (cited := annotated(fields.get("annotations"))):
            yield Delta(citations=tuple(cited))
        thinks = "reasoning" in self._kinds or not self._calls
        for block in last_blocks(fields, cites=cites, silent=() if thinks else tuple(self._silent)):
            part = decode(block, context)
            if part is not None:
                yield Delta(part=part)

    def _end(self, fields: Block) -> End:
        context = self._exchange.context
        if not self._finish and not self._calls:
            context.notice(notices.FINISH_MISSING, "the stream ended without a finish reason", "")
        if "refusal" in self._kinds:
            note_refusal(context)
        return End(
            finish_reason(self._finish, self._dialect.finish_reasons, has_calls=bool(self._calls)),
            usage_of(self._counts),
            self._model or self._exchange.body.get("model", ""),
            self._id,
            finish_word=self._finish,
            notices=context.notices,
            raw=self._gathered.raw(fields),
        )


def _whole(kind: str, pieces: list[Any]) -> Block:
    """Put the pieces of a block together, as a whole reply has it."""
    match kind:
        case "call":
            return pieces[0].block()  # type: ignore[no-any-return]  # it is an Open
        case "reasoning":
            return joined(pieces)  # type: ignore[no-any-return]  # it is a dict
        case "thinking":
            fields = {name: value for piece in pieces for name, value in piece.items() if value is not None}
            return {**fields, "thinking": joined([piece["thinking"] for piece in pieces])}
        case "refusal":
            return {"refusal": "".join(pieces)}
        case _:
            return {"type": "text", "text": "".join(pieces)}
