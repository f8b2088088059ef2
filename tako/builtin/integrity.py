"""The streaming contract: deltas, then exactly one End; or an exception. Outermost, so that it holds for everyone."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from tako.errors import ProviderError, StreamTruncatedError
from tako.hooks import hookimpl
from tako.hooks.failures import passes
from tako.hooks.layers import answering, in_order, provider_failure, response_of, streaming
from tako.types import ChatResponse, Delta, End

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, Chunk

T = TypeVar("T", ChatResponse, End)


@hookimpl(wrapper=True, tryfirst=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Let no answer out but a response, and name the provider in what is raised."""
    inner = yield

    async def chat(request: ChatRequest) -> ChatResponse:
        try:
            response = await answering(inner, request)
            checked = response if response.__class__ is ChatResponse else response_of(response)
            return checked if checked.provider else answered(checked, provider, request)
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
                        if isinstance(chunk, End) and not chunk.provider:
                            chunk = answered(chunk, provider, request)  # noqa: PLW2901
                    yield chunk
            if not ended:
                raise StreamTruncatedError("the stream ended before the vendor said so")  # noqa: TRY301 - named below
        except BaseException as error:
            if passes(error):
                _name(error, provider, request)
                raise
            raise provider_failure(error, provider, request) from error

    return stream


def answered(end: T, provider: Provider, request: ChatRequest) -> T:
    """Fill in who answered and what it cost, unless someone further in has said so, whose prices are others.

    Done next to the provider's own code, so that plugins see it and may ask another model; and here, for what plugins
    answer themselves.
    """
    who = end.provider or f"{provider.name}:{request.model or provider.model}"
    own = end.cost is None and who == f"{provider.name}:{request.model or provider.model}"
    cost = provider.cost(end, request) if own else end.cost
    return end if (who, cost) == (end.provider, end.cost) else replace(end, provider=who, cost=cost)


def _name(error: BaseException, provider: Provider, request: ChatRequest) -> None:
    """Fill in who failed, where a plugin did not say."""
    if isinstance(error, ProviderError):
        error.provider = error.provider or provider.name
        error.model = error.model or request.model or provider.model
