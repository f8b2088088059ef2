"""A transport that answers from a tape, or records the replies of the real one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING

from tako.errors import ConfigurationError, ProviderTimeoutError, TransportError
from tako.kit.body import read_pieces
from tako.kit.wire import AROUND
from tako_record.entries import TapeFailure, TapeReply
from tako_record.scrubber import Scrubber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from tako.kit.http import HttpProvider
    from tako.kit.wire import HttpReply, HttpRequest, Transport
    from tako_record.entries import Ending, TapeRequest
    from tako_record.tape import Tape

UNBOUNDED = 1 << 62
"""Bytes. The provider, which reads from this transport, has the limits."""
TRANSPORT_HEADERS = ("connection", "content-encoding", "content-length", "date", "keep-alive", "transfer-encoding")
"""Headers about how and when a body was sent."""


@contextmanager
def tape_around(tape: Tape) -> Generator[None, None, None]:
    """Put a tape around the transports of all providers."""

    def wrap(transport: Transport, provider: HttpProvider) -> Transport:
        inner = transport.inner if isinstance(transport, TapedTransport) else transport
        return TapedTransport(inner, provider, tape)

    AROUND.append(wrap)
    try:
        yield
    finally:
        AROUND.remove(wrap)


class TapedTransport:
    """One provider's transport, with a tape in front of it."""

    def __init__(self, inner: Transport, provider: HttpProvider, tape: Tape) -> None:
        self.inner = inner
        self._tape = tape
        self._provider = provider

    async def send(self, request: HttpRequest) -> HttpReply:
        """Answer from the tape, or send the request and record the reply."""
        scrubber = Scrubber(self._provider.secrets, request.headers)
        request_entry = scrubber.request_entry(request)
        recorded = self._tape.find(request_entry) if self._tape.mode != "record" else None
        if isinstance(recorded, TapeFailure):
            raise recorded.to_error()
        if recorded is not None:
            return PlayedReply(recorded)
        if self._tape.mode == "replay":
            raise ConfigurationError(f"{self._provider.id}: {self._tape.why_missing(request_entry)}")
        try:
            reply = await self.inner.send(request)
        except TransportError as error:
            text = self._provider.hide(scrubber.hide(str(error.args[0])))
            timeout = isinstance(error, ProviderTimeoutError)
            self._tape.write(request_entry, TapeFailure(text, timeout=timeout, retryable=error.retryable))
            raise
        return RecordedReply(reply, request_entry, self._tape, scrubber)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self.inner.aclose()


class RecordedReply:
    """A reply that is recorded while it's read. A compressed body is passed on, and recorded, uncompressed."""

    def __init__(self, reply: HttpReply, request_entry: TapeRequest, tape: Tape, scrubber: Scrubber) -> None:
        self.status = reply.status
        headers = {name.lower(): value for name, value in reply.headers.items()}
        self._headers = Headers({name: value for name, value in headers.items() if name not in TRANSPORT_HEADERS})
        self._reply = reply
        self._request_entry = request_entry
        self._tape = tape
        self._scrubber = scrubber
        self._pieces: list[bytes] = []
        self._ending: Ending = "left"
        self._is_written = False

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, as for an uncompressed body."""
        return self._headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives."""
        try:
            async with aclosing(read_pieces(self._reply, UNBOUNDED)) as pieces:
                async for piece in pieces:
                    self._pieces.append(piece)
                    yield piece
            self._ending = "end"
        except TransportError:
            self._ending = "cut"
            raise

    async def aclose(self) -> None:
        """Close the reply, and record what was read."""
        if not self._is_written:
            self._is_written = True
            headers = self._scrubber.reply_headers(self._headers)
            pieces = self._scrubber.pieces(self._pieces)
            self._tape.write(self._request_entry, TapeReply(self.status, headers, pieces, self._ending))
        await self._reply.aclose()


class PlayedReply:
    """A reply from a tape, in its original pieces."""

    def __init__(self, reply: TapeReply) -> None:
        self.status = reply.status
        self._reply = reply

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; lookups ignore case."""
        return Headers(self._reply.headers)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces, without pauses."""
        for piece in self._reply.pieces:
            yield piece.encode() if isinstance(piece, str) else piece.base64
        if self._reply.ending != "end":
            reason = "broke here" if self._reply.ending == "cut" else "was left early, so the tape has no more of it"
            raise TransportError(f"the reply that was recorded {reason}")

    async def aclose(self) -> None:
        """Do nothing: no connection is open."""


class Headers(Mapping[str, str]):
    """Headers in lower case; lookups ignore case."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)
