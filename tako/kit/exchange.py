"""One request and its reply: what chat and stream of every HTTP plugin do, given how to encode and decode."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
from msgspec import Struct
from msgspec.structs import replace

from tako.direct_calls import event_loop
from tako.errors import (
    BadRequestError,
    ProviderError,
    ProviderTimeoutError,
    ResponseError,
    StreamTruncatedError,
    TransportError,
    UnsupportedError,
)
from tako.fold import chunks_of
from tako.kit.body import StallTimer, excerpt, read_pieces
from tako.kit.encoding import encode
from tako.kit.failures import name_request
from tako.kit.keys import scrub
from tako.kit.lines import BOM
from tako.kit.reasoning_tags import Tagged, split_reply
from tako.kit.schemas.own_names import OwnNamesDecoder, with_own_names
from tako.notices import BLOCKED, EMPTY_REPLY, FINISH_MISSING, LOST_PART, is_loss
from tako.parts import ReasoningPart, TextPart, ToolCallPart
from tako.translator import PartContext
from tako.types import ChatRequest, ChatResponse, Chunk, End, FinishReason, Notice

if TYPE_CHECKING:
    from types import TracebackType

    from tako.hookspecs import Chat, Stream
    from tako.kit.body import BodyReader
    from tako.kit.http import HttpProvider
    from tako.kit.wire import HttpReply
    from tako.provider import Provider

BLANK = b" \t\r\n" + BOM
REASONS_FOR_EMPTY = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.ERROR, FinishReason.PAUSE)
NOTICES_FOR_EMPTY = (BLOCKED, FINISH_MISSING, LOST_PART)
"""Endings, and notices, that say why a reply is empty."""
Ended = TypeVar("Ended", ChatResponse, End)
SHORT_PARTS = (TextPart, ToolCallPart, ReasoningPart)
"""Parts whose JSON is short, as a rule."""
LINE_STARTS = (b'{"', b"[DONE]")
LINGER = 0.05
"""Seconds to wait for the end of a body after the vendor's terminator, so that its connection can be used again."""


class Exchange(Struct):
    """A request, encoded: where it goes, its JSON, and the context in which it was encoded and its reply is decoded."""

    url: str
    body: Any
    context: PartContext
    headers: dict[str, str] = {}

    @property
    def notices(self) -> list[Notice]:
        """What the request couldn't carry and what is odd about the reply, so far."""
        return self.context.notices

    @property
    def provider(self) -> str:
        """Who is asked, with the model that is requested, as in "openai:gpt-6.2-sol"."""
        return f"{self.context.origin.provider}:{self.context.origin.model}"


