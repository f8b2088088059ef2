"""The time limit of a whole call with its retries: ``deadline`` seconds."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from tako.direct_calls import event_loop
from tako.errors import ProviderTimeoutError
from tako.hooks import hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk


@hookimpl(wrapper=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """End a call that takes too long."""
    inner = yield

    def chat(request: ChatRequest) -> Awaitable[ChatResponse]:
        seconds = provider.deadline if request.deadline is None else request.deadline
        return inner(request) if seconds is None else _chat_until(inner, request, seconds)

    return chat


@hookimpl(wrapper=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """End a stream that takes too long. The time starts when the first chunk is requested."""
    inner = yield

    def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        seconds = provider.deadline if request.deadline is None else request.deadline
        return inner(request) if seconds is None else _stream_until(inner, request, seconds)

    return stream


async def _chat_until(inner: Chat, request: ChatRequest, seconds: float) -> ChatResponse:
    import anyio

    await event_loop()
    with anyio.move_on_after(seconds):
        return await inner(request)
    raise _timeout_error(seconds)


async def _stream_until(inner: Stream, request: ChatRequest, seconds: float) -> AsyncGenerator[Chunk, None]:
    import anyio

    deadline = anyio.current_time() + seconds
    async with aclosing(inner(request)) as chunks:
        while True:
            chunk = None
            with anyio.move_on_after(deadline - anyio.current_time()) as scope:
                chunk = await anext(chunks, None)
            if scope.cancelled_caught:
                raise _timeout_error(seconds)
            if chunk is None:
                return
            yield chunk


def _timeout_error(seconds: float) -> ProviderTimeoutError:
    """Make the error. It isn't retryable, since the limit is for all attempts together."""
    error = ProviderTimeoutError(f"the call took longer than deadline={seconds:g} s")
    error.retryable, error.advice = False, "raise deadline="
    return error
