"""Hooks, plugins and questions, made in a line."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tako import Capabilities, ChatRequest, ChatResponse, Delta, End, Message, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


def saying(text: str) -> Any:
    """A chat hook whose model always says the same."""

    def tako_chat() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            return ChatResponse(Message.assistant(text))

        return chat

    return tako_chat


def streaming(*texts: str) -> Any:
    def tako_stream() -> Any:
        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            for text in texts:
                yield Delta(text)
            yield End()

        return stream

    return tako_stream


def able(provider: Provider) -> Capabilities:
    return Capabilities(max_context_tokens=1000)


def plugin(**hooks: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{name: function if hasattr(function, "tako_impl") else hookimpl(function) for name, function in hooks.items()}
    )


def ask(provider: Provider, request: Any = "hi") -> str:
    return asyncio.run(provider.chat(request)).text


def listen(provider: Provider, request: Any = "hi") -> list[str]:
    async def main() -> list[str]:
        return [text async for text in provider.stream(request).text]

    return asyncio.run(main())


def boom(provider: Provider) -> Any:
    raise ZeroDivisionError("boom")
