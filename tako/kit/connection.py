"""One HTTP/1.1 connection on asyncio: it sends requests, and receives their replies."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

from tako.kit.incoming import RECEIVED, EndedError, Incoming
from tako.kit.loops import Limit, TimeLimit
from tako.kit.polling import poller
from tako.kit.wire import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.kit.wire import Body


class _Buffer(threading.local):
    """What connections receive into, one for each thread: what has come is parsed before the next one receives.

    A buffer for each piece would cost three system calls and a page fault: the C library gets that much memory from
    the system, and gives it back.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(RECEIVED))


BUFFER = _Buffer()


class Connection(Incoming, asyncio.BufferedProtocol):
    """Carries one request at a time: ``send``, and then what ``Incoming`` has for its reply."""

    transport: Any = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.closed: asyncio.Future[None] = loop.create_future()
        """Done when the connection is closed."""
        self._loop = loop
        self._reading: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None  # set while the system takes no more bytes
        self._waits_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._can_receive: Callable[[float], bool] | None = None

    # --- what a request does

    def send(self, head: bytes, body: Body, timeout: float) -> None:
        """Send a request; a large body goes piece by piece, meanwhile the server may answer already."""
        self.begin(head)
        if len(body) <= PIECE:
            self.transport.write(head + body[:])
            self._watch(timeout)
        else:
            view = memoryview(body) if isinstance(body, bytes) else body
            self.transport.write(head + view[:PIECE])
            self._sending = self._loop.create_task(self._send_rest(view, timeout))

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent."""
        return not self.transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        """Whether the request and the reply are complete, and the connection goes on."""
        return self._sending is None and super().is_reusable

    def has_ended(self) -> bool:
        """Whether a kept connection cannot be used again, although the event loop may not have seen why.

        A server has nothing to say on an idle connection: what there is to read is its end, or out of place.
        """
        if self._spoiled or self.transport.is_closing():
            return True
        if self._can_receive is None:  # not before: a connection of one long stream is never looked at
            self._can_receive = poller(self.transport.get_extra_info("socket").fileno())
        return self._can_receive(0)

    def abort(self) -> None:
        """Close at once: closing in good order would wait until the server takes what is left."""
        if self._sending is not None:
            self._sending.cancel()
        if not self.ended:  # whoever still reads must not take this for the reply's end
            self._failure = self._failure or EndedError()
        self.transport.abort()

    async def _send_rest(self, body: Any, seconds: float) -> None:
        """Send what follows a body's first piece. The time limits of the reply start when the last piece has gone."""
        try:
            for at in range(PIECE, len(body) + PIECE, PIECE):  # the last piece is empty, and waits for the one before
                if self._room is not None:
                    async with TimeLimit(Limit(seconds)):
                        await self._room
                await asyncio.sleep(0)  # a server that refuses a body answers and closes: read that first
                if self.ended:  # it wants no more
                    self._spoiled = True
                    break
                if self.transport.is_closing():  # asyncio would complain of each piece
                    break
                self.transport.write(body[at : at + PIECE])
            if not self.ended and self.is_open:
                self._watch(seconds)
        except Exception as error:  # noqa: BLE001 - also of the file; who waits for the reply raises it
            self._fail(error)
        self._sending = None

    def _next_event(self) -> asyncio.Future[None]:
        """Return a future that's done when something happens. It isn't a coroutine, which would cost each wait more."""
        self._waits_since = self._loop.time()
        self._reading = self._loop.create_future()
        return self._reading

    # --- the limits of time

    def _watch(self, timeout: float) -> None:
        """Start the time limits of a reply.

        There's one timer for many silences and requests. It checks the limits when it's due, because a timer for each
        piece would be most of what a piece costs.
        """
        self._waits_since = now = self.set_limits(timeout)
        if self._timer is None or self._timer.when() > now + timeout:
            self._set_timer(now + timeout)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if self.ended or self._failure is not None or self._silence == inf:
            return
        now = self._loop.time()
        is_waiting = self._reading is not None and not self._reading.done()
        silent_until = (self._waits_since if is_waiting else now) + self._silence
        due = silent_until if self._head else min(silent_until, self._head_until)
        if due > now:
            self._set_timer(due)
        else:
            self._fail(TimeoutError())

    # --- what asyncio calls

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put what comes."""
        return BUFFER.view

    def buffer_updated(self, nbytes: int) -> None:
        """Read what is in the buffer."""
        self.receive(BUFFER.view[:nbytes])

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is waited for."""
        if exc is not None and self._sending is not None:
            self._receive_the_rest()
        self.lose(exc)
        self._wake()
        self.resume_writing()
        if self._timer is not None:
            self._timer.cancel()
        if not self.closed.done():
            self.closed.set_result(None)

    def _receive_the_rest(self) -> None:
        """Receive what came before a send failed: the answer of a server that closes while a body is on its way.

        asyncio closes the socket once this connection knows that it's lost. Under TLS, only asyncio can read it.
        """
        transport = self.transport
        if transport.get_extra_info("sslcontext") is not None:
            return
        with suppress(OSError), socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as rest:
            rest.setblocking(False)
            while not self.ended and (size := rest.recv_into(BUFFER.view)):
                self.receive(BUFFER.view[:size])

    def pause_writing(self) -> None:
        """Make ``_send_rest`` wait."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let it go on."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _fail(self, error: Exception) -> None:
        """End a reply by an error; the connection isn't used again."""
        self._failure = self._failure or error
        self._wake()
        self.transport.abort()

    def _wake(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None and not reading.done():
            reading.set_result(None)

    def _pause(self) -> None:
        self.transport.pause_reading()

    def _resume(self) -> None:
        self.transport.resume_reading()
