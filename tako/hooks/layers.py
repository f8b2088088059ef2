"""What stands around the code of others at call time, so that an exception gets the name of who raised it.

A general plugin that declines, or returns the ``inner`` that it got, has no layer: such plugins cost a call nothing.
One whose stream function returns what ``inner`` made, as tako-otel's does without telemetry, has none for that request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.errors import PluginError, ProviderError, ResponseError, TakoError, kind_of
from tako.hooks.contract import (
    AFTER_THE_END,
    AfterTheEndError,
    answering,
    held,
    response_of,
)
from tako.hooks.failures import WrongResultError, one_line, passes
from tako.translator import Translator
from tako.types import ChatRequest

if TYPE_CHECKING:
    from tako.hooks.contract import Blame
    from tako.hookspecs import Chat
    from tako.provider import Provider
    from tako.types import ChatResponse

FAILED = "the provider failed"
"""How the text begins of an error that stands for an exception of a provider's own code."""


def around_plugin(hook: str, made: Any, provider: Provider, plugin: str) -> Any:
    """Put a layer around what a general plugin returned: whatever goes wrong in it is a PluginError that names it."""

    def blame(error: BaseException, request: ChatRequest | None) -> Exception:
        return PluginError(f"{provider.id}: plugin {plugin!r} failed in {hook}: {one_line(error)}")

    match hook:
        case "tako_chat":
            return _chat(made, blame)
        case "tako_stream":
            return held(made, provider, blame)
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
            return _checking(held(inner, provider, blame))
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


def _chat(made: Chat, blame: Blame) -> Chat:
    async def chat(request: ChatRequest) -> ChatResponse:
        try:
            return response_of(await answering(made, request))
        except BaseException as error:
            if passes(error):
                raise
            raise blame(error, request) from error

    return chat


def _checking(inner: Any) -> Any:
    """Refuse a request that is none where a plugin hands it on, so that the mistake is the plugin's."""

    def call(request: ChatRequest) -> Any:
        if not isinstance(request, ChatRequest):
            raise TypeError(f"inner takes a ChatRequest, not {kind_of(request)}")
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