class StreamDecoder(Protocol):
    """Turns the bytes of one streamed reply into chunks."""

    @property
    def ended(self) -> bool:
        """Whether the vendor's terminator has come."""
        ...

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Yield the deltas that these bytes complete; raises what an error event stands for."""
        ...

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        """Yield what is left when the body is over, the End last; raises StreamTruncatedError if it is not complete.

        ``clean`` tells a body that ended from a connection that broke.
        """
        ...


Prepare = Callable[[ChatRequest, bool], Awaitable[Exchange]]
Decode = Callable[[bytes, Exchange], ChatResponse]
MakeDecoder = Callable[["HttpReply", Exchange], StreamDecoder]


def chat_through(provider: HttpProvider, prepare: Prepare, decode: Decode) -> Chat:
    """Make a chat function: ``prepare(request, False)`` encodes, ``decode(body, exchange)`` reads the reply."""

    async def chat(request: ChatRequest) -> ChatResponse:
        exchange = await prepare(request, False)
        refuse_if_strict(request, exchange.notices, provider)
        call = provider.call(request, exchange.headers)
        try:
            reply, body = await provider.fetch(exchange.url, _encode_body(exchange, request), **call)
        except BadRequestError as error:
            exchange = _second_try(provider, exchange, error)
            call = provider.call(request, exchange.headers)
            reply, body = await provider.fetch(exchange.url, _encode_body(exchange, request), **call)
        try:
            response = decode(body, exchange)
            if provider.reasoning_tags is not None:
                response = split_reply(response, provider.reasoning_tags, exchange.context.origin)
            if not response.message.content:
                response = _note_empty(response)
            if exchange.context.own_names or exchange.context.own_properties:
                response = with_own_names(response, exchange.context)
            return response if response.provider else replace(response, provider=exchange.provider)
        except ProviderError as error:
            name_request(error, reply.headers)
            scrub(error, provider.hiding(request.headers))
            del body  # a traceback with locals shows this frame, and a vendor may have repeated the key
            raise

    return chat


def stream_through(
    provider: HttpProvider, prepare: Prepare, decoder: MakeDecoder, whole: Decode | None = None
) -> Stream:
    """Make a stream function: ``prepare(request, True)`` encodes, ``decoder(reply, exchange)`` reads the reply.

    With ``whole``, a server that answers with one JSON document instead of a stream is understood, too.
    """

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        await event_loop()
        exchange = await prepare(request, True)
        refuse_if_strict(request, exchange.notices, provider)
        reply, exchange = await _send(provider, exchange, request)
        hide = provider.hiding(request.headers)
        async with _Reading(reply, hide):
            page = _claims_html(reply)
            decoding = decoder(reply, exchange) if whole is None else _StreamOrReply(decoder, whole, reply, exchange)
            decoding = _with_own_names_and_tags(decoding, provider, exchange)
            failure, began = None, False
            async with aclosing(read_pieces(reply, provider.max_reply_bytes)) as pieces:
                try:
                    patience = StallTimer(request.timeout or provider.timeout)
                    async for data in pieces:
                        page = page and _check_html(data)
                        chunk = None
                        for chunk in decoding.feed(data):
                            yield chunk
                        began = began or chunk is not None
                        if decoding.ended:
                            break
                        patience.last_progress = monotonic() if chunk is not None else patience.check()
                    if page:
                        raise _html_error(b"")  # noqa: TRY301 - cleaned below
                    for chunk in _finish(decoding, exchange, has_begun=began):
                        yield chunk
                except BaseException as error:  # noqa: BLE001 - whatever it is, this frame shows nothing
                    data = b""  # a traceback with locals shows this frame, and a vendor may have repeated the key
                    failure = _connection_error(error, hide)
                for chunk in _finish(decoding, exchange, failure, has_begun=began) if failure is not None else ():
                    yield chunk
                await _linger(pieces)

    return stream


def _with_own_names_and_tags(decoding: StreamDecoder, provider: HttpProvider, exchange: Exchange) -> StreamDecoder:
    """Return a decoder whose calls have their tools' own names, and whose reasoning isn't in the text."""
    context = exchange.context
    with_names = OwnNamesDecoder(decoding, context) if context.own_names or context.own_properties else decoding
    return (
        with_names if provider.reasoning_tags is None else Tagged(with_names, provider.reasoning_tags, context.origin)
    )


async def _send(provider: HttpProvider, exchange: Exchange, request: ChatRequest) -> tuple[HttpReply, Exchange]:
    """Send an exchange, or what the provider sends instead if it's refused; returns what was sent with its reply."""
    call = provider.call(request, exchange.headers)
    try:
        return await provider.send(exchange.url, _encode_body(exchange, request), **call), exchange
    except BadRequestError as error:
        exchange = _second_try(provider, exchange, error)
    call = provider.call(request, exchange.headers)
    return await provider.send(exchange.url, _encode_body(exchange, request), **call), exchange


class _Reading:
    """A reply while it is read: it is closed at the end. Its errors get the id of its request, and lose all secrets.

    No generator: those that a program leaves behind are closed in any order, which they don't survive in one another.
    """

    def __init__(self, reply: HttpReply, hide: Callable[[str], str]) -> None:
        self._reply = reply
        self._hide = hide

    async def __aenter__(self) -> None:
        """Begin."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ProviderError):
            name_request(error, self._reply.headers)
            scrub(error, self._hide)
        await self._reply.aclose()


def _second_try(provider: HttpProvider, exchange: Exchange, error: BadRequestError) -> Exchange:
    """Return what to send instead of a request that was refused; raises the refusal if that's the last word."""
    retry = provider.second_try(exchange, error)
    if retry is None:
        raise error
    return retry


def _connection_error(error: BaseException, hide: Callable[[str], str]) -> TransportError:
    """Return the error of a connection that broke, and raise any other; neither shows what a vendor has repeated."""
    if isinstance(error, ProviderError):
        scrub(error, hide)
    elif not isinstance(error, Exception):  # cancelled: no mistake that anybody looks for in the frames
        error.__traceback__ = None
    if not isinstance(error, TransportError):
        raise error
    return error


def refuse_if_strict(request: ChatRequest, notices: list[Notice], provider: Provider) -> None:
    """Raise UnsupportedError where a strict request would lose something."""
    losses = [notice for notice in notices if is_loss(notice.code)] if request.strict else []
    if losses:
        description = "; ".join(
            f"{notice.path}: {notice.message}" if notice.path else notice.message for notice in losses
        )
        raise UnsupportedError(
            f"{provider.id} can't send everything in this strict request: {description}", notices=tuple(losses)
        )


def _encode_body(exchange: Exchange, request: ChatRequest) -> bytes:
    """Encode a body, in a way that pays where images or results are in it."""
    parts = [part for message in request.messages if not isinstance(message.content, str) for part in message.content]
    return encode(exchange.body, large=bool(parts) and not all(isinstance(part, SHORT_PARTS) for part in parts))


