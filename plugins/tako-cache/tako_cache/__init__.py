"""A response cache on disk for every tako provider: the same request is asked once.

Off until ``TAKO_CACHE_DIR`` names a directory, or ``tako.register(tako_cache.Cache("replies"))``. It stands innermost
of all plugins, next to the provider: what others edit of a request is part of its key, and what they edit of a reply
is edited again. Errors, and streams that have not come to their end, are never kept.
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
    """A plugin to register: keeps replies in a directory, which several processes may share.

    ``size_limit`` is in bytes; beyond it what was stored first goes first. ``expire`` is in seconds; None keeps replies
    for as long as there is room. ``hits`` and ``misses`` count since it was made.
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
        """Answer from the cache, or ask and keep the answer."""
        inner = yield
        return self.around_chat(provider, inner) if callable(inner) else inner

    @hookimpl(wrapper=True, trylast=True)
    def tako_stream(self, provider: Provider) -> Around[Stream]:
        """Replay chunks from the cache, or ask and keep them once the last one is there."""
        inner = yield
        return self.around_stream(provider, inner) if callable(inner) else inner

    @cached_property
    def store(self) -> Store:
        """Where the replies are; imported and made when it's first used."""
        from tako_cache.store import Store

        return Store(self.directory, self.size_limit, self.expire)

    def clear(self) -> None:
        """Forget all replies; blocks while the disk works."""
        self.store.clear()

    def around_chat(self, provider: Provider, inner: Chat) -> Chat:
        """Wrap a provider's chat function."""
        from tako_cache.shelf import CHAT, Shelf

        shelf = Shelf(self, provider, CHAT)

        async def chat(request: ChatRequest) -> ChatResponse:
            key, known = await shelf.look(request)
            if known is not None:
                return known
            response = await inner(request)
            await shelf.keep(key, response, response)
            return response

        return chat

    def around_stream(self, provider: Provider, inner: Stream) -> Stream:
        """Wrap a provider's stream function."""
        from tako_cache.shelf import STREAM, Shelf

        shelf = Shelf(self, provider, STREAM)

        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            key, known = await shelf.look(request)
            for chunk in known or ():
                yield chunk
            if known is not None:
                return
            kept: list[Chunk] = []
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    kept.append(chunk)
                    if chunk.kind == "end":
                        await shelf.keep(key, kept, chunk)
                    yield chunk

        return stream


_chosen: list[Cache] = []


def configure(*, directory: str | None = None, size_limit: int = 256 * MIB, expire: float | None = None) -> None:
    """Keep replies in a directory, as ``[plugins.cache]`` in tako.toml does; None leaves it to ``TAKO_CACHE_DIR``.

    The options are those of ``Cache``. Raises ConfigurationError.
    """
    _chosen[:] = [Cache(directory, size_limit, expire)] if directory else []


@hookimpl(wrapper=True, trylast=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Do what the cache of the options or of the environment does, if there is one."""
    inner = yield
    cache = _chosen[0] if _chosen else from_environment()
    return inner if cache is None or not callable(inner) else cache.around_chat(provider, inner)


@hookimpl(wrapper=True, trylast=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Do what the cache of the options or of the environment does, if there is one."""
    inner = yield
    cache = _chosen[0] if _chosen else from_environment()
    return inner if cache is None or not callable(inner) else cache.around_stream(provider, inner)


def from_environment() -> Cache | None:
    """Return the cache that ``TAKO_CACHE_DIR`` asks for, one for each directory; None where it is not set.

    ``TAKO_CACHE_SIZE_LIMIT`` (bytes) and ``TAKO_CACHE_EXPIRE`` (seconds) are its options.
    """
    directory = os.environ.get("TAKO_CACHE_DIR")
    if not directory:
        return None
    return _made(directory, os.environ.get("TAKO_CACHE_SIZE_LIMIT", ""), os.environ.get("TAKO_CACHE_EXPIRE", ""))


@lru_cache
def _made(directory: str, size_limit: str, expire: str) -> Cache:
    options: dict[str, Any] = {}
    try:
        if size_limit:
            options["size_limit"] = int(size_limit)
        if expire:
            options["expire"] = float(expire)
    except ValueError as error:
        raise ConfigurationError(f"TAKO_CACHE_SIZE_LIMIT and TAKO_CACHE_EXPIRE are numbers: {error}") from error
    return Cache(directory, **options)
