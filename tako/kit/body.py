"""Reading bodies: decompressed, and with a limit on their size."""

from __future__ import annotations

import re
import zlib
from contextlib import aclosing, suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tako.errors import ProviderTimeoutError, ResponseError, TransportError
from tako.json_values import DEEPEST
from tako.kit.lines import BOM
from tako.kit.nesting import is_deep
from tako.kit.wire import STALL_FACTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.wire import HttpReply

ACCEPTED = "gzip, deflate"
INFLATE_BYTES = 256 * 1024
"""Bytes that are decompressed at a time, so that a bomb is noticed before it is in memory."""

PROGRESS_BYTES = 64 * 1024
"""Bytes of a whole reply that count as progress."""

TOO_DEEP = f"the reply is JSON nested deeper than {DEEPEST} levels"
_GZIP = b"\x1f"
_CM_DEFLATE = 8  # RFC 1950, 2.2: the low half of zlib's first byte; no deflate data of a compressor's begins with it

T = TypeVar("T")
_NOTHING: Iterator[bytes] = iter(())  # has nothing for anybody, so all share it

_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_ESCAPES = re.compile(rb"(?i)\\(?:ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(ud[89a-f][0-9a-f]{2})|.)")
"""Escapes of JSON strings; the group is half of a pair of surrogates, without the other half."""


class BodyReader:
    """A body as it comes, decompressed: an async iterator, to be closed.

    Raises ResponseError past ``cap`` bytes, before or after decompression. Raises TransportError if the body ends in
    the middle of its compression, as one does that a proxy has cut. This isn't a generator: asyncio registers those,
    which costs a short reply more than reading it.
    """

    def __init__(self, reply: HttpReply, cap: int) -> None:
        self._inflate = _inflater(reply)
        self._source = reply.pieces()
        self._cap = cap
        self._size = 0
        self._inflated = _NOTHING

    def __aiter__(self) -> BodyReader:
        return self

    async def __anext__(self) -> bytes:
        if self._inflate is not None:
            return await self._decompress(self._inflate)
        return self._count(await anext(self._source))

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come, as far as the source knows."""
        return bool(getattr(self._source, "is_over", False))

    @property
    def is_read(self) -> bool:
        """Whether all of it has been handed over; a compressed body is read on, to see whether it's complete."""
        return self._inflate is None and bool(getattr(self._source, "is_over", False))

    async def aclose(self) -> None:
        """Leave the body."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    def _count(self, raw: bytes) -> bytes:
        self._size += len(raw)
        if self._size > self._cap:
            raise too_large(self._cap)
        return raw

    async def _decompress(self, inflate: _Inflater) -> bytes:
        while True:
            for piece in self._inflated:
                return piece
            try:
                self._inflated = inflate.feed(self._count(await anext(self._source)), self._cap)
            except StopAsyncIteration:
                if inflate.is_unfinished:
                    raise TransportError("the reply ended in the middle of its compression") from None
                raise


def read_pieces(reply: HttpReply, cap: int) -> BodyReader:
    """Iterate over a body; see ``BodyReader``."""
    return BodyReader(reply, cap)


class StallTimer:
    """Ends the wait for a reply that comes, but gets nowhere: in drops, or in keep-alives."""

    def __init__(self, timeout: float) -> None:
        self.last_progress = monotonic()
        """When the reply moved on last."""
        self._timeout = timeout
        self._size = 0

    def check(self) -> float:
        """Return when the reply moved on last; raises ProviderTimeoutError where that is too long ago."""
        if monotonic() - self.last_progress > self._timeout * STALL_FACTOR:
            raise ProviderTimeoutError(f"only keep-alives came for {STALL_FACTOR} x timeout={self._timeout:g} s")
        return self.last_progress

    def count(self, data: bytes) -> None:
        """Count what has come of a whole reply: it moves on by pieces of some size; blanks keep a connection alive."""
        self._size += len(data.strip())
        if self._size >= PROGRESS_BYTES:
            self.last_progress, self._size = monotonic(), 0
        else:
            self.check()


async def read_body(reply: HttpReply, cap: int, patience: float = inf) -> bytes:
    """Read a whole body; see ``read_pieces``, and ``StallTimer``, which ``patience`` in seconds is for."""
    pieces: list[bytes] = []
    timer = None
    source = BodyReader(reply, cap)
    try:
        async for piece in source:
            pieces.append(piece)
            if source.is_read:  # most replies come at once
                break
            if timer is not None:
                timer.count(piece)
            else:
                timer = StallTimer(patience)
    except BaseException:
        await source.aclose()
        raise
    return b"".join(pieces)


async def read_start(reply: HttpReply, cap: int, patience: float = inf) -> bytes:
    """Read at most the first ``cap`` bytes of a body; of one that breaks off or cannot be read, what there is."""
    pieces: list[bytes] = []
    size = 0
    timer = StallTimer(patience)
    with suppress(TransportError, ResponseError):
        async with aclosing(read_pieces(reply, 1 << 62)) as source:
            async for piece in source:
                pieces.append(piece)
                size += len(piece)
                if size >= cap:
                    break
                timer.count(piece)
    return b"".join(pieces)[:cap]


def decode_json(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode JSON into the decoder's type; raises ResponseError with the path of what does not fit.

    A byte order mark is passed over. Half a surrogate pair, which servers send that cut text into UTF-16 units, becomes
    U+FFFD: strict JSON has no such text, and losing a reply to half an emoji would be worse.
    """
    if is_deep(data):
        raise ResponseError(TOO_DEEP, body=data[:4096].decode("utf-8", "replace"))
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        problem: Exception = error
        text = f"the reply doesn't have the expected shape: {error}"
    except (msgspec.DecodeError, UnicodeError) as error:
        with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
            return decoder.decode(_ESCAPES.sub(_escape, data.removeprefix(BOM)))
        problem = error
        text = f"the reply isn't JSON ({error}): {excerpt(data)}"
    except RecursionError as error:
        problem = error
        text = TOO_DEEP
    raise ResponseError(text, body=data[:4096].decode("utf-8", "replace")) from problem


