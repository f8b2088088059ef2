"""Images and files of the command: what goes to the model with a prompt, and what comes back."""

from __future__ import annotations

import os
import re
import wave
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tako.cli.arguments import UsageError
from tako.cli.run import complain
from tako.media import kind_of, plain_type, suffix_of
from tako.parts import ContentPart, FileIdPart, FilePart, FileUrlPart, ImagePart, ImageUrlPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tako.types import ChatResponse, Part

ADDRESSES = ("http", "https", "data", "gs", "s3")
RAW_SOUND = ("audio/l16", "audio/pcm")
"""Sound without a header; most programs play it only with one."""
RATE = 24_000
"""Samples per second of raw sound that doesn't say so: what OpenAI and Google make."""
NAMES = {"document": "file", "text": "file"}
MOST = 10_000


def read_attachments(given: Iterable[tuple[str, str]]) -> list[Part]:
    """Read what ``--image`` and ``--file`` name, in order: addresses, and files on disk. Raises UsageError."""
    return [_attachment(option, text) for option, text in given]


def _attachment(option: str, given: str) -> Part:
    if given.partition(":")[0].lower() in ADDRESSES:
        return ContentPart.image_url(given) if option == "image" else ContentPart.file_url(given)
    path = os.path.expanduser(given)  # noqa: PTH111 - Path's raises where ~ is nobody's
    try:
        return ContentPart.image_file(path) if option == "image" else _file(path)
    except OSError as error:
        raise UsageError(f"--{option} {given}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"--{option} {error}") from error


def _file(path: str) -> Part:
    """Read a file; one whose type nothing tells may still be text."""
    try:
        return ContentPart.file_path(path)
    except ValueError:
        Path(path).read_text(encoding="utf-8")  # a UnicodeDecodeError is a ValueError
        return ContentPart.file_path(path, mime="text/plain")


def write_media(response: ChatResponse) -> None:
    """Write the images, the audio and the files of an answer into the current folder, and say where on stderr."""
    for part in (*response.images, *response.files):
        if isinstance(part, (ImageUrlPart, FileUrlPart)):
            complain(f"tako: the model made {part.url}")
        elif isinstance(part, FileIdPart):
            complain(f"tako: the model made a file, which {part.provider} keeps as {part.id}")
        else:
            try:
                complain(f"tako: written to {_write(part)}")
            except (OSError, ValueError) as error:
                complain(f"tako: the {_name(part)} of the answer can't be written: {error}")


def _write(part: ImagePart | FilePart) -> Path:
    """Write a part to a file of its own: no file that is there is written over."""
    raw = part.mime.lower().startswith(RAW_SOUND)
    end = ".wav" if raw else suffix_of(part.mime)
    for number in range(1, MOST):
        path = Path(f"{_name(part)}-{number}{end}")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return _write_sound(part, path) if raw else part.save(path)
    raise OSError(f"there are {MOST} files of that kind already")


def _write_sound(part: ImagePart | FilePart, path: Path) -> Path:
    """Write raw sound, 16 bits and one channel, with the header that players want."""
    rate = re.search(r"rate=(\d{4,6})", part.mime)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(rate[1]) if rate else RATE)
        file.writeframes(b64decode(part.data_b64))
    return path


def _name(part: Any) -> str:
    kind = kind_of(plain_type(part.mime))
    return NAMES.get(kind, kind)
