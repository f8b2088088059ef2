"""One HTTP/1.1 connection of blocking calls. While it waits, the calling thread waits (``tako.direct_calls``)."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from tako.direct_calls import waiting
from tako.kit.incoming import AHEAD, RECEIVED, EndedError, Incoming
from tako.kit.polling import poller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tako.kit.wire import Body

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_FREE: list[memoryview] = []
"""Buffers that nothing is received into at the moment."""


class BlockingConnection(Incoming):
    """Carries one request at a time, over a socket that doesn't block: ``send``, and then what ``Incoming`` has."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock
        self._can_receive = poller(sock.fileno())
        self._decrypted: Callable[[], int] = getattr(sock, "pending", int)  # bytes that TLS has here already
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._is_closed = False
        self.was_refused = False
        """Whether the system refused the first byte of the last request, so that nothing of it has left."""

    async def send(self, head: bytes, body: Body, seconds: float) -> None:
        """Send a request; ``seconds`` is the longest silence, also until the system takes more."""
        self.begin(head)
        try:
            await self._send(memoryview(head + body[:]), seconds)
        except BaseException:  # the caller leaves
            self.abort()
            raise

    async def _send(self, rest: memoryview, seconds: float) -> None:
        self.was_refused = False
        has_begun = False
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
                has_begun = True
            except WOULD_BLOCK:
                has_begun = has_begun or self._is_tls  # which may have sent some of it
                if not await self._room_to_send(seconds):
                    return
            except OSError as error:
                if has_begun:  # the server may have answered before it closed
                    self._receive_the_rest()
                self.was_refused = not has_begun
                self._fail(error)
                return
        self.set_limits(seconds)

    async def _room_to_send(self, seconds: float) -> bool:
        """Wait until the system takes more, and receive what comes meanwhile. Returns whether to send on."""
        is_full = self._held >= AHEAD
        room = poller(self._socket.fileno(), is_to_send=True, is_to_receive=not is_full)
        if not await waiting(partial(room, seconds)):
            self._fail(TimeoutError())
        elif not is_full and (self._decrypted() or self._can_receive(0)):
            self._receive_what_is_there()
        if self.ended:  # the server answers early, and wants no more
            self._spoiled = True
        return not self.ended and self.is_open

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
            self._parser = None  # refers to this

    def _next_event(self) -> Awaitable[None]:
        now = monotonic()
        until = now + self._silence if self._head else min(now + self._silence, self._head_until)
        return self._receive_until(until)

    async def _receive_until(self, until: float) -> None:
        while (left := until - monotonic()) > 0 and (
            self._decrypted() or await waiting(partial(self._can_receive, left))
        ):
            if self._receive_what_is_there():
                return
        self._fail(TimeoutError())

    def _receive_what_is_there(self) -> bool:
        """Receive once, and notice the end. Returns whether anything happened: TLS may need more for its next piece."""
        try:
            if not self._receive():
                self.lose(None)
                self.abort()
        except WOULD_BLOCK:
            return False
        except OSError as error:
            self._fail(error)
        return True

    def _receive(self) -> int:
        """Receive once, and return how many bytes.

        A call that interrupts this one, as in a signal's handler or ``__del__``, takes another buffer.
        """
        try:
            buffer = _FREE.pop()
        except IndexError:
            buffer = memoryview(bytearray(RECEIVED))
        try:
            if self._is_tls and not self._decrypted():  # raises if it was reset: Python's TLS takes that for its end
                socket.socket.recv(self._socket, 1, socket.MSG_PEEK)
            size = self._socket.recv_into(buffer)
            if size:
                self.receive(buffer[:size])
            return size
        finally:
            _FREE.append(buffer)

    def _receive_the_rest(self) -> None:
        with suppress(OSError):
            while not self.ended and self._receive():
                pass

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self.abort()

    def _wake(self) -> None:
        """Nothing to do: the reader itself receives."""

    def _pause(self) -> None:
        """Nothing is received before somebody reads."""

    def _resume(self) -> None:
        """The same."""
