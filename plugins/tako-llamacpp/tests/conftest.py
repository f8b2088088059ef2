from __future__ import annotations

import asyncio
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tako_llamacpp import embedded

from tako import ChatRequest, Message
from tako.providers import LlamaCpp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HANG = 120.0


@pytest.fixture(scope="session")
def model() -> Iterator[LlamaCpp]:
    """The real model, loaded once; tests that need it in other states make their own provider, which shares it."""
    if not LlamaCpp.ready():  # an environment with this plugin alone fetches it the way a pip user does
        embedded.setup(print)
    provider = LlamaCpp()
    provider.blocking.chat(ChatRequest([Message.user("Hello")], max_tokens=1))
    yield provider
    provider.blocking.close()


class Watched:
    """The real model in a wrapper that counts the chunks of each call, and can pause in one."""

    def __init__(self, engine: Any) -> None:
        self.provider = LlamaCpp()
        self.chunk_counts: list[int] = []
        self.most_at_once = 0
        self.pause_at = 0, 0
        """The index of a call, and the chunk at which the model pauses until the gate is open."""
        self.gate = threading.Event()
        self._is_paused = threading.Event()
        self._running = 0
        self._engine = engine
        self.is_own_process, self.queue = engine.is_own_process, engine.queue
        untyped: Any = self.provider
        untyped._engine = self

    async def paused(self) -> None:
        """Wait until the model pauses."""
        assert await asyncio.to_thread(self._is_paused.wait, HANG)

    def answer(self, body: dict[str, Any], put: Callable[[dict[str, Any]], bool]) -> None:
        number = len(self.chunk_counts)
        self.chunk_counts.append(0)
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)

        def counting(chunk: dict[str, Any]) -> bool:
            self.chunk_counts[number] += 1
            if (number, self.chunk_counts[number]) == self.pause_at:
                self._is_paused.set()
                assert self.gate.wait(HANG)
            return put(chunk)

        self._engine.answer(body, counting)
        self._running -= 1


@pytest.fixture
def watched(model: LlamaCpp) -> Watched:
    return Watched(model._engine)


@pytest.fixture
def gguf(tmp_path: Path) -> Callable[..., Path]:
    """Write the header of a GGUF file with these keys and values."""

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
