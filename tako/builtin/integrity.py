"""The streaming contract: deltas, then exactly one End; or an exception. Outermost, so that it holds for everyone."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tako.errors import ProviderError, StreamTruncatedError
from tako.hooks import hookimpl
from tako.hooks.failures import passes
from tako.hooks.layers import answering, in_order, provider_failure, response_of, streaming
from tako.types import ChatResponse, Delta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, Chunk


@hookimpl(wrapper=True, tryfirst=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Let no answer out but a response, and name the provider in what is raised."""
    inner = yield

    async def chat(request: ChatRequest) -> ChatResponse:
        try:
            response = await answering(inner, request)
            return response if response.__class__ is ChatResponse else response_of(response)
        except BaseException as error:
            if passes(error):
                _name(error, provider, request)
                raise
            raise provider_failure(error, provider, request) from error

    return chat


@hookimpl(wrapper=True, tryfirst=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Check the chunks and their order, and name the provider in what is raised."""
    inner = yield

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        ended = False
        try:
            async with aclosing(streaming(inner, request)) as chunks:
                async for chunk in chunks:
                    if ended or chunk.__class__ is not Delta:  # most are deltas
                        ended = in_order(chunk, ended=ended)
                    yield chunk
            if not ended:
                raise StreamTruncatedError("the stream ended before the vendor said so")  # noqa: TRY301 - named below
        except BaseException as error:
            if passes(error):
                _name(error, provider, request)
                raise
            raise provider_failure(error, provider, request) from error

    return stream


def _name(error: BaseException, provider: Provider, request: ChatRequest) -> None:
    """Fill in who failed, where a plugin did not say."""
    if isinstance(error, ProviderError):
        error.provider = error.provider or provider.name
        error.model = error.model or request.model or provider.model
