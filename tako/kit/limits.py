"""Sizes and counts of files that a vendor refuses: a notice, since the vendor's own error may be unclear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tako import notices
from tako.kit.encoding import result_parts
from tako.media import kind_of, plain_type
from tako.parts import FilePart, ImagePart, ToolResultPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tako.parts import Part
    from tako.translator import PartContext
    from tako.types import Message

MB = 1024 * 1024


class Limit(Struct, frozen=True):
    """What a vendor takes of inline files of some kinds ("image", "document", …; none are all), and who says so.

    ``each`` and ``total`` are bytes, ``count`` is a number of files. ``but`` are types that it doesn't hold for.
    """

    source: str
    kinds: tuple[str, ...] = ()
    each: int | None = None
    total: int | None = None
    count: int | None = None
    but: tuple[str, ...] = ()


def note_limits(context: PartContext, limits: Sequence[Limit]) -> None:
    """Note what of a request is over a limit; it goes out all the same."""
    if not limits:
        return
    found = [(path, part) for i, message in enumerate(context.request.messages) for path, part in _files(message, i)]
    for limit in limits if found else ():
        _note(limit, [(path, part) for path, part in found if _holds(limit, part)], context)


def _note(limit: Limit, found: list[tuple[str, FilePart | ImagePart]], context: PartContext) -> None:
    sizes = [len(part.data_b64) * 3 // 4 for _, part in found]
    what = f"({limit.source})"
    for (path, _), size in zip(found, sizes, strict=True):
        if limit.each is not None and size > limit.each:
            text = f"a file of {size / MB:.1f} MB was sent: the vendor accepts {limit.each / MB:g} MB {what}"
            context.notice(notices.OVER_LIMIT, text, path)
    if limit.total is not None and sum(sizes) > limit.total:
        text = (
            f"files of {sum(sizes) / MB:.1f} MB was sent: the vendor accepts {limit.total / MB:g} MB a request {what}"
        )
        context.notice(notices.OVER_LIMIT, text, "messages")
    if limit.count is not None and len(found) > limit.count:
        text = f"{len(found)} files were sent: the vendor accepts {limit.count} a request {what}"
        context.notice(notices.OVER_LIMIT, text, found[limit.count][0])


def _holds(limit: Limit, part: FilePart | ImagePart) -> bool:
    mime = plain_type(part.mime)
    return (not limit.kinds or kind_of(mime) in limit.kinds) and mime not in limit.but


def _files(message: Message, i: int) -> Iterator[tuple[str, FilePart | ImagePart]]:
    """Yield the inline files of a message, also those in tool results, each with its path."""
    if isinstance(message.content, str):
        return
    for j, part in enumerate(message.content):
        path = f"messages[{i}].content[{j}]"
        inner: list[Part] = (result_parts(part) or []) if isinstance(part, ToolResultPart) else []
        for where, one in [(path, part), *((f"{path}.result[{k}]", one) for k, one in enumerate(inner))]:
            if isinstance(one, (FilePart, ImagePart)):
                yield where, one
