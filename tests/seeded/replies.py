"""Faults in what is made of a reply."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.errors import StreamTruncatedError
from tako.fold import fold
from tako.kit.completions import CompletionsDecoder, translator_for
from tako.parts import ReasoningPart, TextPart, ToolCallPart, VendorPart
from tako.state import Origin, State
from tako.types import ChatResponse, Delta, End, FinishReason, Usage

from .acme import Acme, Plugin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tako import ChatRequest, Stream
    from tako.kit.exchange import Exchange
    from tako.types import Chunk


class SwallowedTruncation(Plugin):
    caught_by, message = "truncated_events", "it passed for a success"

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        class Lenient(CompletionsDecoder):
            def finish(self, *, clean: bool) -> Iterator[Chunk]:
                try:
                    yield from super().finish(clean=clean)
                except StreamTruncatedError:
                    yield End()

        return Lenient(provider, exchange, translator_for())


class MergedParallelCalls(Plugin):
    caught_by, message = "parallel_calls", "arguments of parallel calls"

    def chunk(self, chunk: Chunk) -> Chunk:
        if isinstance(chunk, Delta) and chunk.tool_calls:
            return replace(chunk, tool_calls=[replace(piece, index=0) for piece in chunk.tool_calls])
        return chunk


class LostUsage(Plugin):
    caught_by, message = "usage", "stream: the usage"

    def chunk(self, chunk: Chunk) -> Chunk:
        return replace(chunk, usage=Usage()) if isinstance(chunk, End) else chunk


class CachedNotCounted(Plugin):
    caught_by, message = "usage", "cached_tokens=0"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return replace(response, usage=replace(response.usage, cached_tokens=0))


class CutCallHandedOver(Plugin):
    caught_by, message = "cut_call", "a cut call was handed over"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            seen: list[Chunk] = []
            try:
                async for chunk in inner(request):
                    seen.append(chunk)
                    yield chunk
            except StreamTruncatedError as error:
                error.partial = fold([*seen, End()], provider.id, provider.model)
                raise

        return stream


class ArgumentsRepaired(Plugin):
    caught_by, message = "arguments_invalid", "arguments that are no JSON"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        parts = response.message.parts
        repaired = [
            replace(part, args={}) if isinstance(part, ToolCallPart) and isinstance(part.args, str) else part
            for part in parts
        ]
        return replace(response, message=replace(response.message, content=repaired))


class NumbersAsFloats(Plugin):
    caught_by, message = "tool_call", "the call"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        def rounded(args: Any) -> Any:
            return {name: float(value) if type(value) is int else value for name, value in args.items()}

        parts = [
            replace(part, args=rounded(part.args)) if isinstance(part, ToolCallPart) else part
            for part in response.message.parts
        ]
        return replace(response, message=replace(response.message, content=parts))


class WhiteSpaceStripped(Plugin):
    caught_by, message = "chat", "the text, with its white space"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        parts = [
            replace(part, text=part.text.strip()) if isinstance(part, TextPart) else part
            for part in response.message.parts
        ]
        return replace(response, message=replace(response.message, content=parts))


class IdsNotUnique(Plugin):
    caught_by, message = "call_ids", "ids of calls aren't unique"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        raw = iter(response.raw["choices"][0]["message"].get("tool_calls", ()))
        parts = [
            replace(part, id=next(raw).get("id", "")) if isinstance(part, ToolCallPart) else part
            for part in response.message.parts
        ]
        return replace(response, message=replace(response.message, content=parts))


class UnicodeBrokenAtSplits(Plugin):
    caught_by, message = "splits", "came byte by byte"

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        class Hasty(CompletionsDecoder):
            def feed(self, data: bytes) -> Iterator[Chunk]:
                return super().feed(data.decode("utf-8", "replace").encode())

        return Hasty(provider, exchange, translator_for())


class LinesSplitLikeText(Plugin):
    caught_by, message = "unicode", "the reply isn't JSON"

    def decoder(self, provider: Acme, exchange: Exchange) -> Any:
        class Splitting(CompletionsDecoder):
            def feed(self, data: bytes) -> Iterator[Chunk]:
                return super().feed(
                    "\n".join(data.decode("utf-8", "replace").splitlines()).encode() + b"\n" * data.endswith(b"\n")
                )

        return Splitting(provider, exchange, translator_for())


class FinishAlwaysStop(Plugin):
    caught_by, message = "finish_reasons", "the finish reason"
    also = ("tool_call",)

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return replace(response, finish_reason=FinishReason.STOP)


class ChatAndStreamDiffer(Plugin):
    caught_by, message = "folded_stream_is_chat", "id of the folded stream"

    def chunk(self, chunk: Chunk) -> Chunk:
        return replace(chunk, id="") if isinstance(chunk, End) else chunk


class StateLostInStreams(Plugin):
    caught_by, message = "opaque_state", "stream: how often the state went back"

    def chunk(self, chunk: Chunk) -> Chunk | None:
        return None if isinstance(chunk, Delta) and isinstance(chunk.part, VendorPart) else chunk


class FinishWordLostInStreams(Plugin):
    caught_by, message = "folded_stream_is_chat", "finish_word of the folded stream"

    def chunk(self, chunk: Chunk) -> Chunk:
        return replace(chunk, finish_word="") if isinstance(chunk, End) else chunk


class StateOfSomebodyElse(Plugin):
    caught_by, message = "origin", "has the origin"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        parts = [
            replace(part, state=State(Origin("other"), part.state.data)) if part.state is not None else part
            for part in response.message.parts
        ]
        return replace(response, message=replace(response.message, content=parts))


class TextLostAtTheEnd(Plugin):
    caught_by, message = "stream", "the text of the pieces"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            held: Chunk | None = None
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    if held is not None and not (isinstance(chunk, End) and isinstance(held, Delta) and held.text):
                        yield held
                    held = chunk
            if held is not None:
                yield held

        return stream


class ReasoningMixedIntoText(Plugin):
    caught_by, message = "reasoning", "the text beside reasoning"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        parts = [TextPart(part.text) if isinstance(part, ReasoningPart) else part for part in response.message.parts]
        return replace(response, message=replace(response.message, content=parts))


class NothingPickles(Plugin):
    caught_by, message = "values_pickle", "local object"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return replace(response, raw=lambda: response.raw)


class EmptyDeltas(Plugin):
    caught_by, message = "chunks_in_order", "is empty of everything"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
                    if isinstance(chunk, Delta):
                        yield Delta("")

        return stream


class ReasoningLost(Plugin):
    caught_by, message = "reasoning", "the reasoning"

    def chunk(self, chunk: Chunk) -> Chunk | None:
        return None if isinstance(chunk, Delta) and chunk.reasoning else chunk


class ModelOfTheReplyLost(Plugin):
    caught_by, message = "model", "the model of the reply"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return replace(response, model="")
