"""Streams of JSON events: what a decoder needs beside reading one event.

::

    class AcmeDecoder(EventDecoder):
        def read(self, data: bytes, kind: str) -> Iterator[Delta]:
            event = decode_json(data, EVENT)
            if event.text:
                yield Delta(event.text)
            if event.finish:
                self.end = End(FINISH_REASONS[event.finish], notices=self.exchange.notices)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tako.errors import ResponseError, StreamTruncatedError
from tako.kit.ndjson import NdJsonDecoder
from tako.kit.sse import SseDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.kit.exchange import Exchange
    from tako.kit.failures import Reporter
    from tako.types import Chunk, Delta, End


class EventDecoder(ABC):
    """Reads Server-Sent Events, or lines of JSON where ``lines`` is set; a subclass reads one of them.

    ``end`` is None until the vendor's terminator has come; what follows it is not read. A body that is over before it
    is a StreamTruncatedError.
    """

    lines: ClassVar[bool] = False

    def __init__(self, provider: Reporter, exchange: Exchange) -> None:
        self.provider = provider
        self.exchange = exchange
        self.end: End | None = None
        self.ended = False
        self._sse = SseDecoder(provider.max_event_bytes)
        self._ndjson = NdJsonDecoder(provider.max_event_bytes)

    @abstractmethod
    def read(self, data: bytes, kind: str) -> Iterator[Delta]:
        """Yield the deltas of one event of that type, and set ``end`` at the last; raises what an error event means."""

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete."""
        if self.lines:
            return self._deltas((line, "") for line in self._ndjson.feed(data))
        return self._deltas((event.data, event.event) for event in self._sse.feed(data))

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left, the End last."""
        if self.end is None:
            try:
                if self.lines:
                    yield from self._deltas((line, "") for line in self._ndjson.flush())
                else:
                    yield from self._deltas((event.data, event.event) for event in self._sse.flush())
            except ResponseError as error:
                raise StreamTruncatedError("the stream ended in the middle of an event") from error
        if self.end is None:
            raise StreamTruncatedError("the stream ended before the vendor said so")
        yield self.end

    def _deltas(self, events: Iterable[tuple[bytes, str]]) -> Iterator[Chunk]:
        for data, kind in events:
            yield from self.read(data, kind)
            if self.end is not None:
                self.ended = True
                return
