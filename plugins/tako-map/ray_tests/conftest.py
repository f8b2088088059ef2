"""A provider that workers find by its id."""

# ruff: noqa: INP001 - a folder of tests
from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

collect_ignore = [] if find_spec("ray") else ["test_ray.py"]
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
