"""Pre-flight: what the model can do decides how it is asked."""

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
"""By the kind of a part: the capability that it needs. Text is for every model."""
AHEAD = timedelta(days=60)
"""How long before a model is turned off that is noted."""
SAID = ("given", "plugin", "http")
"""Beginnings of the origins of what someone said of this very server."""


@hookimpl(wrapper=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Say in the response what was asked of a model that is known to have no such thing."""
    inner = yield

    def chat(request: ChatRequest) -> Awaitable[ChatResponse]:
        lacks = problems(provider, request)
        return _noting_chat(inner, request, lacks) if lacks else inner(request)

    return chat


@hookimpl(wrapper=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Say at the end what was asked of a model that is known to have no such thing."""
    inner = yield

    def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        lacks = problems(provider, request)
        return _noting_stream(inner, request, lacks) if lacks else inner(request)

    return stream


def retiring(provider: Provider, request: ChatRequest, known: Capabilities) -> list[Notice]:
    """Return a notice that the model is turned off soon, if that holds for this server.

    Days that a table knows are the vendor's own: another server may have the model for longer.
    """
    if request.model not in (None, provider.model):
        return []
    origin = provider.capability_origins().get("retires", "")
    if not provider.at_vendor and not origin.startswith(SAID):
        return []
    return [Notice(notices.MODEL_RETIRES, f"{provider.id} {life_of(known)} ({origin})", "", provider.name)]


def is_near(day: date) -> bool:
    """Whether a day is within ``AHEAD``, or past."""
    return day - date.today() <= AHEAD  # noqa: DTZ011 - vendors name a day, and no zone of time


def life_of(known: Capabilities) -> str:
    """Say when a model is turned off, and what to use instead."""
    past = known.retires is not None and known.retires < date.today()  # noqa: DTZ011 - vendors name a day, and no zone
    instead = f"; use {known.replacement}" if known.replacement else ""
    return f"{'was retired' if past else 'retires'} on {known.retires}{instead}"


def problems(provider: Provider, request: ChatRequest) -> list[Notice]:
    """List what the request needs and the model is known not to have, and that it ends soon.

    What is only assumed of a model isn't known.

    Raises UnsupportedError where the request is strict. Nothing is known of another model than the provider's own.
    """
    known = provider.capabilities
    soon = known.retires is not None and is_near(known.retires)
    ending = retiring(provider, request, known) if soon else []
    lacks: list[tuple[str, str, str, str]] = []
    if request.tools and not known.supports_tools:
        lacks.append(
            ("supports_tools", notices.MODEL_LACKS_TOOLS, "tools", "the request has tools, and {} can't call tools")
        )
    if request.response_format is not None and not known.supports_json_mode:
        text = "the request wants JSON, and {} has no JSON mode"
        lacks.append(("supports_json_mode", notices.MODEL_LACKS_JSON_MODE, "response_format", text))
    for kind, path in _media(request).items():
        field, code, text = MEDIA[kind]
        if not getattr(known, field):
            lacks.append((field, code, path, text))
    if not lacks or request.model not in (None, provider.model):
        return ending
    origins = provider.capability_origins()
    found = [
        Notice(code, f"{text.format(provider.id)} ({origins[field]})", path, provider.name)
        for field, code, path, text in lacks
        if field in origins
    ]
    if request.strict and found:
        lost = "; ".join(f"{notice.path}: {notice.message}" for notice in found)
        raise UnsupportedError(
            f"{provider.id} can't do everything that this strict request asks for: {lost}", notices=tuple(found)
        )
    return [*found, *ending]


def _media(request: ChatRequest) -> dict[str, str]:
    """Return where the first image, document, audio and video are, as far as there are any."""
    places: dict[str, str] = {}
    for i, message in enumerate(request.messages):
        if not isinstance(message.content, str):
            for j, part in enumerate(message.content):
                inside: Any = part.result if isinstance(part, ToolResultPart) else part
                for one in as_array(inside) or (inside,):
                    if (kind := media_kind(one)) in MEDIA:
                        places.setdefault(kind, f"messages[{i}].content[{j}]")
    return places


def _joined(lacks: list[Notice], said: list[Notice]) -> list[Notice]:
    """Put the notices together; what the encoding has noted at the same place needs no second word."""
    places = {notice.path for notice in said}
    return [*(notice for notice in lacks if notice.path not in places), *said]


async def _noting_chat(inner: Chat, request: ChatRequest, lacks: list[Notice]) -> ChatResponse:
    response = await inner(request)
    return replace(response, notices=_joined(lacks, response.notices))


async def _noting_stream(inner: Stream, request: ChatRequest, lacks: list[Notice]) -> AsyncGenerator[Chunk, None]:
    async with aclosing(inner(request)) as chunks:
        async for chunk in chunks:
            yield replace(chunk, notices=_joined(lacks, chunk.notices)) if chunk.kind == "end" else chunk
