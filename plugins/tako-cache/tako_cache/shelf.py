"""Where one provider's replies of one kind are: looked up and kept in worker threads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
from anyio import to_thread
from msgspec import Struct
from msgspec.structs import replace

from tako.types import ChatResponse, Chunk, FinishReason
from tako_cache.identity import identify

if TYPE_CHECKING:
    from tako.provider import Provider
    from tako.types import ChatRequest, End
    from tako_cache import Cache

VERSION = 1
"""Of keys and values together: what another one wrote is not found."""

T = TypeVar("T")


class Kind(Struct, Generic[T], frozen=True):
    """What is kept: its name, and its type in JSON."""

    name: str
    decoder: msgspec.json.Decoder[T]


CHAT: Kind[ChatResponse] = Kind("chat", msgspec.json.Decoder(ChatResponse))
STREAM: Kind[list[Chunk]] = Kind("stream", msgspec.json.Decoder(list[Chunk]))


class Shelf(Generic[T]):
    """The replies of one provider, by request."""

    def __init__(self, cache: Cache, provider: Provider, kind: Kind[T]) -> None:
        self._cache = cache
        self._kind = kind
        self._prefix = msgspec.json.encode([VERSION, kind.name, identify(provider)])

    async def look(self, request: ChatRequest) -> tuple[bytes, T | None]:
        """Return the key of a request, b"" where it has none, and what is kept under it, None where nothing is."""
        key, found = await to_thread.run_sync(self._look, request)
        if found is None:
            self._cache.misses += 1
        else:
            self._cache.hits += 1
        return key, found

    async def keep(self, key: bytes, reply: T, end: ChatResponse | End) -> None:
        """Keep a whole reply, unless it ended in an error."""
        if key and end.finish_reason is not FinishReason.ERROR:
            await to_thread.run_sync(self._keep, key, reply)

    def _look(self, request: ChatRequest) -> tuple[bytes, T | None]:
        try:
            text = msgspec.json.encode(replace(request, timeout=None, deadline=None), order="sorted")
        except (TypeError, ValueError, OverflowError, RecursionError):
            return b"", None  # no JSON, no key; the provider says what is wrong with it
        key = hashlib.sha256(b"%b\n%b" % (self._prefix, text)).digest()
        return key, self._decoded(self._cache.store.get(key))

    def _keep(self, key: bytes, reply: T) -> None:
        try:
            data = msgspec.json.encode(reply)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return
        if self._decoded(data) == reply:  # what JSON would bring back changed is not kept
            self._cache.store.set(key, data)

    def _decoded(self, data: bytes | None) -> T | None:
        """Read a reply; None where there is none, or it is not one."""
        try:
            return self._kind.decoder.decode(data) if data is not None else None
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None
