"""What plugin authors and operators write; checked by mypy and pyright, strictly, and never run."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, assert_type

from msgspec.structs import replace

import tako
from tako import (
    Around,
    Capabilities,
    Chat,
    ChatRequest,
    ChatResponse,
    Delta,
    End,
    Message,
    Provider,
    Stream,
    Translator,
    hookimpl,
)
from tako.parts import ImagePart, Part

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.translator import PartContext
    from tako.types import Chunk


class Echo(Provider):
    """A provider of one's own."""

    name = "echo"

    def __init__(self, model: str = "loud", *, prefix: str = "") -> None:
        super().__init__(model)
        self.prefix = prefix


@hookimpl
def tako_capabilities(provider: Echo) -> Capabilities:
    """Answer for every model."""
    return Capabilities(max_context_tokens=1000, supports_streaming=True)


@hookimpl
def tako_chat(provider: Echo, translator: Translator) -> Chat:
    """Return the function that answers."""

    async def chat(request: ChatRequest) -> ChatResponse:
        return ChatResponse(Message.assistant(provider.prefix + request.messages[-1].text))

    return chat


@hookimpl
def tako_stream(provider: Echo) -> Stream:
    """Return the function that streams."""

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        yield Delta(text=request.messages[-1].text)
        yield End()

    return stream


class Budget:
    """A general plugin that is an object."""

    @hookimpl
    def tako_chat(self, provider: Provider) -> Chat | None:
        """Override some."""
        if provider.id != "openai:gpt-5":
            return None

        async def chat(request: ChatRequest) -> ChatResponse:
            return ChatResponse(Message.assistant("no more"))

        return chat

    @hookimpl(wrapper=True)
    def tako_stream(self) -> Around[Stream]:
        """Go around all."""
        inner = yield
        assert_type(inner, Stream)

        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with aclosing(inner(replace(request, max_tokens=100))) as chunks:
                async for chunk in chunks:
                    yield chunk

        return stream

    @hookimpl(wrapper=True)
    def tako_capabilities(self) -> Around[Capabilities]:
        """Correct one value."""
        known = yield
        return replace(known, supports_vision=False)

    @hookimpl(wrapper=True)
    def tako_translator(self) -> Around[Translator]:
        """Change one mapping."""
        inner = yield

        def encode(part: Part, context: PartContext) -> Any:
            if isinstance(part, ImagePart):
                context.notice("no_images", "images are not for this one")
                return None
            return inner.encode(part, context)

        return Translator(encode=encode, decode=inner.decode)


tako.register(Budget())
tako.register(Budget(), "budget")
tako.unregister("budget")
