"""The stored replies of one provider, of one kind. Reads and writes run in worker threads."""

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
"""The version of keys and values. Replies of other versions aren't found."""

T = TypeVar("T")


class Kind(Struct, Generic[T], frozen=True):
    """A kind of replies: its name, and its decoder."""

    name: str
    decoder: msgspec.json.Decoder[T]


CHAT: Kind[ChatResponse] = Kind("chat", msgspec.json.Decoder(ChatResponse))
STREAM: Kind[list[Chunk]] = Kind("stream", msgspec.json.Decoder(list[Chunk]))


class ProviderCache(Generic[T]):
    """The replies of one provider, by request."""

    def __init__(self, cache: Cache, provider: Provider, kind: Kind[T]) -> None:
        self._cache = cache
        self._kind = kind
        self._prefix = msgspec.json.encode([VERSION, kind.name, identify(provider)])

    async def get(self, request: ChatRequest) -> tuple[bytes, T | None]:
        """Return the key of a request, b"" if it doesn't have one, and the stored reply, None if there isn't one."""
        key, reply = await to_thread.run_sync(self._get, request)
        if reply is None:
            self._cache.misses += 1
        else:
            self._cache.hits += 1
        return key, reply

    async def set(self, key: bytes, reply: T, end: ChatResponse | End) -> None:
        """Store a complete reply, unless it ended with an error."""
        if key and end.finish_reason is not FinishReason.ERROR:
            await to_thread.run_sync(self._set, key, reply)

    def _get(self, request: ChatRequest) -> tuple[bytes, T | None]:
        try:
            text = msgspec.json.encode(replace(request, timeout=None, deadline=None), order="sorted")
        except (TypeError, ValueError, OverflowError, RecursionError):
            return b"", None  # the provider raises the error
        key = hashlib.sha256(b"%b\n%b" % (self._prefix, text)).digest()
        return key, self._decode(self._cache.store.get(key))

    def _set(self, key: bytes, reply: T) -> None:
        try:
            data = msgspec.json.encode(reply)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return
        if self._decode(data) == reply:  # a reply that JSON would change isn't stored
            self._cache.store.set(key, data)

    def _decode(self, data: bytes | None) -> T | None:
        """Decode a reply; None if there isn't one, or if it's broken."""
        try:
            return self._kind.decoder.decode(data) if data is not None else None
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None
