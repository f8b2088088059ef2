"""A plugin of a wire with blocks that loses their boundaries, or one of them: the suite finds it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import tako_anthropic
from msgspec.structs import replace

from tako import Chat, ChatRequest, ChatResponse, Message, hookimpl
from tako.fold import chunks_of, fold
from tako.parts import TextPart, VendorPart
from tako.testing.suite import ProviderSuite, run_suite

if TYPE_CHECKING:
    from tako import Stream
    from tako.parts import Part
    from tako.translator import Translator
    from tako.types import Chunk

Change = Callable[[list["Part"]], list["Part"]]
_numbers = count()


def merged(parts: list[Part]) -> list[Part]:
    """Make one text of neighbours."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, TextPart) and isinstance(last, TextPart):
            joined[-1] = TextPart(last.text + part.text)
        else:
            joined.append(part)
    return joined


def known(parts: list[Part]) -> list[Part]:
    return [part for part in parts if not isinstance(part, VendorPart)]


def moved(parts: list[Part]) -> list[Part]:
    """Put blocks that nobody knows last."""
    return sorted(parts, key=lambda part: isinstance(part, VendorPart))


def judged(change: Change, *, streams: bool) -> str:
    """Return what the check of blocks says of a plugin that changes the parts of replies, or of streams alone."""
    cls = build(change, streams=streams)

    class Suite(ProviderSuite):
        dialect = "messages"

        def provider(self, base_url: str, **options: Any) -> Any:
            return cls("claude-sonnet-4-5", api_key=self.secret, base_url=base_url, **options)

    result = run_suite(Suite, ["blocks_stay_apart"]).results["blocks_stay_apart"]
    return f"{result.outcome}: {result.reason}"


def build(change: Change, *, streams: bool) -> type[tako_anthropic.Anthropic]:
    module = ModuleType(f"blocks_{next(_numbers)}")
    sys.modules[module.__name__] = module

    def changed(message: Message) -> Message:
        return replace(message, content=change(message.parts))

    def tako_chat(provider: tako_anthropic.Anthropic, translator: Translator) -> Chat:
        inner = tako_anthropic.tako_chat(provider, translator)

        async def chat(request: ChatRequest) -> ChatResponse:
            response = await inner(request)
            return response if streams else replace(response, message=changed(response.message))

        return chat

    def tako_stream(provider: tako_anthropic.Anthropic, translator: Translator) -> Stream:
        inner = tako_anthropic.tako_stream(provider, translator)

        async def stream(request: ChatRequest) -> Any:
            chunks: list[Chunk] = [chunk async for chunk in inner(request)]
            response = fold(chunks, provider.id, provider.model)
            for chunk in chunks_of(replace(response, message=changed(response.message)) if streams else response):
                yield chunk

        return stream

    for hook in (tako_chat, tako_stream):
        setattr(module, hook.__name__, hookimpl(hook))
    for name in ("tako_capabilities", "tako_translator"):
        setattr(module, name, getattr(tako_anthropic, name))
    return type("Blocks", (tako_anthropic.Anthropic,), {"__module__": module.__name__, "name": "anthropic"})


@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (merged, "parts of a reply with four blocks"),
        (known, "parts of a reply with four blocks"),
        (moved, "the places of blocks that went back"),
    ],
)
def test_a_lost_boundary_or_block_is_caught(change: Change, message: str, streams: bool) -> None:
    outcome = judged(change, streams=streams)
    assert outcome.startswith(f"failed: CheckFailed: {'stream' if streams else 'chat'}: {message}")


def test_a_plugin_that_keeps_all_passes() -> None:
    assert judged(lambda parts: parts, streams=True).startswith("passed")
