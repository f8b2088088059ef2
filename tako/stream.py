"""``ChatStream``, which ``provider.stream`` returns."""

from __future__ import annotations

from contextlib import aclosing
from time import monotonic
from typing import TYPE_CHECKING, NoReturn, Self

from tako.errors import ProviderTimeoutError, StreamTruncatedError, TakoError
from tako.fold import fold, join_deltas
from tako.form_hints import wrong_form
from tako.hooks.contract import id_with_model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from types import TracebackType

    from tako.hookspecs import Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk

JOINED = 16
"""Pieces of a text, of reasoning or of arguments that are kept as one: each takes 190 bytes and more."""
AT_ONCE = 0.01
"""If ``JOINED`` pieces come within so many seconds, they aren't joined, which would be a tenth of a burst's time."""


class ChatStream:
    """The chunks of one reply: an async iterator, and a context manager that closes the connection when you leave.

    ::

        async with provider.stream("Tell me a story") as stream:
            async for chunk in stream:
                if chunk.kind == "delta" and chunk.text:
                    print(chunk.text, end="", flush=True)
        response = await stream.response()

    What you read is kept. It's only put together when you use ``partial`` or ``response()``.
    """

    def __init__(
        self,
        stream: Stream,
        request: ChatRequest,
        provider: Provider,
    ) -> None:
        received: list[Chunk] = []
        model = request.model or provider.model
        self._id = id = id_with_model(provider, model)
        self._received = received
        # of a copy: the blocking face reads ahead in another thread, which joins pieces
        self._fold: Callable[[], ChatResponse] = lambda: fold([*received], id, model)
        # nothing in here refers to self, so a loop that is left with `break` frees the stream, which closes it
        self._chunks = _record_chunks(stream, request, received, self._fold)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self._chunks

    async def __anext__(self) -> Chunk:
        return await anext(self._chunks)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a stream is bound to its connection."""
        raise TypeError(f"{self._id}: a stream can't be pickled or copied; `await stream.response()` can")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    if not TYPE_CHECKING:
        __enter__ = __exit__ = __iter__ = wrong_form(
            "write `async with provider.stream(…)` and `async for`, or `with provider.blocking.stream(…)` and `for`"
        )

    async def aclose(self) -> None:
        """Leave the stream. Its connection is closed at once unless the reply is complete."""
        await self._chunks.aclose()

    @property
    def text(self) -> AsyncIterator[str]:
        """The pieces of text only."""
        return self._text()

    async def _text(self) -> AsyncIterator[str]:
        async for chunk in self._chunks:
            if chunk.kind == "delta" and chunk.text:
                yield chunk.text

    @property
    def partial(self) -> ChatResponse:
        """The reply so far."""
        return self._fold()

    async def response(self) -> ChatResponse:
        """Return the whole reply. Reads the chunks that you haven't read.

        Raises TakoError if the stream was left before its end; ``partial`` has what came.
        """
        async for _ in self._chunks:
            pass
        if not self._received or self._received[-1].kind != "end":
            raise TakoError(f"{self._id}: the stream was left before its end; see .partial")
        return self.partial


async def _record_chunks(
    stream: Stream, request: ChatRequest, received: list[Chunk], fold_received: Callable[[], ChatResponse]
) -> AsyncGenerator[Chunk, None]:
    room, since = JOINED, monotonic()
    try:
        async with aclosing(stream(request)) as chunks:
            async for chunk in chunks:
                if not room:
                    if monotonic() - since > AT_ONCE:
                        received[-JOINED:] = join_deltas(received[-JOINED:])
                    room, since = JOINED, monotonic()
                room -= 1
                received.append(chunk)
                yield chunk
    except (StreamTruncatedError, ProviderTimeoutError) as error:
        if received or isinstance(error, StreamTruncatedError):
            error.partial = error.partial or fold_received()
        raise
