"""One HTTP/1.1 connection of blocking calls. While it waits, the calling thread waits (``tako.direct_calls``)."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from tako.direct_calls import waiting
from tako.kit.incoming import BUFFER, EndedError, Incoming
from tako.kit.polling import poller

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from tako.kit.wire import Body

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class BlockingConnection(Incoming):
    """Carries one request at a time, over a socket that doesn't block: ``send``, and then what ``Incoming`` has."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock
        self._can_receive = poller(sock.fileno())
        self._decrypted: Callable[[], int] = getattr(sock, "pending", int)  # bytes that TLS has here already
        self._is_closed = False
        self.was_refused = False
        """Whether the system refused the first byte of the last request, so that nothing of it has left."""

    async def send(self, head: bytes, body: Body, seconds: float) -> None:
        """Send a request; ``seconds`` is the longest silence, also until the system takes more."""
        self.begin(head)
        rest = memoryview(head + body[:])
        self.was_refused = False
        has_begun = False
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
                has_begun = True
            except WOULD_BLOCK:
                if not await waiting(partial(poller(self._socket.fileno(), is_to_send=True), seconds)):
                    self._fail(TimeoutError())
                    return
            except OSError as error:
                if has_begun:  # the server may have answered before it closed
                    self._receive_the_rest()
                self.was_refused = not has_begun
                self._fail(error)
                return
        self.set_limits(seconds)

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent."""
        return not self._is_closed

    def has_ended(self) -> bool:
        """Whether a kept connection can't be used again: what there is to read is its end, or out of place."""
        return self._spoiled or self._is_closed or bool(self._decrypted()) or bool(self._can_receive(0))

    def abort(self) -> None:
        """Close at once."""
        if not self.ended:
            self._failure = self._failure or EndedError()
        if not self._is_closed:
            self._is_closed = True
            self._socket.close()

    def _next_event(self) -> Awaitable[None]:
        now = monotonic()
        until = now + self._silence if self._head else min(now + self._silence, self._head_until)
        return self._receive_until(until)

    async def _receive_until(self, until: float) -> None:
        while self._decrypted() or await waiting(partial(self._can_receive, until - monotonic())):
            try:
                size = self._socket.recv_into(BUFFER.view)
            except WOULD_BLOCK:  # TLS needs more for its next piece
                continue
            except OSError as error:
                self._fail(error)
                return
            if size:
                self.receive(size)
            else:
                self.lose(None)
                self.abort()
            return
        self._fail(TimeoutError())

    def _receive_the_rest(self) -> None:
        with suppress(OSError):
            while not self.ended and (size := self._socket.recv_into(BUFFER.view)):
                self.receive(size)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self.abort()

    def _wake(self) -> None:
        """Nobody waits: what comes is received by whoever reads."""

    def _pause(self) -> None:
        """Nothing is received before somebody reads."""

    def _resume(self) -> None:
        """The same."""
