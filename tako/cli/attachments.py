"""Images and files of the command: those that go to the model with a prompt, and those of the answer."""

from __future__ import annotations

import os
import re
import wave
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tako.cli.arguments import UsageError
from tako.cli.run import print_to_stderr
from tako.media import canonical_type, kind_of, suffix_of
from tako.parts import ContentPart, FileIdPart, FilePart, FileUrlPart, ImagePart, ImageUrlPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tako.types import ChatResponse, Part

ADDRESSES = ("http", "https", "data", "gs", "s3")
RAW_AUDIO = ("audio/l16", "audio/pcm")
"""Audio without a header. Most programs only play it with one."""
RATE = 24_000
"""Samples per second of raw audio without a rate, as OpenAI and Google send it."""
NAMES = {"document": "file", "text": "file"}
MAX_FILES = 10_000


def read_attachments(sources: Iterable[tuple[str, str]]) -> list[Part]:
    """Read what ``--image`` and ``--file`` name, in order: addresses, and files on disk. Raises UsageError."""
    return [_read_attachment(option, source) for option, source in sources]


def _read_attachment(option: str, source: str) -> Part:
    if source.partition(":")[0].lower() in ADDRESSES:
        return ContentPart.image_url(source) if option == "image" else ContentPart.file_url(source)
    path = os.path.expanduser(source)  # noqa: PTH111 - Path's raises for an unknown user
    try:
        return ContentPart.image_file(path) if option == "image" else _read_file(path)
    except OSError as error:
        raise UsageError(f"--{option} {source}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"--{option} {error}") from error


def _read_file(path: str) -> Part:
    """Read a file. One of an unknown type may be text."""
    try:
        return ContentPart.file_path(path)
    except ValueError:
        Path(path).read_text(encoding="utf-8")  # a UnicodeDecodeError is a ValueError
        return ContentPart.file_path(path, mime="text/plain")


def write_media(response: ChatResponse) -> None:
    """Write images, audio and files of an answer to the current folder, and print their names on stderr."""
    for part in (*response.images, *response.files):
        if isinstance(part, (ImageUrlPart, FileUrlPart)):
            print_to_stderr(f"tako: the model made {part.url}")
        elif isinstance(part, FileIdPart):
            print_to_stderr(f"tako: the model made a file, which {part.provider} stores as {part.id}")
        else:
            try:
                print_to_stderr(f"tako: written to {_write_part(part)}")
            except (OSError, ValueError) as error:
                print_to_stderr(f"tako: the {_name_of_kind(part)} of the answer can't be written: {error}")


def _write_part(part: ImagePart | FilePart) -> Path:
    """Write a part to a new file; existing files are not overwritten."""
    is_raw = part.mime.lower().startswith(RAW_AUDIO)
    suffix = ".wav" if is_raw else suffix_of(part.mime)
    for number in range(1, MAX_FILES):
        path = Path(f"{_name_of_kind(part)}-{number}{suffix}")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return _write_audio(part, path) if is_raw else part.save(path)
    raise OSError(f"the folder already has {MAX_FILES} such files")


def _write_audio(part: ImagePart | FilePart, path: Path) -> Path:
    """Write raw audio (16 bits, one channel) with a header, which players need."""
    rate = re.search(r"rate=(\d{4,6})", part.mime)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(rate[1]) if rate else RATE)
        file.writeframes(b64decode(part.data_b64))
    return path


def _name_of_kind(part: Any) -> str:
    kind = kind_of(canonical_type(part.mime))
    return NAMES.get(kind, kind)
