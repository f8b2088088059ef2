"""One HTTP/1.1 connection on asyncio: it sends a request, and llhttp reads the reply as it comes."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

import httptools

from tako.kit.wire import STALL_FACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tako.kit.keep_alive import ReplyKind
    from tako.kit.wire import Body

PIECE = 64 * 1024
"""Bytes of a body that are sent at a time. The server has ``timeout`` to take each piece."""
RECEIVED = 256 * 1024
"""Bytes that are received at a time, as asyncio does."""
AHEAD = 256 * 1024
"""Bytes of a reply that may wait here until they're read. After that, the server has to wait."""
LONGEST_HEAD = 256 * 1024
"""Bytes of a reply's head, of one of its trailers, and of what stands before a chunk."""
MOST_NAMES, LONG_NAME = 256, 64
"""How many names of headers are remembered, and how long they may be: a server can make up others without end."""
FINAL = 200
"""The lowest status of a final reply. After a lower one, another reply follows."""


class NotHttpError(Exception):
    """What came isn't HTTP."""


class EndedError(Exception):
    """The connection ended before the reply did."""


class ReplyHeaders(Mapping[str, str]):
    """The headers of a reply; of one that came twice, the first. Bytes become text when somebody looks at them."""

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        self._fields = dict(zip(map(_LOWER.__getitem__, fields), fields.values(), strict=True))
        if len(self._fields) < len(fields):  # names that differ in case alone
            self._fields = {_LOWER[name]: value for name, value in reversed(fields.items())}

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower().encode()].decode("utf-8", "replace")

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header; Mapping's own method raises an error within for each that isn't there."""
        value = self._fields.get(name.lower().encode())
        return default if value is None else value.decode("utf-8", "replace")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("utf-8", "replace") for name in self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class _LowerNames(dict[bytes, bytes]):
    """Names of headers in lower case, by how servers write them: a thousand streams don't keep a thousand copies."""

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        return self.setdefault(name, lower) if len(name) < LONG_NAME and len(self) < MOST_NAMES else lower


_LOWER = _LowerNames()


