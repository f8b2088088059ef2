"""The two plugins of docs/recipes/avif.md, on every vendor: asked at once and streamed, async and blocking."""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tako import ContentPart, Message, Provider, notices
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parent.parent / "docs" / "recipes" / "avif.md"
ALL = ("openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex")


def avif() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (3, 2), "red").save(buffer, "AVIF")
    return buffer.getvalue()


def plugin(name: str) -> Any:
    """Take a plugin out of the page: the block that defines it, which is at most thirty lines."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    code = next(block for block in blocks if f"class {name}:" in block).partition("\n\n\ntako.register")[0]
    assert len(code.strip().splitlines()) <= 30
    namespace: dict[str, Any] = {"__name__": "recipe"}
    first = next(block for block in blocks if "class Avif:" in block)
    exec(compile(first, str(PAGE), "exec"), namespace)
    exec(compile(code, str(PAGE), "exec"), namespace)
    return namespace[name]()


def sent(provider: Provider, message: Message, how: str) -> list[Any]:
    """Ask in one of four ways; return the notices."""
    if how == "blocking":
        return provider.blocking.chat([message]).notices
    if how == "blocking stream":
        with provider.blocking.stream([message]) as stream:
            list(stream)
            return stream.response().notices

    async def main() -> list[Any]:
        async with provider:
            if how == "async":
                return (await provider.chat([message])).notices
            async with provider.stream([message]) as stream:
                return (await stream.response()).notices

    return asyncio.run(main())


def png_in(body: Any) -> Image.Image:
    """Find the one PNG of a body, wherever the vendor has it."""
    (image,) = re.findall(r"iVBORw0KGgo[A-Za-z0-9+/=]*", str(body))
    return Image.open(BytesIO(b64decode(image)))


@pytest.mark.parametrize("how", ["async", "async stream", "blocking", "blocking stream"])
@pytest.mark.parametrize("name", ALL)
def test_avif_goes_out_as_png(
    name: str, how: str, at: Callable[..., Provider], answers: dict[str, Any], register: Callable[..., None]
) -> None:
    data = avif()
    parts = [ContentPart.text("?"), ContentPart.image_bytes(data, "image/avif")]
    prefixed = ContentPart.image("image/avif", "data:image/avif;base64," + b64encode(data).decode())
    with serve(reply(json=answers[name])) as server:
        provider = at(name, server.url)
        before = sent(provider, Message.user(parts), how)
        assert [notice.code for notice in before] == [notices.UNSUPPORTED_MEDIA_TYPE]
        register(plugin("Avif"), "avif")
        for image in (parts[1], prefixed):
            assert sent(provider, Message.user([parts[0], image]), how) == []
            assert png_in(server.requests[-1].json).size == (3, 2)


@pytest.mark.parametrize("how", ["async", "async stream", "blocking", "blocking stream"])
@pytest.mark.parametrize("name", ALL)
def test_card_numbers_stay_at_home(
    name: str, how: str, at: Callable[..., Provider], answers: dict[str, Any], register: Callable[..., None]
) -> None:
    register(plugin("Redact"), "redact")
    with serve(reply(json=answers[name])) as server:
        assert sent(at(name, server.url), Message.user("Charge 4111 1111 1111 1111, please."), how) == []
    assert b"4111" not in server.requests[0].body
    assert b"Charge [card], please." in server.requests[0].body


@pytest.mark.parametrize("name", ALL)
def test_card_numbers_that_a_tool_found_stay_at_home(
    name: str, at: Callable[..., Provider], answers: dict[str, Any], register: Callable[..., None]
) -> None:
    register(plugin("Redact"), "redact")
    turns = [
        Message.user("Which card?"),
        Message.assistant([ContentPart.tool_call("call_0001", "card", {})]),
        Message.tool("call_0001", "It is 4111-1111-1111-1111."),
    ]
    with serve(reply(json=answers[name])) as server:
        at(name, server.url).blocking.chat(turns)
    assert b"4111" not in server.requests[0].body
    assert b"It is [card]." in server.requests[0].body


@pytest.mark.parametrize("name", ALL)
def test_parts_inside_of_results_come_by_as_well(
    name: str, at: Callable[..., Provider], answers: dict[str, Any], register: Callable[..., None]
) -> None:
    register(plugin("Redact"), "redact")
    register(plugin("Avif"), "avif")
    seen = [ContentPart.text("It says 4111111111111111."), ContentPart.image_bytes(avif(), "image/avif")]
    turns = [
        Message.user("What do you see?"),
        Message.assistant([ContentPart.tool_call("call_0001", "camera", {})]),
        Message.tool("call_0001", seen),
    ]
    with serve(reply(json=answers[name])) as server:
        response = at(name, server.url).blocking.chat(turns)
    body = server.requests[0].json
    assert "It says [card]." in str(body)
    assert png_in(body).size == (3, 2)
    beside = name in ("openai", "azure-openai", "mistral")
    assert (notices.CHANGED_PART in [notice.code for notice in response.notices]) == beside
