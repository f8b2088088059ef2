"""A transport that answers from a tape, or records what the real one says."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING

from tako.errors import ConfigurationError, ProviderTimeoutError, TransportError
from tako.kit.body import read_pieces
from tako.kit.wire import AROUND
from tako_record.entries import Failed, Played
from tako_record.scrub import Scrubber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from tako.kit.http import HttpProvider
    from tako.kit.wire import HttpReply, HttpRequest, Transport
    from tako_record.entries import Asked, Ending
    from tako_record.tape import Tape

UNBOUNDED = 1 << 62
"""Bytes. The caps are the provider's, who reads through us."""
OF_THE_WIRE = ("connection", "content-encoding", "content-length", "date", "keep-alive", "transfer-encoding")
"""Headers that say how a body travelled, and when."""


@contextmanager
def through(tape: Tape) -> Generator[None, None, None]:
    """Put a tape around the transports of all providers."""

    def around(transport: Transport, provider: HttpProvider) -> Transport:
        below = transport.below if isinstance(transport, TapedTransport) else transport
        return TapedTransport(below, provider, tape)

    AROUND.append(around)
    try:
        yield
    finally:
        AROUND.remove(around)


class TapedTransport:
    """One provider's transport, with a tape in front of it."""

    def __init__(self, below: Transport, provider: HttpProvider, tape: Tape) -> None:
        self.below = below
        self._tape = tape
        self._provider = provider

    async def send(self, request: HttpRequest) -> HttpReply:
        """Answer from the tape; or send, and write down what comes of it."""
        scrubber = Scrubber(self._provider.secrets, request.headers)
        asked = scrubber.asked(request)
        found = self._tape.find(asked) if self._tape.mode != "record" else None
        if isinstance(found, Failed):
            raise found.error()
        if found is not None:
            return PlayedReply(found)
        if self._tape.mode == "replay":
            raise ConfigurationError(f"{self._provider.id}: {self._tape.missing(asked)}")
        try:
            reply = await self.below.send(request)
        except TransportError as error:
            text = self._provider.hide(scrubber.hide(str(error.args[0])))
            timeout = isinstance(error, ProviderTimeoutError)
            self._tape.write(asked, Failed(text, timeout=timeout, retryable=error.retryable))
            raise
        return RecordedReply(reply, asked, self._tape, scrubber)

    async def aclose(self) -> None:
        """Close the transport underneath."""
        await self.below.aclose()


class RecordedReply:
    """A reply that is written down as it is read. What was compressed is handed on, and written, as it was before."""

    def __init__(self, reply: HttpReply, asked: Asked, tape: Tape, scrubber: Scrubber) -> None:
        self.status = reply.status
        headers = {name.lower(): value for name, value in reply.headers.items()}
        self._headers = Headers({name: value for name, value in headers.items() if name not in OF_THE_WIRE})
        self._reply = reply
        self._asked = asked
        self._tape = tape
        self._scrubber = scrubber
        self._pieces: list[bytes] = []
        self._ending: Ending = "left"
        self._written = False

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, as they are once the body is not compressed."""
        return self._headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it comes."""
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
        """Let go, and write down what has come."""
        if not self._written:
            self._written = True
            headers = self._scrubber.reply_headers(self._headers)
            pieces = self._scrubber.pieces(self._pieces)
            self._tape.write(self._asked, Played(self.status, headers, pieces, self._ending))
        await self._reply.aclose()


class PlayedReply:
    """A reply from a tape, in the pieces in which it came."""

    def __init__(self, played: Played) -> None:
        self.status = played.status
        self._played = played

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; lookups go in any case."""
        return Headers(self._played.headers)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces, without pauses."""
        for piece in self._played.pieces:
            yield piece.encode() if isinstance(piece, str) else piece.base64
        if self._played.ending != "end":
            why = "broke here" if self._played.ending == "cut" else "was left here, so the tape has no more of it"
            raise TransportError(f"the reply that was recorded {why}")

    async def aclose(self) -> None:
        """Nothing is open."""


class Headers(Mapping[str, str]):
    """Headers in lower case that are looked up in any."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)
