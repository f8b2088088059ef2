"""Types of files by their first bytes, and files as base64 text."""

from __future__ import annotations

import base64
import mimetypes
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
"""The MIME types that every provider with vision takes."""
HEAD = 16
"""How many of its first bytes tell a file's type."""
_PIECE = 3 * 1024 * 256
"""Bytes of a file that are read at once, so that it is never in memory beside its base64 (3 bytes, 4 letters)."""
_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}


def media_type(head: bytes) -> str | None:
    """Tell a file's MIME type from its first 16 bytes; None if they're of no type that tako knows."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return "audio/mp4" if head[8:11] == b"M4A" else "video/quicktime" if head[8:10] == b"qt" else "video/mp4"
    return next((mime for magic, mime in _MAGIC if head.startswith(magic)), None)


def image_type(head: bytes) -> str | None:
    """Tell one of the four image types from the first twelve bytes, or None."""
    found = media_type(head)
    return found if found in IMAGE_TYPES else None


def read_file(path: str | PathLike[str]) -> tuple[str | None, str]:
    """Read a file; return its MIME type, by its first bytes and else by its name, and its base64 text.

    Raises OSError if the file can't be read.
    """
    encoded = BytesIO()
    with Path(path).open("rb") as file:
        found = media_type(file.read(HEAD)) or mimetypes.guess_type(path)[0]
        file.seek(0)
        while piece := file.read(_PIECE):
            encoded.write(base64.b64encode(piece))
    return found, encoded.getvalue().decode("ascii")