class _Buffer(threading.local):
    """What connections receive into, one for each thread: what has come is parsed before the next one receives.

    A buffer for each piece would cost three system calls and a page fault: the C library gets that much memory from
    the system, and gives it back.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(RECEIVED))


_BUFFER = _Buffer()


class Connection(asyncio.BufferedProtocol):
    """Carries one request at a time: ``send``, ``answered``, then ``read`` until it returns b"".

    The last two raise NotHttpError, EndedError, TimeoutError or an error of the system's.
    """

    transport: Any = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.kind: ReplyKind | None = None
        """Of the last reply; None where there was none."""
        self.since = 0.0
        """When the last reply was done with (``time.monotonic``)."""
        self.status = 0
        self.headers = ReplyHeaders({})
        self.ended = True
        """Whether the reply is complete."""
        self.closed: asyncio.Future[None] = loop.create_future()
        """Done when the connection is closed."""
        self._loop = loop
        self._failure: Exception | None = None
        self._keeps = False  # as far as the reply's head says
        self._spoiled = False  # something came that wasn't asked for
        self._head = True  # the reply's head is there
        self._overhead = 0  # bytes since the last piece of the body, or since the last trailer
        self._bodiless = False
        self._fields: dict[bytes, bytes] = {}
        self.on_header = self._fields.setdefault
        """What llhttp calls with a header, or a trailer. A method of Python's would be a tenth of a short call."""
        self.pieces: list[bytes] = []
        """Of the reply's body, those that are to be read."""
        self._held = 0  # bytes in them
        self._reading: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None  # set while the system takes no more bytes
        self._silence = inf  # how long nothing may come
        self._waits_since = 0.0
        self._head_until = inf
        self._timer: asyncio.TimerHandle | None = None
        self._look: Callable[[], Any] | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(  # as aiohttp and Node are: harmless, and servers do it
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    # --- what a request does

    def send(self, head: bytes, body: Body, timeout: float) -> None:
        """Send a request; a large body goes piece by piece, meanwhile the server may answer already."""
        self.status, self.ended, self._head, self._overhead = 0, False, False, 0
        self._bodiless = head.startswith(b"HEAD ")
        self._silence = self._head_until = inf
        if len(body) <= PIECE:
            self.transport.write(head + body[:])
            self._watch(timeout)
        else:
            view = memoryview(body) if isinstance(body, bytes) else body
            self.transport.write(head + view[:PIECE])
            self._sending = self._loop.create_task(self._send_rest(view, timeout))

    async def answered(self) -> None:
        """Wait for the reply's ``status`` and ``headers``."""
        while not self._head:
            if self._failure is not None:
                raise self._failure
            await self._next_event()

    async def read(self) -> bytes:
        """Return what has come of the body and wait if that is nothing; b"" at its end."""
        while not self.pieces:
            if self.ended:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._next_event()
        return self.take()

    def take(self) -> bytes:
        """Return what has come of the body, in one piece. A reply that is there already needn't be waited for."""
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._held >= AHEAD:
            self.transport.resume_reading()
        self._held = 0
        return data

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent."""
        return not self.transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        """Whether the reply is complete and read, so that nothing of it is left, and the connection goes on."""
        is_read = self.ended and not self.pieces
        return is_read and self._keeps and not self._spoiled and self._sending is None and self.is_open

    def has_ended(self) -> bool:
        """Whether a kept connection cannot be used again, although the event loop may not have seen why.

        A server has nothing to say on an idle connection: what there is to read is its end, or out of place.
        """
        if self._spoiled or self.transport.is_closing():
            return True
        if self._look is None:  # not before: a connection of one long stream is never looked at
            self._look = _looking_at(self.transport.get_extra_info("socket").fileno())
        return bool(self._look())

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
                    async with asyncio.timeout(seconds):
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
        """Start the time limits of a reply: one for each silence, and one for its head, which may come byte by byte.

        There's one timer for many silences and requests. It checks the limits when it's due, because a timer for each
        piece would be most of what a piece costs.
        """
        now = self._loop.time()
        self._silence, self._waits_since, self._head_until = timeout, now, now + timeout * STALL_FACTOR
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
        if self._reading is None or self._reading.done():  # nobody waits for the server
            due = now + self._silence
        else:
            due = min(self._waits_since + self._silence, inf if self._head else self._head_until)
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
        return _BUFFER.view

    def buffer_updated(self, nbytes: int) -> None:
        """Read what has come; a server has nothing to say before it is asked."""
        if self.ended:
            self._spoiled = True
            return
        had_head, held = self._head, self._held
        try:
            self._parser.feed_data(_BUFFER.view[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._spoiled = True
            if not self.ended:
                self._head = had_head  # a head with nonsense in the same breath is none
                self._fail(EndedError() if had_head else NotHttpError())
        is_trailer = bool(self._fields) and self._head  # complete ones, which nobody looks at
        if is_trailer:
            self._fields.clear()
        if is_trailer or self._held > held:
            self._overhead = 0
        elif not self.ended:
            self._overhead += nbytes
            if self._overhead > LONGEST_HEAD:
                self._fail(EndedError() if self._head else NotHttpError())
        if not had_head or self.pieces or self.ended:  # trailers without end are silence
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is waited for: a body whose length nobody has said is complete now, anything else has failed."""
        if exc is not None and self._sending is not None:
            self._receive_the_rest()
        is_end = exc is None and self._failure is None and self._head and not self._is_framed()
        if is_end:
            self.ended = True
        else:
            self._failure = self._failure or exc or EndedError()
        self._wake()
        self.resume_writing()
        if self._timer is not None:
            self._timer.cancel()
        self._parser = None  # refers to this
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
            while not self.ended and (size := rest.recv_into(_BUFFER.view)):
                self.buffer_updated(size)

    def pause_writing(self) -> None:
        """Make ``_send_rest`` wait."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let it go on."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # --- what llhttp calls

    def on_message_begin(self) -> None:
        """Notice a reply that follows a complete one: nobody asked for it."""
        self._spoiled = self.ended

    def on_headers_complete(self) -> None:
        """Take a head: it is the reply's unless its status is interim."""
        status = self._parser.get_status_code()
        if status >= FINAL and not self.ended:
            self.status, self.headers, self._head = status, ReplyHeaders(self._fields), True
            self._keeps = self._parser.should_keep_alive() and not self._bodiless
            self.ended = self._bodiless
        elif not self.ended:
            self._overhead = 0  # another one begins
        self._fields.clear()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body; when many wait to be read, the server has to wait."""
        if self._spoiled:
            return
        self.pieces.append(data)
        self._held += len(data)
        if self._held >= AHEAD:
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the reply, unless it was an interim one."""
        self.ended = self._head

    def _is_framed(self) -> bool:
        """Whether the head says how long the body is; if not, the end of the connection is its end."""
        coding = self.headers.get("transfer-encoding", "")
        return "content-length" in self.headers or coding.lower().endswith("chunked")

    def _fail(self, error: Exception) -> None:
        """End a reply by an error; the connection isn't used again."""
        self._failure = self._failure or error
        self._wake()
        self.transport.abort()

    def _wake(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None and not reading.done():
            reading.set_result(None)


def _looking_at(place: int) -> Callable[[], Any]:
    """Return what asks the system, without waiting, whether there is something to read."""
    if not hasattr(select, "poll"):  # Windows
        return lambda: select.select([place], [], [], 0)[0]
    poll = select.poll()
    poll.register(place, select.POLLIN)
    return partial(poll.poll, 0)
