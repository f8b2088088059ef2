from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from tako_llamacpp import embedded

from tako.providers import LlamaCpp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def model() -> Iterator[LlamaCpp]:
    """The real model, loaded once; tests that need it in other states make their own provider, which shares it."""
    if not LlamaCpp.ready():  # an environment with this plugin alone fetches it the way a pip user does
        embedded.setup(print)
    provider = LlamaCpp()
    provider.blocking.chat("Hello")
    yield provider
    provider.blocking.close()


@pytest.fixture
def gguf(tmp_path: Path) -> Callable[..., Path]:
    """Write the beginning of a GGUF file from keys and values."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def write(**values: str | int | list[str]) -> Path:
        data = b"GGUF" + struct.pack("<IQQ", 3, 0, len(values))
        for name, value in values.items():
            data += text(name.replace("__", "."))
            if isinstance(value, str):
                data += struct.pack("<I", 8) + text(value)
            elif isinstance(value, int):
                data += struct.pack("<II", 4, value)
            else:
                data += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
        path = tmp_path / "some.gguf"
        path.write_bytes(data)
        return path

    return write
