"""The contract of every answer: it is a response, or deltas and then exactly one End."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from tako.errors import ProviderError, StreamTruncatedError, kind_of
from tako.hooks.failures import WrongResultError, passes
from tako.types import ChatResponse, Delta, End

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tako.hookspecs import Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, Chunk

    Begun = tuple[AsyncGenerator[Chunk, None], Chunk | None]
    Blame = Callable[[BaseException, ChatRequest | None], Exception]

T = TypeVar("T", ChatResponse, End)

AFTER_THE_END = "the plugin sent a chunk after the end of the stream"


class AfterTheEndError(WrongResultError):
    """A chunk came after the End."""


def answering(chat: Chat, request: ChatRequest) -> Awaitable[ChatResponse]:
    """Call a chat function, which its author may have got wrong."""
    answer: Any = chat(request)
    if answer.__class__ is not CoroutineType and not hasattr(answer, "__await__"):
        raise WrongResultError(f"tako_chat must return an async function; calling it gave {kind_of(answer)}")
    return answer  # type: ignore[no-any-return]  # it can be awaited


def response_of(answer: Any) -> ChatResponse:
    """Refuse an answer that isn't a response."""
    if not isinstance(answer, ChatResponse):
        raise WrongResultError(f"the function of tako_chat returned {kind_of(answer)}, not a ChatResponse")
    return answer  # pyright: ignore[reportUnknownVariableType] - of any type


def streaming(stream: Stream, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    """Call a stream function, which its author may have got wrong."""
    chunks: Any = stream(request)
    if not (hasattr(chunks, "__anext__") and hasattr(chunks, "aclose")):
        if inspect.iscoroutine(chunks):
            chunks.close()
        raise WrongResultError(
            f"tako_stream must return an async generator function; calling it gave {kind_of(chunks)}"
        )
    return chunks  # type: ignore[no-any-return]  # it can be iterated and closed


def held(stream: Stream, provider: Provider, blame: Blame) -> Stream:
    """Hold a stream function to the contract; ``blame`` makes the error for an exception that isn't tako's.

    A stream that is held already and only handed on stays as it is: one check more would cost every chunk time.
    """

    def holding(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        try:
            chunks = streaming(stream, request)
        except BaseException as error:
            if passes(error):
                name(error, provider, request)
                raise
            raise blame(error, request) from error
        return (
            chunks
            if getattr(chunks, "ag_code", None) is HELD
            else holds(partial(_begun, chunks), provider, request, blame)
        )

    return holding


async def _begun(chunks: AsyncGenerator[Chunk, None]) -> Begun:
    return chunks, None


async def holds(
    begin: Callable[[], Awaitable[Begun]], provider: Provider, request: ChatRequest, blame: Blame, *, own: bool = False
) -> AsyncGenerator[Chunk, None]:
    """Yield the chunks of a stream, which ``begin`` returns with the first of them if that has come already.

    ``own``: it is the provider's own, whose costs are computed here.
    """
    ended = False
    try:
        chunks, first = await begin()
        async with aclosing(chunks):
            if first is not None:
                ended = in_order(first, ended=False)
                yield answered(first, provider, request) if isinstance(first, End) else first
            async for chunk in chunks:
                if ended or chunk.__class__ is not Delta:  # most are deltas
                    ended = in_order(chunk, ended=ended)
                    if isinstance(chunk, End) and (own or not chunk.provider):
                        chunk = answered(chunk, provider, request)  # noqa: PLW2901
                yield chunk
        if not ended:
            raise StreamTruncatedError("the stream ended before the vendor said so")  # noqa: TRY301 - named below
    except BaseException as error:
        if passes(error):
            name(error, provider, request)
            raise
        raise blame(error, request) from error


HELD = holds.__code__


def in_order(chunk: object, *, ended: bool) -> bool:
    """Refuse what is not a chunk, and any chunk after the End; returns whether this one is the End."""
    if ended:
        raise AfterTheEndError(AFTER_THE_END)
    if isinstance(chunk, Delta):
        return False
    if isinstance(chunk, End):
        return True
    raise WrongResultError(f"the function of tako_stream yielded {kind_of(chunk)}, not a Delta or an End")


def answered(end: T, provider: Provider, request: ChatRequest) -> T:
    """Fill in who answered and what it cost, unless someone further in has said so, whose prices are others.

    Done next to the provider's own code, so that plugins see it and may ask another model; and around plugins, for what
    they answer themselves.
    """
    asked = provider.id if request.model is None else who_answers(provider, request.model)
    who = end.provider or asked
    cost = provider.cost(end, request) if end.cost is None and who == asked else end.cost
    return end if (who, cost) == (end.provider, end.cost) else replace(end, provider=who, cost=cost)


def who_answers(provider: Provider, model: str) -> str:
    """Return the id of a provider that is asked for this model."""
    return provider.id if model == provider.model else f"{provider.name}:{model}"


def name(error: BaseException, provider: Provider, request: ChatRequest) -> None:
    """Fill in who failed, where a plugin did not say."""
    if isinstance(error, ProviderError):
        error.provider = error.provider or provider.name
        error.model = error.model or request.model or provider.model
