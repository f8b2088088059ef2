"""Replies of ``/api/chat``: one JSON object, or one a line (https://docs.ollama.com/api/streaming)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako import notices
from tako.errors import ResponseError, StreamTruncatedError
from tako.fold import arguments
from tako.kit.body import decode_any, decode_json, excerpt
from tako.kit.completions.decode import mint_id
from tako.kit.failures import facts_of
from tako.kit.ndjson import NdJsonDecoder
from tako.loose import as_object, count_of, text_of
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart
from tako.types import ChatResponse, Chunk, Delta, End, FinishReason, Message, Notice, Role, ToolCallDelta, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.errors import ProviderError
    from tako.kit.exchange import Exchange
    from tako.kit.http import HttpProvider
    from tako.translator import Translator

FINISH_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
"""The words for how an answer ended; ``load`` and ``unload`` answer requests that asked nothing."""


class Function(Struct):
    """A call's function; the arguments are an object, always whole."""

    name: str | None = None
    arguments: Any = None


class Call(Struct):
    """A call. Older servers send no id; ``function.index`` says nothing that the order does not."""

    id: str | None = None
    function: Function | None = None


class Said(Struct):
    """A message, or what a line adds to it."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None


class Line(Struct):
    """A whole reply, or one line of a stream; the last one is ``done`` and has the counts."""

    message: Said | None = None
    done: bool | None = None
    done_reason: str | None = None
    model: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None

    @property
    def usage(self) -> Usage:
        """The counts; a prompt that was in the server's cache may have none."""
        return Usage(count_of(self.prompt_eval_count), count_of(self.eval_count))


LINE = msgspec.json.Decoder(Line)


def decode_reply(body: bytes, exchange: Exchange, provider: HttpProvider, translator: Translator) -> ChatResponse:
    """Read a whole reply; raises the error that it reports, and ResponseError where it is none."""
    line = decode_json(body, LINE)
    if line.error:
        raise reported(body, provider)
    if line.message is None and not line.done:
        raise ResponseError(f"the reply has no message: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    parts = [part for block in blocks(line.message or Said()) if (part := translator.decode(block)) is not None]
    reason, odd = finish_reason(line.done_reason, provider.name, calls=any(isinstance(p, ToolCallPart) for p in parts))
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=reason,
        usage=line.usage,
        model=text_of(line.model) or exchange.body.get("model", ""),
        notices=[*exchange.notices, *odd],
        raw=decode_any(body),
    )


def blocks(said: Said) -> Iterator[dict[str, Any]]:
    """List a message's blocks: ``{"thinking"}``, ``{"content"}``, and each call as the wire has it, with an id."""
    if said.thinking:
        yield {"thinking": said.thinking}
    if said.content:
        yield {"content": said.content}
    used: set[str] = set()
    for call in said.tool_calls or ():
        if call.function is not None:
            function = {"name": call.function.name or "", "arguments": call.function.arguments}
            yield {"id": unique(call.id, used), "function": function}


def decode_block(block: Any, provider: str) -> Part | None:
    """Return the part that a block stands for."""
    match block:
        case {"thinking": str(text)}:
            return ReasoningPart(text, provider=provider)
        case {"content": str(text)}:
            return TextPart(text)
        case {"id": str(id), "function": {"name": str(name), "arguments": args}}:
            return ToolCallPart(id, name, arguments(args) if isinstance(args, str) else {} if args is None else args)
        case _:
            return None


def unique(id: str | None, used: set[str]) -> str:
    """Return a call's own id if it has one that no other call has, or a new one."""
    chosen = id if id and id not in used else mint_id()
    used.add(chosen)
    return chosen


def finish_reason(word: str | None, provider: str, *, calls: bool) -> tuple[FinishReason, list[Notice]]:
    """Read why a reply ended. Calls end with "stop"; the cloud and old servers give no word where all went well."""
    reason = FINISH_REASONS.get(word, FinishReason.OTHER) if word else FinishReason.STOP
    if calls and reason is FinishReason.STOP:
        return FinishReason.TOOL_CALLS, []
    odd = [] if word else [Notice(notices.FINISH_MISSING, "the server did not say why the reply ended", "", provider)]
    return reason, odd


def reported(data: bytes, provider: HttpProvider) -> ProviderError:
    """Make the error that ``{"error": "text"}`` stands for within status 200: what a 500 does, unless it says more."""
    value = as_object(decode_any(data)) or {}
    facts = facts_of(value)
    said = [value.get(name) for name in ("status", "status_code", "StatusCode")]
    failed = range(400, 600)  # RFC 9110
    status = next((code for code in said if isinstance(code, int) and code in failed), facts.status)
    if status is None and not facts.codes:
        status = 500
    return provider.failure(facts, status=status, body=data.decode("utf-8", "replace"))


class ChatDecoder:
    """Turns the lines of a streamed reply into chunks; a line with ``done`` ends it."""

    def __init__(self, provider: HttpProvider, exchange: Exchange) -> None:
        self.ended = False
        self._provider = provider
        self._exchange = exchange
        self._lines = NdJsonDecoder(provider.max_event_bytes)
        self._ids: set[str] = set()
        self._last = Line()

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._chunks(self._lines.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left, the End last."""
        if not self.ended:
            try:
                yield from self._chunks(self._lines.flush())
            except ResponseError as error:
                raise StreamTruncatedError("the stream ended in the middle of a line") from error
        if not self.ended:
            raise StreamTruncatedError("the stream ended without a line that is done")
        yield self._end()

    def _chunks(self, lines: Iterable[bytes]) -> Iterator[Chunk]:
        for data in lines:
            try:
                line = LINE.decode(data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                line = decode_json(data, LINE)  # says what is wrong, as a tako error
            if line.error:
                raise reported(data, self._provider)
            said = line.message
            if said is not None:
                if said.thinking:
                    yield Delta(reasoning=said.thinking)
                if said.content:
                    yield Delta(said.content)
                if said.tool_calls:
                    yield Delta(tool_calls=list(self._calls(said.tool_calls)))
            if line.done:
                self.ended = True
                self._last = line
                return

    def _calls(self, calls: list[Call]) -> Iterator[ToolCallDelta]:
        """Number whole calls in the order in which they come, over all lines."""
        for call in calls:
            if call.function is not None:
                index = len(self._ids)
                args = call.function.arguments
                text = args if isinstance(args, str) else msgspec.json.encode({} if args is None else args).decode()
                yield ToolCallDelta(index, unique(call.id, self._ids), call.function.name or "", text)

    def _end(self) -> End:
        line = self._last
        reason, odd = finish_reason(line.done_reason, self._provider.name, calls=bool(self._ids))
        model = text_of(line.model) or self._exchange.body.get("model", "")
        return End(reason, line.usage, model, "", [*self._exchange.notices, *odd])
