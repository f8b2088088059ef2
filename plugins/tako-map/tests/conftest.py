"""What the tests share: a vendor, a provider by id that asks it, and the command in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROVIDER = '''
"""A provider for tests: posts the request to `url`, with nothing but the standard library."""
import asyncio

import msgspec

from tako import Capabilities, ChatResponse, Message, Provider, Usage, errors, hookimpl

KINDS = {400: errors.BadRequestError, 401: errors.AuthenticationError, 429: errors.RateLimitError}


class Toy(Provider):
    name = "toy"

    def __init__(self, model="m", *, url="", api_key=None):
        super().__init__(model)
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
        found = msgspec.json.decode(data)
        return ChatResponse(Message.assistant(found["text"]), usage=Usage(found.get("in", 10), found.get("out", 5)))

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

collect_ignore = [] if find_spec("distributed") else ["test_dask.py"]  # the extra `dask`


@pytest.fixture
def toy(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a distribution with the provider `toy` where this process and its children find it."""
    place = tmp_path_factory.mktemp("site")
    (place / "tako_toy.py").write_text(PROVIDER)
    info = place / "tako_toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tako-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tako.providers]\ntoy = tako_toy:Toy\n")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", str(place))
    return place


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of inputs: so many rows with an id and a text."""

    def make(count: int, name: str = "in.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps({"id": f"k{i}", "text": f"thing {i}"}) + "\n" for i in range(count)))
        return path

    return make


class Command:
    """`tako map` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tako.cli", "map", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def kill_after(self, seconds: float) -> None:
        time.sleep(seconds)
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def interrupt(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture
def start() -> type[Command]:
    return Command


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def lines() -> Callable[[Path], list[dict[str, Any]]]:
    """Return a reader of results; every line must be whole."""
    return read


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("TAKO_") and name != "TAKO_DISABLE_PLUGINS":
            monkeypatch.delenv(name)
