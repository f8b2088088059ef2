"""What stands around the code of others at call time, so that an exception gets the name of who raised it.

A general plugin that declines, or returns the ``inner`` that it got, has no layer: such plugins cost a call nothing.
"""

from __future__ import annotations

import inspect
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from tako.errors import PluginError, ProviderError, ResponseError, TakoError
from tako.hooks.failures import WrongResultError, one_line, passes
from tako.translator import Translator
from tako.types import ChatRequest, ChatResponse, Delta, End

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tako.hookspecs import Chat, Stream
    from tako.provider import Provider
    from tako.types import Chunk

    Blame = Callable[[BaseException, ChatRequest | None], Exception]

FAILED = "the provider failed"
"""How the text begins of an error that stands for an exception of a provider's own code."""
AFTER_THE_END = "the plugin sent a chunk after the end of the stream"


def around_plugin(hook: str, made: Any, provider: Provider, plugin: str) -> Any:
    """Put a layer around what a general plugin returned: whatever goes wrong in it is a PluginError that names it."""

    def blame(error: BaseException, request: ChatRequest | None) -> Exception:
        return PluginError(f"{provider.id}: plugin {plugin!r} failed in {hook}: {one_line(error)}")

    match hook:
        case "tako_chat":
            return _chat(made, blame)
        case "tako_stream":
            return _stream(made, blame)
        case "tako_translator":
            return _translator(made, blame)
        case _:
            return made


def around_provider(hook: str, inner: Any, provider: Provider) -> Any:
    """Put a layer around what a plugin gets as ``inner``: what the provider's own code raises is a ProviderError."""

    def blame(error: BaseException, request: ChatRequest | None) -> Exception:
        return provider_failure(error, provider, request)

    if inner is None:
        return None
    match hook:
        case "tako_chat":
            return _checking(_chat(inner, blame))
        case "tako_stream":
            return _checking(_stream(inner, blame))
        case "tako_translator":
            return _translator(inner, blame)
        case _:
            return inner


def provider_failure(error: BaseException, provider: Provider, request: ChatRequest | None) -> TakoError:
    """Return the error that stands for an exception of a provider's own code."""
    if isinstance(error, AfterTheEndError):
        return ResponseError(AFTER_THE_END)
    if isinstance(error, WrongResultError):
        return PluginError(f"{provider.id}: {error}")
    model = (request.model if request is not None else None) or provider.model
    return ProviderError(f"{FAILED}: {one_line(error)}", provider=provider.name, model=model)


def answering(chat: Chat, request: ChatRequest) -> Awaitable[ChatResponse]:
    """Call a chat function, which its author may have got wrong."""
    answer: Any = chat(request)
    if not hasattr(answer, "__await__"):
        raise WrongResultError(f"tako_chat must return an async function; calling it gave {kind(answer)}")
    return answer  # type: ignore[no-any-return]  # it can be awaited


def response_of(answer: Any) -> ChatResponse:
    """Refuse an answer that isn't a response."""
    if not isinstance(answer, ChatResponse):
        raise WrongResultError(f"the function of tako_chat returned {kind(answer)}, not a ChatResponse")
    return answer  # pyright: ignore[reportUnknownVariableType] - of any type


def streaming(stream: Stream, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    """Call a stream function, which its author may have got wrong."""
    chunks: Any = stream(request)
    if not (hasattr(chunks, "__anext__") and hasattr(chunks, "aclose")):
        if inspect.iscoroutine(chunks):
            chunks.close()
        raise WrongResultError(f"tako_stream must return an async generator function; calling it gave {kind(chunks)}")
    return chunks  # type: ignore[no-any-return]  # it can be iterated and closed


def in_order(chunk: object, *, ended: bool) -> bool:
    """Refuse what is no chunk, and any chunk after the End; returns whether this one is the End."""
    if ended:
        raise AfterTheEndError(AFTER_THE_END)
    if isinstance(chunk, Delta):
        return False
    if isinstance(chunk, End):
        return True
    raise WrongResultError(f"the function of tako_stream yielded {kind(chunk)}, not a Delta or an End")


def kind(value: object) -> str:
    """Return what a value is, for a message."""
    return "None" if value is None else f"a {type(value).__name__}"


class AfterTheEndError(WrongResultError):
    """A chunk came after the End."""


def _chat(made: Chat, blame: Blame) -> Chat:
    async def chat(request: ChatRequest) -> ChatResponse:
        try:
            return response_of(await answering(made, request))
        except BaseException as error:
            if passes(error):
                raise
            raise blame(error, request) from error

    return chat


def _stream(made: Stream, blame: Blame) -> Stream:
    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        ended = False
        try:
            async with aclosing(streaming(made, request)) as chunks:
                async for chunk in chunks:
                    if ended or chunk.__class__ is not Delta:  # most are deltas
                        ended = in_order(chunk, ended=ended)
                    yield chunk
        except BaseException as error:
            if passes(error):
                raise
            raise blame(error, request) from error

    return stream


def _checking(inner: Any) -> Any:
    """Refuse a request that is none where a plugin hands it on, so that the mistake is the plugin's."""

    def call(request: ChatRequest) -> Any:
        if not isinstance(request, ChatRequest):
            raise TypeError(f"inner takes a ChatRequest, not {kind(request)}")
        return inner(request)

    return call


def _translator(made: Translator, blame: Blame) -> Translator:
    def blaming(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except BaseException as error:
                if passes(error):
                    raise
                raise blame(error, None) from error

        return call

    return Translator(blaming(made.encode), blaming(made.decode))
