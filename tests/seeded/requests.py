"""Faults in what goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.kit.exchange import Exchange
from tako.parts import ImageUrlPart
from tako.types import End, Role

from .acme import Acme, Plugin

if TYPE_CHECKING:
    from tako import Chat, ChatRequest
    from tako.types import Chunk


class NoticesLost(Plugin):
    caught_by, told = "notices", "left out without a notice"

    def exchange(self, made: Exchange) -> Exchange:
        return Exchange(made.url, made.body, [])


class NoticesLostInStreams(Plugin):
    caught_by, told = "notices", "stream: an image that no vendor takes was left out without a notice"

    def chunk(self, chunk: Chunk) -> Chunk:
        return replace(chunk, notices=[]) if isinstance(chunk, End) else chunk


class StrictIgnored(Plugin):
    caught_by, told = "strict", "it passed for a success"

    def chat(self, inner: Chat, provider: Acme) -> Chat:
        return lambda request: inner(replace(request, strict=False))


class ImageDropped(Plugin):
    caught_by, told = "image_urls", "an image by URL was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        kept = [
            replace(one, content=[part for part in one.parts if not isinstance(part, ImageUrlPart)])
            for one in request.messages
        ]
        return replace(request, messages=kept)


class SystemDropped(Plugin):
    caught_by, told = "conversation", "the turns on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, messages=[one for one in request.messages if one.role is not Role.SYSTEM])


class ParameterDropped(Plugin):
    caught_by, told = "parameters", "stop was lost without a notice"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, stop=[])


class ToolsDropped(Plugin):
    caught_by, told = "tools_are_offered", "the tools on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, tools=request.tools[:1])


class ExtraDropped(Plugin):
    caught_by, told = "extra", "extra on the wire"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, extra={})


class ModelIgnored(Plugin):
    caught_by, told = "model", "request.model did not go out"

    def prepare_request(self, request: ChatRequest) -> ChatRequest:
        return replace(request, model=None)


class HeadersIgnored(Plugin):
    caught_by, told = "headers", "a header of the user's"

    class Own(Acme):
        def __init__(self, model: str, **options: Any) -> None:
            super().__init__(model, **{**options, "headers": {}})

    provider = Own
