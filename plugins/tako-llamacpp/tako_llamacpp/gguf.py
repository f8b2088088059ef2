"""The beginning of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING

from msgspec import Struct

from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TEMPLATE = "tokenizer.chat_template"


class Header(Struct, frozen=True):
    """What the plugin wants to know of a model: its context in tokens (None: not said), and its chat template."""

    context_length: int | None
    template: str


def read_header(path: Path, owner: str) -> Header:
    """Read a model's header; raises ConfigurationError where the file is no GGUF or cannot be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != MAGIC:
                raise ConfigurationError(f"{owner}: {path} isn't a GGUF file")
            return Header(_context_length(data), _template(data))
    except (OSError, ValueError, struct.error) as error:  # mmap refuses an empty file by ValueError
        raise ConfigurationError(f"{owner}: {path} can't be read as a GGUF file: {error}") from error


def _context_length(data: mmap.mmap) -> int | None:
    """Find ``{architecture}.context_length``, which stands before the long tables of the tokenizer."""
    architecture = ""
    for key, value in _values(data):
        if key == "general.architecture":
            architecture = str(value)
        elif architecture and key == f"{architecture}.context_length" and isinstance(value, int):
            return value
    return None


def _template(data: mmap.mmap) -> str:
    """Find the chat template by its key: walking to it would pass a hundred thousand tokens."""
    key = struct.pack("<Q", len(TEMPLATE)) + TEMPLATE.encode() + struct.pack("<I", STRING)
    at = data.find(key)
    return _string(data, at + len(key))[0] if at >= 0 else ""


def _values(data: mmap.mmap) -> Iterator[tuple[str, str | int | float | None]]:
    """Iterate over keys and values; arrays are stepped over and have the value None."""
    (count,) = struct.unpack_from("<Q", data, 16)
    at = 24
    for _ in range(count):
        key, at = _string(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        value, at = _value(data, at + 4, kind)
        yield key, value


def _value(data: mmap.mmap, at: int, kind: int) -> tuple[str | int | float | None, int]:
    if kind == STRING:
        return _string(data, at)
    if kind == ARRAY:
        inner, count = struct.unpack_from("<IQ", data, at)
        at += 12
        if inner in SCALARS:
            return None, at + count * struct.calcsize(SCALARS[inner])
        for _ in range(count):
            _, at = _value(data, at, inner)
        return None, at
    if kind not in SCALARS:
        raise ValueError(f"a value of the unknown kind {kind}")
    (value,) = struct.unpack_from(SCALARS[kind], data, at)
    return value, at + struct.calcsize(SCALARS[kind])


def _string(data: mmap.mmap, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + size
    if end > len(data):
        raise ValueError("it ends within its header")
    return data[at + 8 : end].decode("utf-8", "replace"), end
