"""Images and files to send: data URLs are split, types and base64 are checked, and each refusal is a notice.

An encoder reads a part with ``read_media``, and looks at the kind, the type, and whether it's inline or an address::

    media = read_media(part, context, takes=lambda media: media.mime in IMAGE_TYPES)
    if media is None:  # it's left out, and noted
        return None
    return {"image": {"url": media.url} if media.url else {"mime": media.mime, "data": media.data}}
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from typing import TYPE_CHECKING, Any, get_args

from msgspec import Struct
from msgspec.structs import replace

from tako import notices
from tako.kit.blocks import is_own
from tako.media import HEAD_SIZE, Kind, canonical_type, corrected_type, kind_of, suffix_of, type_by_url
from tako.parts import FileIdPart, FilePart, FileUrlPart, ImagePart, ImageUrlPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.parts import Part
    from tako.translator import PartContext

MediaPart = ImagePart | ImageUrlPart | FilePart | FileUrlPart | FileIdPart
"""An image or a file: its bytes, its address, or its id at the vendor."""
MEDIA = get_args(MediaPart)
FETCHING = "to be fetched"
"""What stands in the place of a file while it isn't fetched yet; it's never sent."""

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]+)*);base64,", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SPACE = re.compile(r"\s")
_CHARSET = re.compile(r";\s*charset=\"?([\w-]+)", re.IGNORECASE)


class Media(Struct, frozen=True):
    """An image or a file as it may go out: inline (``data`` is bare base64), by its address, or by its id.

    ``mime`` is in lower case unless it has parameters, an image's has its usual name, and it's "" if nothing tells it.
    """

    kind: Kind
    mime: str
    data: str = ""
    url: str = ""
    id: str = ""
    name: str = ""

    @property
    def data_url(self) -> str:
        """The file as a ``data:`` URL."""
        return f"data:{self.mime.partition(';')[0]};base64,{self.data}"

    @property
    def file_name(self) -> str:
        """The file's name, or one that tells its type."""
        return self.name or f"file{suffix_of(self.mime)}"

    @property
    def size(self) -> int:
        """Bytes of an inline file."""
        return len(self.data) * 3 // 4

    @property
    def description(self) -> str:
        """What a notice calls it."""
        return "an image" if self.kind == "image" else "a file"


def read_media(
    part: MediaPart,
    context: PartContext,
    *,
    takes: Callable[[Media], bool] = lambda _: True,
    schemes: tuple[str, ...] = ("https", "http"),
) -> Media | None:
    """Read an image or a file; ``takes(media)`` tells whether the wire has a place for it.

    None, with a notice, if it has none, if it takes no addresses, if base64 is broken, if the address has none of the
    schemes, or if it was uploaded to another vendor. Its type is what its first bytes are, with a notice if it was
    declared as another one; what the vendor made itself goes back under its own. Base64 is copied at most once.
    """
    if isinstance(part, FileIdPart):
        media = _uploaded(part, context)
    elif isinstance(part, (ImagePart, FilePart)):
        media = _inline(part, part.data_b64, context)
    else:
        media = _inline(part, part.url, context) if is_data_url(part) else _address(part, context, schemes)
    if media is None or takes(media):
        return media
    if media.url and takes(replace(media, url="", data="AAAA")):  # it takes the type, so it's the address
        context.notice(notices.UNSUPPORTED_URL, f"{media.description} was left out: the vendor takes no addresses")
    else:
        unsupported(media, context)
    return None


def is_data_url(part: ImageUrlPart | FileUrlPart) -> bool:
    """Tell an image or a file that is given by URL but holds its own bytes."""
    return part.url[:5].lower() == "data:"


def unsupported(media: Media, context: PartContext, reason: str = "") -> None:
    """Note that an image or a file was left out: its type is none that the vendor takes."""
    text = f"{media.description} of type {media.mime or 'unknown'!r} was left out{reason and f': {reason}'}"
    context.notice(notices.UNSUPPORTED_MEDIA_TYPE, text)


