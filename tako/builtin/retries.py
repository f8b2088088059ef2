"""Retries: only for errors that are ``retryable``, and never once a chunk has been delivered."""

from __future__ import annotations

import logging
from functools import cache, partial
from secrets import token_hex
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from tako.direct_calls import event_loop
from tako.errors import ProviderError, StreamTruncatedError, TakoError, TransportError
from tako.hooks import hookimpl
from tako.hooks.contract import add_provider_and_cost, call_chat, call_stream, check_response, checked_chunks
from tako.hooks.layers import provider_failure
from tako.hooks.nested_calls import ACTIVE_CALL, ActiveCall, enter
from tako.types import ChatResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, Chunk

FIRST_WAIT = 0.2
MAX_WAIT = 20.0
MAX_RETRY_AFTER = 60.0
"""Seconds. If a vendor asks for a longer pause, the error is raised at once."""

T = TypeVar("T")


@hookimpl(wrapper=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Retry a call that failed with a retryable error."""
    inner = yield

    async def chat(request: ChatRequest) -> ChatResponse:
        if provider.idempotency_header is not None:
            request = _with_idempotency_key(request, provider.idempotency_header)
        outer, call = ACTIVE_CALL.get(), ActiveCall(provider, "chat")
        ACTIVE_CALL.set(call)  # as `enter` does, inlined because that would double the cost of every call
        try:
            response = await call_chat(inner, request)
        except ProviderError as error:
            response = await repeat(lambda: call_chat(inner, request), provider, error)
        finally:
            call.provider = None
            ACTIVE_CALL.set(outer)
        checked = response if response.__class__ is ChatResponse else check_response(response)
        return add_provider_and_cost(checked, provider, request)

    return chat


@hookimpl(wrapper=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Retry a stream that failed before its first chunk."""
    inner = yield

    async def begin(request: ChatRequest) -> tuple[AsyncGenerator[Chunk, None], Chunk | None]:
        chunks = call_stream(inner, request)
        try:
            with enter(provider, "stream"):
                return chunks, await anext(chunks, None)
        except BaseException as error:
            await chunks.aclose()
            if isinstance(error, StreamTruncatedError) and isinstance(error.__cause__, TransportError):
                error.retryable = True  # the connection broke, and nothing has been delivered
            raise

    async def begin_with_retries(request: ChatRequest) -> tuple[AsyncGenerator[Chunk, None], Chunk | None]:
        try:
            return await begin(request)
        except ProviderError as error:
            return await repeat(lambda: begin(request), provider, error)

    def blame(error: BaseException, request: ChatRequest | None) -> TakoError:
        return provider_failure(error, provider, request)

    def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        if provider.idempotency_header is not None:
            request = _with_idempotency_key(request, provider.idempotency_header)
        return checked_chunks(partial(begin_with_retries, request), provider, request, blame, is_own=True)

    return stream


def _with_idempotency_key(request: ChatRequest, name: str) -> ChatRequest:
    """Add an idempotency key in the header of that name, unless there is one. All attempts have the same key."""
    if name.lower() in map(str.lower, request.headers):
        return request
    return replace(request, headers=request.headers | {name: token_hex(16)})


async def repeat(
    call: Callable[[], Awaitable[T]],
    provider: Provider,
    failure: ProviderError,
    retryable: tuple[type[ProviderError], ...] = (ProviderError,),
) -> T:
    """Call again after a failure, as often as the provider allows. stamina is only set up after a failure.

    ``retryable``: the errors after which there may be another call, if they are retryable.
    """

    def delay(error: Exception) -> bool | float:
        return isinstance(error, retryable) and _retry_delay(error)

    if provider.max_retries <= 0 or not failure.retryable:
        raise failure
    import stamina

    await event_loop()
    if delay(failure) is False:
        raise failure
    _silence_stamina()
    async for attempt in stamina.retry_context(
        on=delay,
        attempts=provider.max_retries + 1,
        timeout=None,
        wait_initial=FIRST_WAIT,
        wait_max=MAX_WAIT,
        wait_jitter=FIRST_WAIT,
    ):
        with attempt:
            if attempt.num == 1:
                raise failure  # the first attempt has been made: stamina only waits after it
            try:
                return await call()
            except ProviderError as error:
                error.tries = attempt.num
                raise
    raise failure


@cache
def _silence_stamina() -> None:
    """Keep stamina's log records from stderr in programs that don't configure logging."""
    logging.getLogger("stamina").addHandler(logging.NullHandler())


def _retry_delay(error: Exception) -> bool | float:
    """Return whether to call again: False, True (after stamina's own wait), or the vendor's seconds to wait."""
    if not isinstance(error, ProviderError) or not error.retryable:
        return False
    seconds = error.retry_after
    if seconds is None:
        return True
    return seconds if seconds <= MAX_RETRY_AFTER and not _is_too_late(seconds) else False


def _is_too_late(seconds: float) -> bool:
    """Whether the call's deadline, or the caller's time limit in anyio or trio, is over by then."""
    import anyio

    return anyio.current_time() + seconds >= anyio.current_effective_deadline()
