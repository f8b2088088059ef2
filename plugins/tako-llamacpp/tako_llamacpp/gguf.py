"""The header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""

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
    """What the plugin needs from a model: its context in tokens (None if unknown), and its chat template."""

    context_length: int | None
    template: str


def read_header(path: Path, owner: str) -> Header:
    """Read a model's header. Raises ConfigurationError if the file isn't GGUF, or can't be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != MAGIC:
                raise ConfigurationError(f"{owner}: {path} isn't a GGUF file")
            return Header(_context_length(data), _template(data))
    except (OSError, ValueError, struct.error) as error:  # mmap raises ValueError for an empty file
        raise ConfigurationError(f"{owner}: {path} can't be read as a GGUF file: {error}") from error


def _context_length(data: mmap.mmap) -> int | None:
    """Find ``{architecture}.context_length``, which is before the long tables of the tokenizer."""
    architecture = ""
    for key, value in _values(data):
        if key == "general.architecture":
            architecture = str(value)
        elif architecture and key == f"{architecture}.context_length" and isinstance(value, int):
            return value
    return None


def _template(data: mmap.mmap) -> str:
    """Find the chat template by its key, which is faster than reading a hundred thousand tokens before it."""
    key = struct.pack("<Q", len(TEMPLATE)) + TEMPLATE.encode() + struct.pack("<I", STRING)
    position = data.find(key)
    return _string(data, position + len(key))[0] if position >= 0 else ""


def _values(data: mmap.mmap) -> Iterator[tuple[str, str | int | float | None]]:
    """Iterate over keys and values. Arrays are skipped, and have the value None."""
    (count,) = struct.unpack_from("<Q", data, 16)
    position = 24
    for _ in range(count):
        key, position = _string(data, position)
        (kind,) = struct.unpack_from("<I", data, position)
        value, position = _value(data, position + 4, kind)
        yield key, value


def _value(data: mmap.mmap, position: int, kind: int) -> tuple[str | int | float | None, int]:
    if kind == STRING:
        return _string(data, position)
    if kind == ARRAY:
        inner, count = struct.unpack_from("<IQ", data, position)
        position += 12
        if inner in SCALARS:
            return None, position + count * struct.calcsize(SCALARS[inner])
        for _ in range(count):
            _, position = _value(data, position, inner)
        return None, position
    if kind not in SCALARS:
        raise ValueError(f"a value has the unknown type {kind}")
    (value,) = struct.unpack_from(SCALARS[kind], data, position)
    return value, position + struct.calcsize(SCALARS[kind])


def _string(data: mmap.mmap, position: int) -> tuple[str, int]:
    (size,) = struct.unpack_from("<Q", data, position)
    end = position + 8 + size
    if end > len(data):
        raise ValueError("the file ends within its header")
    return data[position + 8 : end].decode("utf-8", "replace"), end