def is_fetched(media: Media, part: Part, context: PartContext) -> bool:
    """Whether tako fetches a file that the vendor's server can't. If it may not, that's noted.

    The place of one that is fetched is held by a text, ``FETCHING``: the request is encoded anew with its bytes.
    """
    if context.fetches and media.url.startswith(("https:", "http:")):
        context.to_fetch.append(part)
        return True
    hint = "" if context.fetches else "; url_prefetch=True lets tako fetch it"
    context.notice(notices.UNSUPPORTED_URL, f"{media.description} was left out: the vendor doesn't fetch it{hint}")
    return False


def as_text(media: Media, context: PartContext) -> str:
    """Return a text file as text, under its name: for wires that have no place for files, which is noted."""
    context.notice(notices.CHANGED_PART, f"a file of type {media.mime!r} was sent as text")
    text = decoded_text(media)
    head = f"{media.name}:\n" if media.name else ""
    return f"{head}{text}" if text.endswith("\n") else f"{head}{text}\n"


def decoded_text(media: Media) -> str:
    """Decode a text file: by its byte order mark, by the type's charset, as UTF-8, or as far as that goes."""
    data = b64decode(media.data)
    charset = _CHARSET.search(media.mime)
    for encoding in ("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", charset and charset[1]):
        try:
            return data.decode(encoding or "utf-8")
        except (UnicodeError, LookupError):
            continue
    return data.decode("utf-8", "replace")


def head_of(data_b64: str) -> bytes:
    """Return the first bytes of a file of which there is the base64 text."""
    try:
        return b64decode(data_b64[: HEAD_SIZE * 2])[:HEAD_SIZE]  # more than they take, and whole groups of four
    except Error:
        return b""


def _inline(part: ImagePart | ImageUrlPart | FilePart | FileUrlPart, text: str, context: PartContext) -> Media | None:
    prefix = _DATA_URL.match(text, 0, 200)
    declared = (part.mime or "").strip() or (prefix[1] + prefix[2] if prefix else "")
    data = text[prefix.end() :] if prefix else text
    if _SPACE.search(data):
        data = _SPACE.sub("", data)
    media = _media(part, declared)
    if len(data) % 4 or not _BASE64.fullmatch(data):
        reason = "its base64 is broken" if data else "it is empty"
        context.notice(notices.INVALID_IMAGE, f"{media.description} was left out: {reason}")
        return None
    mime = part.mime or media.mime if is_own(part, context) else corrected_type(media.mime, head_of(data))
    if canonical_type(mime) != canonical_type(media.mime) and declared:
        text = f"{media.description} of type {declared!r} was sent as {mime}: its first bytes are those of one"
        context.notice(notices.CHANGED_PART, text)
    return Media(kind_of(mime) if mime else media.kind, mime, data, name=media.name)


def _uploaded(part: FileIdPart, context: PartContext) -> Media | None:
    if part.provider == context.provider:
        return Media(kind_of(part.mime or ""), part.mime or "", id=part.id)
    context.notice(notices.FOREIGN_STATE, f"a file that was uploaded to {part.provider} was left out")
    return None


def _address(part: ImageUrlPart | FileUrlPart, context: PartContext, schemes: tuple[str, ...]) -> Media | None:
    scheme = part.url.partition(":")[0].lower()
    media = _media(part, (part.mime or "").strip() or type_by_url(part.url) or "")
    if scheme in schemes and part.url.partition("://")[2]:
        mime = part.mime if part.mime and is_own(part, context) else media.mime
        return Media(media.kind, mime, url=scheme + part.url[len(scheme) :], name=media.name)
    text = f"{media.description} was left out: {scheme[:20]!r} is no address the vendor fetches"
    context.notice(notices.UNSUPPORTED_URL, text)
    return None


def _media(part: Any, mime: str) -> Media:
    """Return what is known of a file by its declared type. What is given as an image is one unless its type denies."""
    plain = canonical_type(mime)
    spelled = plain if plain.startswith("image/") else mime if ";" in mime else mime.lower()
    is_image = isinstance(part, (ImagePart, ImageUrlPart)) and not mime
    return Media("image" if is_image else kind_of(plain), spelled, name=getattr(part, "name", None) or "")
