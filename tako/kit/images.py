"""Images on their way out: data URLs taken apart, types and base64 checked, every refusal noted. And their pieces."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from contextlib import suppress
from typing import TYPE_CHECKING

from tako import notices
from tako.media import HEAD, IMAGE_TYPES, image_type
from tako.parts import FileUrlPart, ImagePart, ImageUrlPart

if TYPE_CHECKING:
    from tako.translator import PartContext

_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]+)*;base64,", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SPACE = re.compile(r"\s")


def inline_image(part: ImagePart | ImageUrlPart, context: PartContext) -> tuple[str, str] | None:
    """Return the type and the bare base64 of an image, or None with a notice; the payload is copied at most once."""
    given, text = (part.mime or "", part.data_b64) if isinstance(part, ImagePart) else (part.mime or "", part.url)
    prefix = _DATA_URL.match(text, 0, 200)
    declared = given.strip().lower() or (prefix[1].lower() if prefix else "")
    declared = "image/jpeg" if declared == "image/jpg" else declared
    if declared not in IMAGE_TYPES:
        context.notice(notices.UNSUPPORTED_MEDIA_TYPE, f"an image of type {declared or 'unknown'!r} was left out")
        return None
    data = text[prefix.end() :] if prefix else text
    if _SPACE.search(data):
        data = _SPACE.sub("", data)
    mime = sniffed(data) or declared
    if len(data) % 4 or not _BASE64.fullmatch(data):
        context.notice(notices.INVALID_IMAGE, f"an {mime} was left out: its base64 is broken")
        return None
    if mime != declared:
        text = f"an image went out as {mime}, as its first bytes say, not as {declared}"
        context.notice(notices.CHANGED_PART, text)
    return mime, data


def sniffed(data_b64: str) -> str | None:
    """Tell one of the four image types from the beginning of an image's base64, or None."""
    with suppress(ValueError):
        return image_type(b64decode(data_b64[: 2 * HEAD]))
    return None


def image_address(
    part: ImageUrlPart | FileUrlPart, context: PartContext, schemes: tuple[str, ...] = ("https", "http")
) -> str | None:
    """Return an image's URL if its scheme is one that the vendor fetches, or None with a notice."""
    scheme = part.url.partition(":")[0].lower()
    if scheme in schemes and part.url.partition("://")[2]:
        return scheme + part.url[len(scheme) :]
    context.notice(notices.UNSUPPORTED_URL, f"an image was left out: {scheme[:20]!r} is no address the vendor fetches")
    return None


def is_data_url(part: ImageUrlPart) -> bool:
    """Tell an image that is given by URL but holds its own bytes."""
    return part.url[:5].lower() == "data:"


def join_base64(pieces: list[str]) -> str:
    """Join the base64 of a stream; each piece may have padding of its own. What is no base64 is joined as it is."""
    found = list(filter(None, pieces))
    try:
        whole = b"".join([b64decode(piece) for piece in found])
    except Error:
        return "".join(found)
    return found[0] if len(found) == 1 else b64encode(whole).decode("ascii")