class _FullReply:
    """A reply that came in one piece where a stream was asked for."""

    ended = False

    def __init__(self, decode: Decode, exchange: Exchange) -> None:
        self._decode = decode
        self._exchange = exchange
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Chunk]:
        self._pieces.append(data)
        return iter(())

    def lines(self) -> list[bytes]:
        """Return the lines of a stream that has one chunk a line without more around it; none if it's one document."""
        lines = [stripped for line in b"".join(self._pieces).split(b"\n") if (stripped := line.strip())]
        return lines if len(lines) > 1 and all(line.startswith(LINE_STARTS) for line in lines) else []

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        if not clean:
            raise StreamTruncatedError("the reply ended early")
        yield from chunks_of(self._decode(b"".join(self._pieces), self._exchange))


class _StreamOrReply:
    """A stream, or a whole reply in its place; the first byte that is no white space tells.

    Lines of JSON begin as a document does. They're a stream, unless the reply says that it's ``application/json``, or
    its first line ends before a name.

    Servers get the type wrong every way: events as ``application/json``, one document as ``text/event-stream``, and
    either as plain text.
    """

    def __init__(self, decoder: MakeDecoder, decode: Decode, reply: HttpReply, exchange: Exchange) -> None:
        self._stream = decoder(reply, exchange)
        self._full_reply = _FullReply(decode, exchange)
        kind = reply.headers.get("content-type", "").lower()
        self._start = b""
        self._decoder: StreamDecoder | None = None
        self._likely_decoder: StreamDecoder = self._full_reply if kind.startswith("application/json") else self._stream
        self._is_lines = self._likely_decoder is self._stream and getattr(
            self._stream, "lines", False
        )  # of EventDecoder

    @property
    def ended(self) -> bool:
        return self._decoder is not None and self._decoder.ended

    def feed(self, data: bytes) -> Iterator[Chunk]:
        if self._decoder is None:
            self._start = data = (self._start + data).lstrip(BLANK)  # half of a byte order mark goes, too
            self._decoder = self._choose(data)
            if self._decoder is None:
                return iter(())
        return self._decoder.feed(data)

    def _choose(self, start: bytes) -> StreamDecoder | None:
        """Choose by the beginning of a body; None if that's too little."""
        if not start:
            return None
        if self._is_lines and start.startswith(b"{"):
            line, end, _ = start[1:].partition(b"\n")
            return self._stream if line.strip() else self._full_reply if end else None
        return self._full_reply if start.startswith((b"{", b"[")) else self._stream

    def finish(self, *, clean: bool) -> Iterator[Chunk]:
        chosen = self._decoder or self._likely_decoder
        lines = self._full_reply.lines() if chosen is self._full_reply else []
        if lines:
            yield from self._stream.feed(b"\n\n".join([*lines, b""]))
            chosen = self._stream
        yield from chosen.finish(clean=clean)


def _claims_html(reply: HttpReply) -> bool:
    """Whether a reply says that it is a page, as proxies send them; it is none if it begins like something else."""
    return reply.headers.get("content-type", "").lower().startswith(("text/html", "application/xhtml"))


def _check_html(data: bytes) -> bool:
    """Look at bytes of what says that it is a page: raises ResponseError where it is one."""
    start = data.lstrip(BLANK)
    if start.startswith(b"<"):
        raise _html_error(data)
    return not start


def _html_error(data: bytes) -> ResponseError:
    start = data[:4096]
    return ResponseError(
        f"the reply is an HTML page, not a stream: {excerpt(start)}", body=start.decode("utf-8", "replace")
    )


def _note_empty(end: Ended) -> Ended:
    """Add a notice to a reply that has nothing, unless it says why."""
    if end.finish_reason in REASONS_FOR_EMPTY or any(notice.code in NOTICES_FOR_EMPTY for notice in end.notices):
        return end
    return replace(end, notices=[*end.notices, Notice(EMPTY_REPLY, "the reply has no text, no call and nothing else")])


def _finish(
    decoding: StreamDecoder, exchange: Exchange, failure: TransportError | None = None, *, has_begun: bool
) -> Iterator[Chunk]:
    """Finish decoding; a connection that broke or fell silent before the end is the cause of what is missing.

    ``has_begun``: something of the reply has come.
    """
    try:
        for chunk in decoding.finish(clean=failure is None):
            if chunk.kind == "delta":
                has_begun = True
            elif not has_begun:
                chunk = _note_empty(chunk)  # noqa: PLW2901 - the same end
            is_unnamed = chunk.kind == "end" and not chunk.provider
            yield replace(chunk, provider=exchange.provider) if is_unnamed else chunk
    except StreamTruncatedError as error:
        if failure is None:
            raise
        if isinstance(failure, ProviderTimeoutError):
            raise failure from error
        raise StreamTruncatedError(f"{error.args[0]}: {failure.args[0]}") from failure


async def _linger(pieces: BodyReader) -> None:
    """Read on to the end of the body, shortly."""
    if pieces.is_over:  # nearly always: it came with the terminator
        return
    with anyio.move_on_after(LINGER):
        with suppress(TransportError, ResponseError):
            async for _ in pieces:
                pass
