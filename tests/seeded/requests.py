"""Faults in what goes out."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.kit.exchange import Exchange
from tako.parts import FilePart, ImagePart, ImageUrlPart, ReasoningPart, TextPart, ToolResultPart, VendorPart
from tako.translator import PartContext
from tako.types import ChatResponse, End, Message, Role, Tool

from .acme import Acme, Plugin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Chat, ChatRequest, Stream
    from tako.types import Chunk

FILLED = [Message.user(".")]
"""What a plugin might send in place of nothing."""


class NoticesLost(Plugin):
    caught_by, message = "notices", "left out without a notice"

    def exchange(self, exchange: Exchange) -> Exchange:
        return Exchange(exchange.url, exchange.body, PartContext(exchange.context.origin, exchange.context.request))


class NoticesLostInStreams(Plugin):
    caught_by, message = "notices", "stream: an image that no vendor takes was left out without a notice"

    def chunk(self, chunk: Chunk) -> Chunk:
        return replace(chunk, notices=[]) if isinstance(chunk, End) else chunk


class NothingSent(Plugin):
    caught_by, message = "nothing_to_send", "an empty text and nothing else: it passed for a success"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return request if any(one.text for one in request.messages) else replace(request, messages=FILLED)


class StrictIgnored(Plugin):
    caught_by, message = "strict", "it passed for a success"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        return lambda request: inner(replace(request, strict=False))


class ImageDropped(Plugin):
    caught_by, message = "image_urls", "an image by URL was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        kept = [
            replace(one, content=[part for part in one.parts if not isinstance(part, ImageUrlPart)])
            for one in request.messages
        ]
        return replace(request, messages=kept)


class SystemDropped(Plugin):
    caught_by, message = "conversation", "the turns on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, messages=[one for one in request.messages if one.role is not Role.SYSTEM])


class ParameterDropped(Plugin):
    caught_by, message = "parameters", "stop was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, stop=[])


class ZeroTakenForNone(Plugin):
    caught_by, message = "parameters", "temperature on the wire: found None, wanted 0.0"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, temperature=request.temperature or None)


class OneStopOfSeveral(Plugin):
    caught_by, message = "parameters", "stop on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, stop=request.stop[:1])


class TemperatureOfItsOwn(Plugin):
    caught_by, message = "nothing_added", "parameters that nobody set"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, temperature=0.7) if request.temperature is None else request


class NamesOfToolsInSmallLetters(Plugin):
    caught_by, message = "tools_are_offered", "the tools on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, tools=[replace(tool, name=tool.name.lower()) for tool in request.tools])


class OneResultOfAMessage(Plugin):
    caught_by, message = "results", "results of one message"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        turns = [replace(one, content=one.parts[:1]) if one.role is Role.TOOL else one for one in request.messages]
        return replace(request, messages=turns)


class ToolsDropped(Plugin):
    caught_by, message = "tools_are_offered", "the tools on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, tools=request.tools[:1])


class ExtraDropped(Plugin):
    caught_by, message = "extra", "extra on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, extra={})


class ModelIgnored(Plugin):
    caught_by, message = "model", "request.model didn't go out"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, model=None)


class HeadersIgnored(Plugin):
    caught_by, message = "headers", "a header of the user's"

    class Own(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **{**options, "headers": {}})

    provider = Own


class DescriptionsDropped(Plugin):
    caught_by, message = "tools_are_offered", "a tool's description didn't go out"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(
            request, tools=[replace(tool, description="") for tool in request.tools if isinstance(tool, Tool)]
        )


class ChoiceWidened(Plugin):
    caught_by, message = "tool_choice", "was sent as 'required' without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        named = request.tool_choice not in (None, "auto", "none", "required")
        return replace(request, tool_choice="required") if named else request


class ChoiceOfNoneDropped(Plugin):
    caught_by, message = "tool_choice", "tool_choice='none' was lost"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, tool_choice=None) if request.tool_choice == "none" else request


class OneCallAtATimeDropped(Plugin):
    caught_by, message = "parallel_tool_calls", "parallel_tool_calls=False was lost"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, parallel_tool_calls=None)


class SecondSystemMessageDropped(Plugin):
    caught_by, message = "conversation", "one of two system messages"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        first = next((one for one in request.messages if one.role is Role.SYSTEM), None)
        turns = [one for one in request.messages if one.role is not Role.SYSTEM or one is first]
        return replace(request, messages=turns)


class EffortDropped(Plugin):
    caught_by, message = "reasoning_effort", "reasoning was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, reasoning=None)


class ExtraOnlyAdds(Plugin):
    caught_by, message = "extra", "where extra replaced a value"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        ours = ("max_tokens", "max_completion_tokens", "temperature")
        return replace(request, extra={name: value for name, value in request.extra.items() if name not in ours})


class EveryImageIsPng(Plugin):
    caught_by, message = "inline_images", "notices on the type of an image/jpeg, which was right"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return _each(request, lambda part: replace(part, mime="image/png") if isinstance(part, ImagePart) else part)


class TextsOnLinesOfTheirOwn(Plugin):
    caught_by, message = "inline_images", "texts of one message are joined without a separator"
    also = ("conversation",)

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return _each(request, lambda part: TextPart(f"{part.text}\n") if isinstance(part, TextPart) else part)


class FilesDropped(Plugin):
    caught_by, message = "inline_files", "was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        turns = [replace(one, content=[part for part in one.parts if not _is_file(part)]) for one in request.messages]
        return replace(request, messages=turns)


class FilesInResultsDropped(Plugin):
    caught_by, message = "files_in_results", "was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        def without(part: Any) -> Any:
            listed = isinstance(part, ToolResultPart) and isinstance(part.result, list)
            return replace(part, result=[one for one in part.result if not _is_file(one)]) if listed else part

        return _each(request, without)


class SchemaChanged(Plugin):
    caught_by, message = "request_unchanged", "the caller's request after it was answered"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        for tool in request.tools:
            if isinstance(tool, Tool):
                tool.input_schema.setdefault("additionalProperties", False)
        return request


class ResultsAsPythonShowsThem(Plugin):
    caught_by, message = "results", "was sent as"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        def shown(part: Any) -> Any:
            plain = isinstance(part, ToolResultPart) and not isinstance(part.result, str)
            return replace(part, result=str(part.result)) if plain else part

        return _each(request, shown)


class ResultsOutOfOrder(Plugin):
    caught_by, message = "results", "was sent as 'second'"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        parts = [part for one in request.messages for part in one.parts if isinstance(part, ToolResultPart)]
        others = {part.id: other.result for part, other in zip(parts, parts[::-1], strict=True)}
        return _each(
            request, lambda part: replace(part, result=others[part.id]) if isinstance(part, ToolResultPart) else part
        )


class MetadataDropped(Plugin):
    caught_by, message = "parameters", "metadata"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, metadata={})


class ExtraChanged(Plugin):
    caught_by, message = "request_unchanged", "the caller's request after it was answered"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        request.extra.setdefault("user", "me")
        return request


class MessagesChanged(Plugin):
    caught_by, message = "request_unchanged", "the caller's request after it was answered"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        request.messages[:] = [one for one in request.messages if one.role is not Role.SYSTEM]
        return request

    also = ("conversation",)


class ErrorFlagDropped(Plugin):
    caught_by, message = "error_results", "is_error was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return _each(request, lambda part: replace(part, is_error=False) if isinstance(part, ToolResultPart) else part)


class FirstRoundForgotten(Plugin):
    caught_by, message = "two_rounds", "calls and results on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        messages = request.messages
        return replace(request, messages=[*messages[:1], *messages[3:]] if len(messages) > 4 else messages)


class CancellationSwallowed(Plugin):
    caught_by, message = "cancelled", "passed for a success"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except asyncio.CancelledError:
                return ChatResponse(Message.assistant(""))

        return chat


class CancellationSwallowedInStreams(Plugin):
    caught_by, message = "cancelled", "stream: what was cancelled passed for a success"

    def stream(self, inner: Stream, provider: Acme) -> Stream:
        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            try:
                async with aclosing(inner(request)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except asyncio.CancelledError:
                yield End()

        return stream


class SomebodyElseAnswered(Plugin):
    caught_by, message = "origin", "who answered"

    def response(self, response: ChatResponse, request: ChatRequest) -> ChatResponse:
        return replace(response, provider="other:model")


class StateDropped(Plugin):
    caught_by, message = "opaque_state", "chat: how often the state went back"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return _each(request, lambda part: replace(part, state=None) if isinstance(part, VendorPart) else part)


class ForeignReasoningSent(Plugin):
    caught_by, message = "foreign_state", "lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return _each(request, lambda part: TextPart(part.text) if isinstance(part, ReasoningPart) else part)


class CallsReversedOnTheWayBack(Plugin):
    caught_by, message = "turn_goes_back", "calls that went back"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        turns = [
            replace(one, content=one.parts[::-1]) if one.role is Role.ASSISTANT else one for one in request.messages
        ]
        return replace(request, messages=turns)


def _is_file(part: Any) -> bool:
    return isinstance(part, FilePart)


def _each(request: ChatRequest, change: Callable[[Any], Any]) -> ChatRequest:
    return replace(request, messages=[replace(one, content=[*map(change, one.parts)]) for one in request.messages])
