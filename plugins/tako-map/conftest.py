"""Shared by all tests, those on Ray too: a provider that calls a server on loopback, and a clock that jumps."""

# ruff: noqa: INP001 - a folder of tests
from __future__ import annotations

import asyncio
import os
import selectors
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

PROVIDER = '''
"""A provider for tests: posts the request to `url`, with the standard library only."""
import asyncio

import msgspec

from tako import Capabilities, ChatResponse, Message, Provider, Usage, errors, hookimpl

KINDS = {400: errors.BadRequestError, 401: errors.AuthenticationError, 429: errors.RateLimitError}


class Toy(Provider):
    name = "toy"

    def __init__(self, model="m", *, url="", capabilities=None, api_key=None, headers=None, place="", style="", **more):
        super().__init__(model, capabilities=capabilities)
        assert more.keys() <= {"timeout", "max_retries"}
        self.url = url


@hookimpl
def tako_capabilities(provider):
    return Capabilities(usd_per_input_mtok=1.0, usd_per_output_mtok=1.0, supports_json_mode=True)


@hookimpl
def tako_chat(provider):
    async def chat(request):
        status, headers, data = await post(provider.url, msgspec.json.encode(request))
        if status != 200:
            wait = float(headers.get("retry-after", 0)) or None
            raise KINDS.get(status, errors.ServerError)("refused", status_code=status, retry_after=wait)
        answer = msgspec.json.decode(data)
        return ChatResponse(Message.assistant(answer["text"]), usage=Usage(answer.get("in", 10), answer.get("out", 5)))

    return chat


async def post(url, body):
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"POST / HTTP/1.1\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
        head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().split("\\r\\n")
        data = b""
        while size := int(await reader.readline(), 16):
            data += (await reader.readexactly(size + 2))[:-2]
    except (OSError, EOFError, asyncio.IncompleteReadError) as error:
        raise errors.TransportError("no reply") from error
    finally:
        writer.close()
    return int(head[0].split()[1]), dict(line.split(": ", 1) for line in head[1:] if line), data
'''


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an installed distribution that has the provider `toy`."""
    return _distribution(tmp_path_factory.mktemp("site"), "1.0")


@pytest.fixture
def toy(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put `toy` on the path of this process and its children."""
    monkeypatch.syspath_prepend(str(toy_folder))
    monkeypatch.setenv("PYTHONPATH", str(toy_folder))
    return toy_folder


@pytest.fixture
def newer_toy(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put version 2.0 of `toy` on the path of this process, but not of its children."""
    monkeypatch.syspath_prepend(str(_distribution(tmp_path, "2.0")))


def _distribution(folder: Path, version: str) -> Path:
    (folder / "tako_toy.py").write_text(PROVIDER)
    info = folder / f"tako_toy-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tako-toy\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("[tako.providers]\ntoy = tako_toy:Toy\n")
    return folder


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio."""
    return "asyncio"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove tako's variables."""
    for name in list(os.environ):
        if name.startswith("TAKO_") and name != "TAKO_DISABLE_PLUGINS":
            monkeypatch.delenv(name)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when there is nothing else to do, so minutes take no time."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(JumpingSelector(self))

    def time(self) -> float:
        """Return the seconds on this clock."""
        return self.now


class JumpingSelector(selectors.DefaultSelector):
    """Waits for files only."""

    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; if nothing is, move the clock to the next timer."""
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout is not None:
            self.loop.now += max(timeout, 0.0)
        return ready


@pytest.fixture
def run_jumping() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Return a function that runs a coroutine on a clock that jumps."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            return runner.run(coroutine)

    return run
