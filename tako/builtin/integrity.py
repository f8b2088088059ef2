"""The streaming contract: deltas, then exactly one End; or an exception. Outermost, so that it holds for everyone."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from tako.errors import PluginError, ProviderError, ResponseError, StreamTruncatedError, TakoError
from tako.hooks import hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk


@hookimpl(wrapper=True, tryfirst=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Let nothing out but a response or a TakoError that knows its provider."""
    inner: Chat = _callable((yield), "tako_chat", provider)

    async def chat(request: ChatRequest) -> ChatResponse:
        try:
            return await inner(request)
        except TakoError as error:
            _name(error, provider, request)
            raise

    return chat


@hookimpl(wrapper=True, tryfirst=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Check the order of the chunks and name the provider in what is raised."""
    inner: Stream = _callable((yield), "tako_stream", provider)

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        chunks = inner(request)
        if inspect.iscoroutine(chunks):
            chunks.close()
            raise PluginError(f"{provider.id}: tako_stream must return an async generator function, not a coroutine's")
        ended = False
        async with aclosing(chunks):
            try:
                async for chunk in chunks:
                    if ended:
                        raise ResponseError("the plugin sent a chunk after the end of the stream")
                    ended = chunk.kind == "end"
                    yield chunk
                if not ended:
                    raise StreamTruncatedError("the stream ended before the vendor said so")
            except TakoError as error:
                _name(error, provider, request)
                raise

    return stream


def _name(error: TakoError, provider: Provider, request: ChatRequest) -> None:
    """Fill in who failed, where a plugin did not say."""
    if isinstance(error, ProviderError):
        error.provider = error.provider or provider.name
        error.model = error.model or request.model or provider.model


def _callable(bound: Any, hook: str, provider: Provider) -> Any:
    if inspect.iscoroutine(bound):
        bound.close()
    if not callable(bound):
        raise PluginError(f"{provider.id}: {hook} must return an async function, not {type(bound).__name__}")
    return bound
