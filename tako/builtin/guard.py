"""Pre-flight checks: notices for what the model can't do, before the request is sent."""

from __future__ import annotations

from contextlib import aclosing
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import notices
from tako.errors import UnsupportedError
from tako.hooks import hookimpl
from tako.json_values import as_array
from tako.parts import ToolResultPart, media_kind
from tako.types import Notice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from tako.capabilities import Capabilities
    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk

MEDIA = {
    "image": ("supports_vision", notices.MODEL_LACKS_VISION, "the request has an image, and {} can't see images"),
    "document": (
        "supports_documents",
        notices.MODEL_LACKS_DOCUMENTS,
        "the request has a document, and {} can't read documents",
    ),
    "audio": ("supports_audio", notices.MODEL_LACKS_AUDIO, "the request has audio, and {} can't hear"),
    "video": ("supports_video", notices.MODEL_LACKS_VIDEO, "the request has a video, and {} can't see videos"),
}
"""The capability that each kind of part needs. Every model takes text."""
NOTICE_PERIOD = timedelta(days=60)
"""How long before a model's retirement there's a notice."""
EXPLICIT_ORIGINS = ("given", "plugin", "http")
"""Prefixes of origins that are about this server, not about the vendor in general."""


@hookimpl(wrapper=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Add notices to the response for what the model can't do."""
    inner = yield

    def chat(request: ChatRequest) -> Awaitable[ChatResponse]:
        missing = capability_notices(provider, request)
        return _chat_with_notices(inner, request, missing) if missing else inner(request)

    return chat


@hookimpl(wrapper=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Add notices to the End for what the model can't do."""
    inner = yield

    def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        missing = capability_notices(provider, request)
        return _stream_with_notices(inner, request, missing) if missing else inner(request)

    return stream


def retirement_notices(provider: Provider, request: ChatRequest, capabilities: Capabilities) -> list[Notice]:
    """Return a notice that the model is retired soon, if that's true for this server.

    The days in tables are the vendor's own. Another server may keep the model for longer.
    """
    if request.model not in (None, provider.model):
        return []
    origin = provider.capability_origins().get("retires", "")
    if not provider.at_vendor and not origin.startswith(EXPLICIT_ORIGINS):
        return []
    return [
        Notice(
            notices.MODEL_RETIRES, f"{provider.id} {describe_retirement(capabilities)} ({origin})", "", provider.name
        )
    ]


def is_near(day: date) -> bool:
    """Whether a day is within ``NOTICE_PERIOD``, or past."""
    return day - date.today() <= NOTICE_PERIOD  # noqa: DTZ011 - vendors name a day, and no zone of time


def describe_retirement(capabilities: Capabilities) -> str:
    """Describe when a model is retired, and what to use instead."""
    is_past = capabilities.retires is not None and capabilities.retires < date.today()  # noqa: DTZ011 - vendors name a day, and no zone
    instead = f"; use {capabilities.replacement}" if capabilities.replacement else ""
    return f"{'was retired' if is_past else 'retires'} on {capabilities.retires}{instead}"


def capability_notices(provider: Provider, request: ChatRequest) -> list[Notice]:
    """Return notices for what the request needs and the model can't do, and for its retirement.

    Capabilities that are only assumed don't count. Nothing is known about another model than the provider's own.

    Raises UnsupportedError if the request is strict.
    """
    capabilities = provider.capabilities
    retires_soon = capabilities.retires is not None and is_near(capabilities.retires)
    retirement = retirement_notices(provider, request, capabilities) if retires_soon else []
    missing: list[tuple[str, str, str, str]] = []
    if request.tools and not capabilities.supports_tools:
        missing.append(
            ("supports_tools", notices.MODEL_LACKS_TOOLS, "tools", "the request has tools, and {} can't call tools")
        )
    if request.response_format is not None and not capabilities.supports_json_mode:
        text = "the request wants JSON, and {} has no JSON mode"
        missing.append(("supports_json_mode", notices.MODEL_LACKS_JSON_MODE, "response_format", text))
    for kind, path in _media_paths(request).items():
        field, code, text = MEDIA[kind]
        if not getattr(capabilities, field):
            missing.append((field, code, path, text))
    if not missing or request.model not in (None, provider.model):
        return retirement
    origins = provider.capability_origins()
    missing_notices = [
        Notice(code, f"{text.format(provider.id)} ({origins[field]})", path, provider.name)
        for field, code, path, text in missing
        if field in origins
    ]
    if request.strict and missing_notices:
        losses = "; ".join(f"{notice.path}: {notice.message}" for notice in missing_notices)
        raise UnsupportedError(
            f"{provider.id} can't do everything that this strict request asks for: {losses}",
            notices=tuple(missing_notices),
        )
    return [*missing_notices, *retirement]


def _media_paths(request: ChatRequest) -> dict[str, str]:
    """Return the paths of the first image, document, audio and video in the request."""
    paths: dict[str, str] = {}
    for i, message in enumerate(request.messages):
        if not isinstance(message.content, str):
            for j, part in enumerate(message.content):
                content: Any = part.result if isinstance(part, ToolResultPart) else part
                for item in as_array(content) or (content,):
                    if (kind := media_kind(item)) in MEDIA:
                        paths.setdefault(kind, f"messages[{i}].content[{j}]")
    return paths


def _join_notices(missing: list[Notice], notices_of_reply: list[Notice]) -> list[Notice]:
    """Join the notices. A path that already has a notice of the encoder doesn't get a second one."""
    paths = {notice.path for notice in notices_of_reply}
    return [*(notice for notice in missing if notice.path not in paths), *notices_of_reply]


async def _chat_with_notices(inner: Chat, request: ChatRequest, missing: list[Notice]) -> ChatResponse:
    response = await inner(request)
    return replace(response, notices=_join_notices(missing, response.notices))


async def _stream_with_notices(
    inner: Stream, request: ChatRequest, missing: list[Notice]
) -> AsyncGenerator[Chunk, None]:
    async with aclosing(inner(request)) as chunks:
        async for chunk in chunks:
            yield replace(chunk, notices=_join_notices(missing, chunk.notices)) if chunk.kind == "end" else chunk
