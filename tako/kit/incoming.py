"""The receiving half of an HTTP/1.1 connection: llhttp reads one reply after the other. It does no input or output.

Two connections use it: asyncio's (``tako.kit.connection``), and blocking ones (``tako.kit.blocking_connection``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

import httptools

from tako.kit.wire import STALL_FACTOR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from tako.kit.keep_alive import ReplyKind

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


class Incoming(ABC):
    """What comes on one connection: ``answered``, then ``read`` until it returns b"".

    Both raise NotHttpError, EndedError, TimeoutError or an error of the system's.
    """

    def __init__(self) -> None:
        self.kind: ReplyKind | None = None
        """Of the last reply; None where there was none."""
        self.since = 0.0
        """When the last reply was done with (``time.monotonic``)."""
        self.status = 0
        self.headers = ReplyHeaders({})
        self.ended = True
        """Whether the reply is complete."""
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
        self._silence = inf  # how long nothing may come
        self._head_until = inf
        self._parser: Any = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(  # as aiohttp and Node are: harmless, and servers do it
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    # --- what a request does

    def begin(self, head: bytes) -> None:
        """Expect the reply to a request with this head."""
        self.status, self.ended, self._head, self._overhead = 0, False, False, 0
        self._bodiless = head.startswith(b"HEAD ")
        self._silence = self._head_until = inf

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
            self._resume()
        self._held = 0
        return data

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether anything can still be sent."""

    @property
    def is_reusable(self) -> bool:
        """Whether the reply is complete and read, so that nothing of it is left, and the connection goes on."""
        is_read = self.ended and not self.pieces
        return is_read and self._keeps and not self._spoiled and self.is_open

    @abstractmethod
    def abort(self) -> None:
        """Close at once: closing in good order would wait until the server takes what is left."""

    # --- what the connection does

    def set_limits(self, timeout: float) -> float:
        """Set the time limits of a reply, one for each silence, and one for its head, which may come byte by byte.

        Returns the time.
        """
        now = monotonic()
        self._silence, self._head_until = timeout, now + timeout * STALL_FACTOR
        return now

    def receive(self, data: memoryview) -> None:
        """Read what has come; a server has nothing to say before it is asked."""
        if self.ended:
            self._spoiled = True
            return
        had_head, held = self._head, self._held
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:  # what a signal's handler raised within `on_body`, say
            raise (error.__context__ or error) from None
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
            self._overhead += len(data)
            if self._overhead > LONGEST_HEAD:
                self._fail(EndedError() if self._head else NotHttpError())
        if not had_head or self.pieces or self.ended:  # trailers without end are silence
            self._wake()

    def lose(self, error: Exception | None) -> None:
        """End what is waited for: a body whose length nobody has said is complete now, anything else has failed."""
        if error is None and self._failure is None and self._head and not self._is_framed():
            self.ended = True
        else:
            self._failure = self._failure or error or EndedError()
        self._parser = None  # refers to this

    @abstractmethod
    def _next_event(self) -> Awaitable[None]:
        """Wait until something has come, or has failed."""

    @abstractmethod
    def _fail(self, error: Exception) -> None:
        """End a reply by an error; the connection isn't used again."""

    @abstractmethod
    def _wake(self) -> None:
        """End what ``_next_event`` waits for."""

    @abstractmethod
    def _pause(self) -> None:
        """Receive no more for now."""

    @abstractmethod
    def _resume(self) -> None:
        """Receive again."""

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
            self._pause()

    def on_message_complete(self) -> None:
        """End the reply, unless it was an interim one."""
        self.ended = self._head

    def _is_framed(self) -> bool:
        """Whether the head says how long the body is; if not, the end of the connection is its end."""
        coding = self.headers.get("transfer-encoding", "")
        return "content-length" in self.headers or coding.lower().endswith("chunked")
