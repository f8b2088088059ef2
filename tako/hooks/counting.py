"""Counting tokens: the request passes the plugins as a chat does, and is taken where the provider's own code begins.

What a vendor counts is sent to it, so plugins that change or refuse requests have to come first. The plugins' functions
are the same as for a chat. Once one has passed the request on, the count cancels it, as a caller may cancel a chat.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tako.errors import UnsupportedError
from tako.hooks.nested_calls import ACTIVE_CALL, ActiveCall
from tako.listing import TokenCount
from tako.types import ChatRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from tako.hookspecs import Chat
    from tako.provider import Provider
    from tako.types import ChatResponse, Chunk

    CountTokens = Callable[[Any, ChatRequest], Awaitable[TokenCount]]


class Count(Struct):
    """A count that runs: ``scope`` is the anyio.CancelScope that ends the plugins, ``request`` is what they left."""

    provider: Any
    scope: Any
    request: ChatRequest | None = None


COUNT: ContextVar[Count | None] = ContextVar("count", default=None)
PASSED: ContextVar[Any] = ContextVar("passed", default=None)
"""The provider whose own code counts a request that has passed the plugins."""


def is_counting() -> bool:
    """Whether the request that a plugin sees is only counted, so that there's no reply."""
    return COUNT.get() is not None


async def count_after_plugins(provider: Provider, chat: Chat, request: ChatRequest) -> TokenCount:
    """Count the tokens of a request as the plugins in ``chat`` leave it.

    If a plugin answers the request itself, as a cache does, its reply says how many tokens the request has.
    """
    import anyio

    count = Count(provider, anyio.CancelScope())
    tokens = 0
    with _set(count, ActiveCall(None, "chat")), count.scope:
        response = await chat(request)
        tokens = response.usage.input_tokens
    if count.request is not None:
        outer = PASSED.get()
        PASSED.set(provider)
        try:
            return await provider.count(count.request)
        finally:
            PASSED.set(outer)
    if not tokens:
        raise UnsupportedError(f"{provider.id} can't count tokens: a plugin answered the request itself")
    return TokenCount(tokens)


def after_plugins(count: CountTokens) -> CountTokens:
    """Return a provider's ``count`` that lets a request pass the plugins first, if it hasn't."""

    @wraps(count)
    async def counted(provider: Any, request: ChatRequest) -> TokenCount:
        if PASSED.get() is provider:
            return await count(provider, request)
        counted_tokens: TokenCount = await provider.count_tokens(request)
        return counted_tokens

    return counted


def countable(chat: Chat, provider: Provider, plugin: str | None) -> Chat:
    """Return a chat function that isn't called for a count. ``plugin`` answers in the provider's place, if it's set."""

    def countable_chat(request: ChatRequest) -> Awaitable[ChatResponse]:
        count = COUNT.get()
        if count is None or count.provider is not provider:
            return chat(request)
        if plugin is not None:
            raise UnsupportedError(f"{provider.id} can't count tokens: plugin {plugin!r} answers in its place")
        return _take(count, request)

    return countable_chat


async def _take(count: Count, request: ChatRequest) -> ChatResponse:
    import anyio.lowlevel

    count.request = request
    count.scope.cancel()
    await anyio.lowlevel.checkpoint()
    raise UnsupportedError(f"{count.provider.id} can't count tokens: a plugin shields its call from being cancelled")


def outside_count(function: Any, method: str) -> Any:
    """Return a chat or stream function for a plugin's own call during a count: it's answered, not counted."""

    async def chat(request: ChatRequest) -> ChatResponse:
        with _set(None, None):
            response: ChatResponse = await function(request)
            return response

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        chunks: AsyncGenerator[Chunk, None] = function(request)
        try:
            while True:
                with _set(None, None):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk
        finally:
            await chunks.aclose()

    return chat if method == "chat" else stream


@contextmanager
def _set(count: Count | None, call: ActiveCall | None) -> Generator[None]:
    """Run code with these context variables. It mustn't contain a ``yield`` of chunks."""
    outer, outer_call = COUNT.get(), ACTIVE_CALL.get()
    COUNT.set(count)
    ACTIVE_CALL.set(call)
    try:
        yield
    finally:
        COUNT.set(outer)
        ACTIVE_CALL.set(outer_call)
