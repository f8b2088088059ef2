"""A response cache on disk for every tako provider: the same request is sent only once.

Off until ``TAKO_CACHE_DIR`` names a directory, or ``tako.register(tako_cache.Cache("replies"))``. It's the
innermost plugin, next to the provider: edits of a request by other plugins are part of the key, and their edits of a
reply happen again. Errors and incomplete streams are never stored.
"""

from __future__ import annotations

import os
from contextlib import aclosing
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError
from tako.hooks import hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk
    from tako_cache.store import Store

tako_hooks = 1

MIB = 1024 * 1024


class Cache:
    """A plugin to register: stores replies in a directory, which several processes may share.

    ``size_limit`` is in bytes; above it, the oldest replies are deleted. ``expire`` is in seconds; with None, replies
    stay while there is room. ``hits`` and ``misses`` count since the cache was made.
    """

    def __init__(
        self, directory: str | os.PathLike[str], size_limit: int = 256 * MIB, expire: float | None = None
    ) -> None:
        if size_limit <= 0 or (expire is not None and expire <= 0):
            raise ConfigurationError(f"tako-cache: size_limit={size_limit} and expire={expire} must be above 0")
        self.directory = os.fspath(directory)
        self.size_limit = size_limit
        self.expire = expire
        self.hits = 0
        self.misses = 0

    @hookimpl(wrapper=True, trylast=True)
    def tako_chat(self, provider: Provider) -> Around[Chat]:
        """Answer from the cache, or send the request and store the response."""
        inner = yield
        return self.around_chat(provider, inner) if callable(inner) else inner

    @hookimpl(wrapper=True, trylast=True)
    def tako_stream(self, provider: Provider) -> Around[Stream]:
        """Replay chunks from the cache, or send the request and store them after the last one."""
        inner = yield
        return self.around_stream(provider, inner) if callable(inner) else inner

    @cached_property
    def store(self) -> Store:
        """Where the replies are; imported and made when it's first used."""
        from tako_cache.store import Store

        return Store(self.directory, self.size_limit, self.expire)

    def clear(self) -> None:
        """Delete all replies. Blocks while it writes to the disk."""
        self.store.clear()

    def around_chat(self, provider: Provider, inner: Chat) -> Chat:
        """Wrap a provider's chat function."""
        from tako_cache.provider_cache import CHAT, ProviderCache

        replies = ProviderCache(self, provider, CHAT)

        async def chat(request: ChatRequest) -> ChatResponse:
            key, stored = await replies.get(request)
            if stored is not None:
                return stored
            response = await inner(request)
            await replies.set(key, response, response)
            return response

        return chat

    def around_stream(self, provider: Provider, inner: Stream) -> Stream:
        """Wrap a provider's stream function."""
        from tako_cache.provider_cache import STREAM, ProviderCache

        replies = ProviderCache(self, provider, STREAM)

        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            key, stored = await replies.get(request)
            for chunk in stored or ():
                yield chunk
            if stored is not None:
                return
            received: list[Chunk] = []
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    received.append(chunk)
                    if chunk.kind == "end":
                        await replies.set(key, received, chunk)
                    yield chunk

        return stream


_configured: list[Cache] = []


def configure(*, directory: str | None = None, size_limit: int = 256 * MIB, expire: float | None = None) -> None:
    """Store replies in a directory, as ``[plugins.cache]`` in tako.toml does. With None, ``TAKO_CACHE_DIR`` decides.

    The options are those of ``Cache``. Raises ConfigurationError.
    """
    _configured[:] = [Cache(directory, size_limit, expire)] if directory else []


@hookimpl(wrapper=True, trylast=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Use the cache of the options or the environment, if there is one."""
    inner = yield
    cache = _configured[0] if _configured else from_environment()
    return inner if cache is None or not callable(inner) else cache.around_chat(provider, inner)


@hookimpl(wrapper=True, trylast=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Use the cache of the options or the environment, if there is one."""
    inner = yield
    cache = _configured[0] if _configured else from_environment()
    return inner if cache is None or not callable(inner) else cache.around_stream(provider, inner)


def from_environment() -> Cache | None:
    """Return the cache of the directory ``TAKO_CACHE_DIR``; None if it isn't set.

    ``TAKO_CACHE_SIZE_LIMIT`` (bytes) and ``TAKO_CACHE_EXPIRE`` (seconds) are its options.
    """
    directory = os.environ.get("TAKO_CACHE_DIR")
    if not directory:
        return None
    return _cached(directory, os.environ.get("TAKO_CACHE_SIZE_LIMIT", ""), os.environ.get("TAKO_CACHE_EXPIRE", ""))


@lru_cache
def _cached(directory: str, size_limit: str, expire: str) -> Cache:
    options: dict[str, Any] = {}
    try:
        if size_limit:
            options["size_limit"] = int(size_limit)
        if expire:
            options["expire"] = float(expire)
    except ValueError as error:
        raise ConfigurationError(f"TAKO_CACHE_SIZE_LIMIT and TAKO_CACHE_EXPIRE must be numbers: {error}") from error
    return Cache(directory, **options)
