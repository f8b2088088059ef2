"""Files that a vendor's server can't fetch: tako fetches them and sends their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from tako.direct_calls import event_loop
from tako.kit.encoding import result_parts
from tako.kit.exchange import refuse_if_strict
from tako.kit.file_limits import note_limits
from tako.kit.reasoning_tags import with_tags
from tako.parts import FilePart, FileUrlPart, ImagePart, ImageUrlPart, ToolResultPart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tako.kit.http import HttpProvider
    from tako.parts import Part
    from tako.translator import PartContext
    from tako.types import ChatRequest, Message

T = TypeVar("T")
Fetched = ImagePart | FilePart


async def encode_fetched(
    provider: HttpProvider, request: ChatRequest, encode: Callable[[ChatRequest, PartContext], T]
) -> T:
    """Encode a request. If files are to be fetched, fetch them at the same time and encode it anew with their bytes.

    Nothing touches the network before it's known what can't be carried. Raises UrlPrefetchError.
    """
    context = provider.context(request)
    request = with_tags(request, context)
    encoded = _encode(provider, request, context, encode)
    if not context.to_fetch or provider.url_prefetch is None:
        return encoded
    refuse_if_strict(request, context.notices, provider)
    from tako.kit.prefetch import fetch_files

    await event_loop()
    parts = [part for part in context.to_fetch if isinstance(part, (ImageUrlPart, FileUrlPart))]
    files = await fetch_files(parts, provider.url_prefetch)
    inline = {id(part): _replacement(part, file) for part, file in zip(parts, files, strict=True)}
    complete = replace(request, messages=[_replace_in_message(message, inline) for message in request.messages])
    return _encode(provider, complete, provider.context(complete), encode)


def _encode(
    provider: HttpProvider, request: ChatRequest, context: PartContext, encode: Callable[[ChatRequest, PartContext], T]
) -> T:
    encoded = encode(request, context)
    note_limits(context, provider.limits_for(context.origin.model))
    return encoded


def _replacement(part: ImageUrlPart | FileUrlPart, file: Fetched) -> Fetched:
    """Return a part with the bytes that were fetched, and everything else of the one that names the address."""
    if isinstance(file, FilePart):
        return replace(file, name=getattr(part, "name", None), extra=part.extra, cache=part.cache)
    return replace(file, extra=part.extra, cache=part.cache)


def _replace_in_message(message: Message, inline: Mapping[int, Part]) -> Message:
    """Put fetched files in, also inside of tool results."""
    if isinstance(message.content, str):
        return message
    parts: list[Any] = [inline.get(id(part)) or _replace_in_result(part, inline) for part in message.content]
    return replace(message, content=parts)


def _replace_in_result(part: Part, inline: Mapping[int, Part]) -> Part:
    items = result_parts(part) if isinstance(part, ToolResultPart) else None
    return part if items is None else replace(part, result=[inline.get(id(item), item) for item in items])
