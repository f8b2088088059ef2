"""The contract of every answer: a response, or deltas and then exactly one End."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from tako.errors import ProviderError, StreamTruncatedError, kind_of
from tako.hooks.failures import WrongResultError, passes_through
from tako.types import ChatResponse, Delta, End

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tako.hookspecs import Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, Chunk

    Opened = tuple[AsyncGenerator[Chunk, None], Chunk | None]
    Blame = Callable[[BaseException, ChatRequest | None], Exception]

T = TypeVar("T", ChatResponse, End)

CHUNK_AFTER_END = "the plugin sent a chunk after the end of the stream"


class ChunkAfterEndError(WrongResultError):
    """A chunk came after the End."""


def call_chat(chat: Chat, request: ChatRequest) -> Awaitable[ChatResponse]:
    """Call a chat function. Raises WrongResultError if it isn't an async function."""
    answer: Any = chat(request)
    if answer.__class__ is not CoroutineType and not hasattr(answer, "__await__"):
        raise WrongResultError(f"tako_chat must return an async function; calling it gave {kind_of(answer)}")
    return answer  # type: ignore[no-any-return]  # it can be awaited


def check_response(answer: Any) -> ChatResponse:
    """Return the answer if it's a response. Raises WrongResultError."""
    if not isinstance(answer, ChatResponse):
        raise WrongResultError(f"the function of tako_chat returned {kind_of(answer)}, not a ChatResponse")
    return answer  # pyright: ignore[reportUnknownVariableType] - of any type


def call_stream(stream: Stream, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    """Call a stream function. Raises WrongResultError if it isn't an async generator function."""
    chunks: Any = stream(request)
    if not (hasattr(chunks, "__anext__") and hasattr(chunks, "aclose")):
        if inspect.iscoroutine(chunks):
            chunks.close()
        raise WrongResultError(
            f"tako_stream must return an async generator function; calling it gave {kind_of(chunks)}"
        )
    return chunks  # type: ignore[no-any-return]  # it can be iterated and closed


def enforce_contract(stream: Stream, provider: Provider, blame: Blame) -> Stream:
    """Return a stream function whose chunks are checked. ``blame`` makes the error for an exception that isn't tako's.

    A stream that is already checked isn't checked again, since every check costs time for every chunk.
    """

    def checked_stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        try:
            chunks = call_stream(stream, request)
        except BaseException as error:
            if passes_through(error):
                name_provider(error, provider, request)
                raise
            raise blame(error, request) from error
        return (
            chunks
            if getattr(chunks, "ag_code", None) is CHECKED_CODE
            else checked_chunks(partial(_opened, chunks), provider, request, blame)
        )

    return checked_stream


async def _opened(chunks: AsyncGenerator[Chunk, None]) -> Opened:
    return chunks, None


async def checked_chunks(
    begin: Callable[[], Awaitable[Opened]],
    provider: Provider,
    request: ChatRequest,
    blame: Blame,
    *,
    is_own: bool = False,
) -> AsyncGenerator[Chunk, None]:
    """Yield the chunks of a stream, checked. ``begin`` opens it, and returns it with its first chunk if it has that.

    ``is_own``: it's the provider's own stream, whose cost is computed here.
    """
    ended = False
    try:
        chunks, first = await begin()
        async with aclosing(chunks):
            if first is not None:
                ended = check_chunk(first, ended=False)
                yield add_provider_and_cost(first, provider, request) if isinstance(first, End) else first
            async for chunk in chunks:
                if ended or chunk.__class__ is not Delta:  # fast path: most chunks are deltas
                    ended = check_chunk(chunk, ended=ended)
                    if isinstance(chunk, End) and (is_own or not chunk.provider):
                        chunk = add_provider_and_cost(chunk, provider, request)  # noqa: PLW2901
                yield chunk
        if not ended:
            raise StreamTruncatedError("the stream ended before the vendor said so")  # noqa: TRY301 - named below
    except BaseException as error:
        if passes_through(error):
            name_provider(error, provider, request)
            raise
        raise blame(error, request) from error


CHECKED_CODE = checked_chunks.__code__


def check_chunk(chunk: object, *, ended: bool, source: str = "the function of tako_stream") -> bool:
    """Return whether a chunk is the End. Raises WrongResultError if it isn't a chunk, or comes after the End."""
    if ended:
        raise ChunkAfterEndError(CHUNK_AFTER_END)
    if isinstance(chunk, Delta):
        return False
    if isinstance(chunk, End):
        return True
    raise WrongResultError(f"{source} yielded {kind_of(chunk)}, not a Delta or an End")


def add_provider_and_cost(end: T, provider: Provider, request: ChatRequest) -> T:
    """Fill in the provider and the cost, unless code further in has set them: another provider has other prices.

    This happens right around the provider's own code, so that plugins see both, and again around the plugins, for
    replies that a plugin made itself.
    """
    own_id = provider.id if request.model is None else id_with_model(provider, request.model)
    provider_id = end.provider or own_id
    cost = provider.cost(end, request) if end.cost is None and provider_id == own_id else end.cost
    return end if (provider_id, cost) == (end.provider, end.cost) else replace(end, provider=provider_id, cost=cost)


def id_with_model(provider: Provider, model: str) -> str:
    """Return the provider's id with this model."""
    return provider.id if model == provider.model else f"{provider.name}:{model}"


def name_provider(error: BaseException, provider: Provider, request: ChatRequest) -> None:
    """Fill in the provider and the model of an error, unless a plugin has set them."""
    if isinstance(error, ProviderError):
        error.provider = error.provider or provider.name
        error.model = error.model or request.model or provider.model