def decode_any(data: bytes) -> Any:
    """Decode JSON of any shape; raises ResponseError where it is none."""
    return decode_json(data, _ANY)


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if match[1] else match[0]


def excerpt(data: bytes) -> str:
    """Return the beginning of a body as one line, for an error's text."""
    text = " ".join(data[:200].decode("utf-8", "replace").split())
    return repr(text[:80]) if text else "an empty body"


def too_large(cap: int) -> ResponseError:
    """Say that a reply is over its limit."""
    return ResponseError(f"the reply is larger than max_reply_bytes={cap}")


class _Inflater:
    """One gzip body of any number of members, or one zlib body, or one without zlib's header, as some servers send."""

    def __init__(self, coding: str) -> None:
        self._deflate = coding == "deflate"
        self._zlib: Any = None
        self._size = 0

    @property
    def is_unfinished(self) -> bool:
        """Whether the body has begun and its end has not come."""
        return self._zlib is not None and not self._zlib.eof

    def feed(self, raw: bytes, cap: int) -> Iterator[bytes]:
        while raw:
            if self._zlib is None:
                bare = self._deflate and raw[0] & 15 != _CM_DEFLATE and not raw.startswith(_GZIP)
                self._zlib = zlib.decompressobj(wbits=-15 if bare else 47)  # 47: 32 + 15, gzip or zlib by its header
            elif self._zlib.eof:  # RFC 1952, 2.2: members simply follow one another; what is none is padding
                if self._deflate or not raw.startswith(_GZIP):
                    return
                self._zlib = zlib.decompressobj(wbits=31)
            try:
                piece = self._zlib.decompress(raw, INFLATE_BYTES)
            except zlib.error as error:
                raise ResponseError(f"the reply's compression is broken: {error}") from error
            raw = self._zlib.unconsumed_tail or self._zlib.unused_data
            self._size += len(piece)
            if self._size > cap:
                raise too_large(cap)
            if piece:
                yield piece


def _inflater(reply: HttpReply) -> _Inflater | None:
    coding = reply.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip", "deflate"):
        return _Inflater(coding)
    raise ResponseError(f"the reply is compressed as {coding!r}, which tako didn't ask for")
