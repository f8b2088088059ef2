"""The streaming contract: deltas, then exactly one End; or an exception. Outermost, so that it holds for everyone."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from tako.errors import PluginError, ProviderError, ResponseError, StreamTruncatedError, TakoError
from tako.hooks import hookimpl
from tako.types import ChatResponse, Delta, End

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, Chunk


@hookimpl(wrapper=True, tryfirst=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Let no answer out but a response, and name the provider in what is raised."""
    inner = yield
    if not callable(inner):
        return inner

    async def chat(request: ChatRequest) -> ChatResponse:
        try:
            response = await answering(inner, request, provider)
        except TakoError as error:
            _name(error, provider, request)
            raise
        if not isinstance(response, ChatResponse):
            raise PluginError(f"{provider.id}: the function of tako_chat returned a {type(response).__name__}")
        return response

    return chat


@hookimpl(wrapper=True, tryfirst=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Check the chunks and their order, and name the provider in what is raised."""
    inner = yield
    if not callable(inner):
        return inner

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        ended = False
        async with aclosing(streaming(inner, request, provider)) as chunks:
            try:
                async for chunk in chunks:
                    if ended:
                        raise ResponseError("the plugin sent a chunk after the end of the stream")
                    if not isinstance(chunk, Delta):
                        if not isinstance(chunk, End):
                            raise PluginError(f"{provider.id}: tako_stream yielded a {type(chunk).__name__}, no chunk")
                        ended = True
                    yield chunk
                if not ended:
                    raise StreamTruncatedError("the stream ended before the vendor said so")
            except TakoError as error:
                _name(error, provider, request)
                raise

    return stream


def answering(inner: Chat, request: ChatRequest, provider: Provider) -> Awaitable[ChatResponse]:
    """Call a chat function, which a plugin may have got wrong."""
    answer: Any = inner(request)
    if not hasattr(answer, "__await__"):
        raise PluginError(f"{provider.id}: tako_chat must return an async function; calling it gave a {_kind(answer)}")
    return answer  # type: ignore[no-any-return]  # it can be awaited


def streaming(inner: Stream, request: ChatRequest, provider: Provider) -> AsyncGenerator[Chunk, None]:
    """Call a stream function, which a plugin may have got wrong."""
    chunks: Any = inner(request)
    if not hasattr(chunks, "aclose"):
        if inspect.iscoroutine(chunks):
            chunks.close()
        raise PluginError(
            f"{provider.id}: tako_stream must return an async generator function; calling it gave a {_kind(chunks)}"
        )
    return chunks  # type: ignore[no-any-return]  # it can be iterated and closed


def _name(error: TakoError, provider: Provider, request: ChatRequest) -> None:
    """Fill in who failed, where a plugin did not say."""
    if isinstance(error, ProviderError):
        error.provider = error.provider or provider.name
        error.model = error.model or request.model or provider.model


def _kind(value: object) -> str:
    return type(value).__name__
