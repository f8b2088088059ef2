"""Types of files, by their first bytes, names and declared types, and files as base64 text."""

from __future__ import annotations

import base64
import mimetypes
from binascii import Error
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from os import PathLike

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
"""The MIME types that every provider with vision takes."""
HEAD_SIZE = 16
"""How many of the first bytes are needed to recognise a file's type."""
_READ_SIZE = 3 * 1024 * 256
"""Bytes of a file that are read at once, so that the whole file is never in memory beside its base64."""

Kind = Literal["image", "document", "text", "audio", "video"]
"""What a file is for a model. Everything that isn't one of the others is a document."""

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    *((b"ID3" + version, "audio/mpeg") for version in (b"\x02", b"\x03", b"\x04")),
    *((b"\xff" + sync, "audio/mpeg") for sync in (b"\xfb", b"\xfa", b"\xf3", b"\xf2")),
    *((b"\xff" + sync, "audio/aac") for sync in (b"\xf1", b"\xf9")),
    (b"OggS\0", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\0\0\x01\xba", "video/mpeg"),
    (b"\0\0\x01\xb3", "video/mpeg"),
    (b"FLV\x01", "video/x-flv"),
    (b"0&\xb2u\x8ef\xcf\x11", "video/x-ms-wmv"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"M4A": "audio/mp4",
    b"qt ": "video/quicktime",
    b"3gp": "video/3gpp",
    b"avi": "image/avif",
    b"hei": "image/heic",
    b"mif": "image/heif",
}
"""Prefixes of the brands of ISO media files (``ftyp``). All others are MP4."""
_TEXT_SUBTYPES = frozenset(
    ("json", "xml", "yaml", "x-yaml", "toml", "javascript", "x-javascript", "x-ndjson", "sql", "x-sh")
)
"""Subtypes of ``application`` that are text."""
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/mpga": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/x-flac": "audio/flac",
    "audio/x-aac": "audio/aac",
    "video/mpg": "video/mpeg",
    "video/mov": "video/quicktime",
    "application/x-zip-compressed": "application/zip",
    "text/x-markdown": "text/markdown",
}
_HEADERLESS = ("audio/l16", "audio/pcm")
"""Audio types without a header. They may begin with any two bytes, also with those of MP3 or AAC."""
_INDISTINGUISHABLE = (
    {"audio/mpeg", "audio/aac"},  # an ID3 tag may stand before either
    {"audio/ogg", "audio/opus", "video/ogg", "application/ogg"},
    {"video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska"},
    {"video/mp4", "audio/mp4", "video/quicktime", "video/3gpp", "audio/3gpp", "video/x-m4v", "audio/aac"},
    {"image/heic", "image/heif", "image/avif"},
    {"video/x-ms-wmv", "audio/x-ms-wma", "video/x-ms-asf", "video/wmv"},
    {"video/x-flv", "video/flv"},
    {"video/x-msvideo", "video/avi"},
    {"application/x-ole-storage", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"},
)
"""Groups of types that can't be distinguished by their first bytes."""


def media_type(head: bytes) -> str | None:
    """Return a file's MIME type, by its first 16 bytes. None if tako doesn't know the type."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:11], "video/mp4")
    return next((mime for magic, mime in _MAGIC if head.startswith(magic)), None)


def image_type(head: bytes) -> str | None:
    """Return one of the four image types, by the first twelve bytes, or None."""
    mime = media_type(head)
    return mime if mime in IMAGE_TYPES else None


def canonical_type(mime: str) -> str:
    """Return the usual name of a MIME type, in lower case and without parameters: image/jpg is image/jpeg."""
    base_type = mime.partition(";")[0].strip().lower()
    return _ALIASES.get(base_type, base_type)


def has_magic(mime: str) -> bool:
    """Whether files of that type can be recognised by their first bytes."""
    canonical = canonical_type(mime)
    return (
        canonical in _TYPES_WITH_MAGIC
        or any(canonical in alike for alike in _INDISTINGUISHABLE)
        or _is_zipped(canonical)
    )


def matches_content(mime: str, head: bytes) -> bool:
    """Whether the first bytes of a file may belong to that type. True if tako doesn't know them."""
    detected, declared = media_type(head), canonical_type(mime)
    if detected is None or detected == declared:
        return True
    if detected == "application/zip":
        return _is_zipped(declared)
    if declared in _HEADERLESS:
        return detected in ("audio/mpeg", "audio/aac")
    return any(detected in alike and declared in alike for alike in _INDISTINGUISHABLE)


def corrected_type(mime: str, head: bytes) -> str:
    """Return a file's type: the declared one, unless the first bytes clearly belong to another.

    A file that begins with text isn't a document, audio or video file of a type that can be recognised.
    """
    detected = media_type(head)
    if detected is None and kind_of(mime) not in ("image", "text") and has_magic(mime) and _is_text(head):
        return "text/plain"
    return mime if detected is None or matches_content(mime, head) else detected


def kind_of(mime: str) -> Kind:
    """Return what a file of that type is for a model."""
    family, _, name = canonical_type(mime).partition("/")
    match family:
        case "image" | "audio" | "video" | "text":
            return family
        case "application" if name in _TEXT_SUBTYPES or name.endswith(("+json", "+xml")):
            return "text"
        case _:
            return "document"


def type_by_name(name: str) -> str | None:
    """Return the type for the suffix of a file's name, or None."""
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    return _TYPE_BY_SUFFIX.get(f".{suffix}") or _STDLIB_TYPES.guess_type(name)[0]


def type_by_url(url: str) -> str | None:
    """Return the type for the suffix of a URL's path, or None."""
    path = url.partition("?")[0].partition("#")[0].partition("://")[2].partition("/")[2]
    return type_by_name(path.rpartition("/")[2])


def suffix_of(mime: str) -> str:
    """Return the usual suffix of files of that type, such as ".pdf". "" if there's none."""
    canonical = canonical_type(mime)
    return _SUFFIX_BY_TYPE.get(canonical) or _STDLIB_TYPES.guess_extension(canonical) or ""


def read_file(path: str | PathLike[str]) -> tuple[str | None, str]:
    """Read a file. Return its MIME type and its base64 text.

    Raises OSError if the file can't be read.
    """
    encoded = BytesIO()
    with Path(path).open("rb") as file:
        mime = type_of(file.read(HEAD_SIZE), path)
        file.seek(0)
        while piece := file.read(_READ_SIZE):
            encoded.write(base64.b64encode(piece))
    return mime, encoded.getvalue().decode("ascii")


def type_of(head: bytes, path: str | PathLike[str]) -> str | None:
    """Return a file's type: by its name if the first bytes allow that, else by its first bytes. None if unknown."""
    named, detected = type_by_name(str(path)), media_type(head)
    return named if named is not None and (detected is None or matches_content(named, head)) else detected


def join_base64(pieces: list[str]) -> str:
    """Join the base64 pieces of a stream. Each may have its own padding. Invalid base64 is joined unchanged."""
    texts = list(filter(None, pieces))
    try:
        data = b"".join([base64.b64decode(piece) for piece in texts])
    except Error:
        return "".join(texts)
    return texts[0] if len(texts) == 1 else base64.b64encode(data).decode("ascii")


def write_file(path: str | PathLike[str], data_b64: str) -> Path:
    """Write a file from base64 text or from a ``data:`` URL.

    Raises OSError if the file can't be written, and ValueError if the text isn't base64.
    """
    text = data_b64 if data_b64.isalnum() else "".join(data_b64.split())
    start = text.find(",") + 1 if text[:5].lower() == "data:" else 0
    offsets, target = range(start, len(text), _READ_SIZE), Path(path)
    try:
        for offset in offsets:  # first, so that an existing file isn't lost if the text is invalid
            base64.b64decode(text[offset : offset + _READ_SIZE], validate=True)
    except Error:
        raise ValueError(f"{path}: not written, since the data isn't base64") from None
    with target.open("wb") as file:
        for offset in offsets:
            file.write(base64.b64decode(text[offset : offset + _READ_SIZE]))
    return target


def _is_text(head: bytes) -> bool:
    """Whether the beginning of a file is text. Its last character may be cut."""
    text = head.decode("utf-8", "ignore")
    return (
        bool(text)
        and len(text.encode()) > len(head) - 4
        and all(character.isprintable() or character.isspace() for character in text)
    )


def _is_zipped(mime: str) -> bool:
    """Whether files of that type are ZIP archives: office documents, books."""
    return mime == "application/zip" or mime.startswith(
        ("application/vnd.openxmlformats", "application/vnd.oasis.opendocument", "application/epub")
    )


_TYPES_WITH_MAGIC = {*(mime for _, mime in _MAGIC), *_RIFF.values(), *_BRANDS.values(), "video/mp4"}
_STDLIB_TYPES = mimetypes.MimeTypes()
"""Python's own table, without what the system adds."""
_TYPE_BY_SUFFIX = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".avif": "image/avif",
    ".pdf": "application/pdf",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".epub": "application/epub+zip",
    ".rtf": "application/rtf",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".toml": "application/toml",
    ".log": "text/plain",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/opus",
    ".flac": "audio/flac",
    ".aac": "audio/aac",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".flv": "video/x-flv",
    ".wmv": "video/x-ms-wmv",
    ".3gp": "video/3gpp",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
}
"""Types by suffix, since Python's own table differs between versions."""
_SUFFIX_BY_TYPE = {
    **{mime: end for end, mime in reversed(_TYPE_BY_SUFFIX.items())},
    "audio/webm": ".webm",
    "text/plain": ".txt",
}
