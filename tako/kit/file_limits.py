"""Sizes and counts of files that a vendor refuses: a notice, since the vendor's own error may be unclear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tako import notices
from tako.kit.encoding import result_parts
from tako.media import canonical_type, kind_of
from tako.parts import FilePart, ImagePart, ToolResultPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tako.parts import Part
    from tako.translator import PartContext
    from tako.types import Message

MB = 1024 * 1024


class Limit(Struct, frozen=True):
    """The limits that a vendor has for inline files of some kinds ("image", "document", …; none are all).

    ``source`` is the page that says so. ``each`` and ``total`` are bytes, ``count`` is a number of files.
    ``exempt`` are types without this limit.
    """

    source: str
    kinds: tuple[str, ...] = ()
    each: int | None = None
    total: int | None = None
    count: int | None = None
    exempt: tuple[str, ...] = ()


def note_limits(context: PartContext, limits: Sequence[Limit]) -> None:
    """Note what of a request is over a limit; it goes out all the same."""
    if not limits:
        return
    files = [(path, part) for i, message in enumerate(context.request.messages) for path, part in _files(message, i)]
    for limit in limits if files else ():
        _note(limit, [(path, part) for path, part in files if _applies_to(limit, part)], context)


def _note(limit: Limit, files: list[tuple[str, FilePart | ImagePart]], context: PartContext) -> None:
    sizes = [len(part.data_b64) * 3 // 4 for _, part in files]
    source = f"({limit.source})"
    for (path, _), size in zip(files, sizes, strict=True):
        if limit.each is not None and size > limit.each:
            message = f"a file of {size / MB:.1f} MB was sent: the vendor accepts {limit.each / MB:g} MB {source}"
            context.notice(notices.OVER_LIMIT, message, path)
    if limit.total is not None and sum(sizes) > limit.total:
        total = f"{sum(sizes) / MB:.1f} MB"
        message = f"files of {total} were sent: the vendor accepts {limit.total / MB:g} MB a request {source}"
        context.notice(notices.OVER_LIMIT, message, "messages")
    if limit.count is not None and len(files) > limit.count:
        message = f"{len(files)} files were sent: the vendor accepts {limit.count} a request {source}"
        context.notice(notices.OVER_LIMIT, message, files[limit.count][0])


def _applies_to(limit: Limit, part: FilePart | ImagePart) -> bool:
    mime = canonical_type(part.mime)
    return (not limit.kinds or kind_of(mime) in limit.kinds) and mime not in limit.exempt


def _files(message: Message, i: int) -> Iterator[tuple[str, FilePart | ImagePart]]:
    """Yield the inline files of a message, also those in tool results, each with its path."""
    if isinstance(message.content, str):
        return
    for j, part in enumerate(message.content):
        path = f"messages[{i}].content[{j}]"
        inner: list[Part] = (result_parts(part) or []) if isinstance(part, ToolResultPart) else []
        for inner_path, inner_part in [(path, part), *((f"{path}.result[{k}]", one) for k, one in enumerate(inner))]:
            if isinstance(inner_part, (FilePart, ImagePart)):
                yield inner_path, inner_part
