"""A decoder of a stream over another decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.exchange import StreamDecoder
    from tako.types import Chunk


class WrappingDecoder(ABC):
    """A decoder over another one, whose chunks ``_changed`` changes."""

    def __init__(self, inner: StreamDecoder) -> None:
        self._inner = inner

    @property
    def ended(self) -> bool:
        """Whether the vendor's terminator has come."""
        return self._inner.ended

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        return self._convert(self._inner.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left."""
        return self._convert(self._inner.finish(clean=clean))

    @abstractmethod
    def _convert(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]: ...
