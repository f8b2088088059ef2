"""What follows a vendor's terminator is nobody's: it is neither read nor taken for a cut."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tako.testing.dialects import find_dialect
from tako.testing.script import Script
from tako.testing.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

DIALECTS = {
    "openai": "completions",
    "azure-openai": "completions",
    "mistral": "completions",
    "anthropic": "messages",
    "ollama": "ollama",
}


@pytest.mark.parametrize("noise", [b'data: {"half": ', b'{"half": ', b"noise", b"\0\0\0"])
@pytest.mark.parametrize("name", DIALECTS)
def test_noise_after_the_end_changes_nothing(name: str, noise: bytes, at: Callable[..., Provider]) -> None:
    dialect = find_dialect(DIALECTS[name])
    script = Script(text="Hello there.")
    body = b"".join(dialect.events(script))

    async def main(url: str) -> None:
        async with at(name, url, max_retries=0) as provider:
            response = await provider.stream("hi").response()
        assert (response.text, response.finish_reason) == (script.text, "stop")

    for pieces in ([body + noise], [body, noise]):
        with serve(dialect.pieces(pieces)) as server:
            asyncio.run(main(server.url))
