"""Layers around the functions of plugins and providers, so that an exception names the code that raised it.

A general plugin that returns None, or the ``inner`` that it got, has no layer, so it costs nothing at call time. If its
stream function returns the stream of ``inner``, as tako-otel does without telemetry, that request has no layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.errors import PluginError, ProviderError, ResponseError, TakoError, kind_of
from tako.hooks.contract import (
    CHUNK_AFTER_END,
    ChunkAfterEndError,
    call_chat,
    check_response,
    enforce_contract,
)
from tako.hooks.failures import WrongResultError, one_line, passes_through
from tako.translator import Translator
from tako.types import ChatRequest, ChatResponse

if TYPE_CHECKING:
    from tako.hooks.contract import Blame
    from tako.hookspecs import Chat
    from tako.provider import Provider

FAILED = "the provider failed"
"""The beginning of the message if a provider's own code raised an exception that isn't a TakoError."""


def around_plugin(hook: str, result: Any, provider: Provider, plugin: str) -> Any:
    """Put a layer around what a general plugin returned. Its exceptions become a PluginError that names the plugin."""

    def blame(error: BaseException, request: ChatRequest | None) -> Exception:
        return PluginError(f"{provider.id}: plugin {plugin!r} failed in {hook}: {one_line(error)}")

    match hook:
        case "tako_chat":
            return _chat(result, blame)
        case "tako_stream":
            return enforce_contract(result, provider, blame)
        case "tako_translator":
            return _translator(result, blame)
        case _:
            return result


def around_provider(hook: str, inner: Any, provider: Provider) -> Any:
    """Put a layer around what a plugin gets as ``inner``. Exceptions of the provider's code become a ProviderError."""

    def blame(error: BaseException, request: ChatRequest | None) -> Exception:
        return provider_failure(error, provider, request)

    if inner is None:
        return None
    match hook:
        case "tako_chat":
            return _check_request(_chat(inner, blame))
        case "tako_stream":
            return _check_request(enforce_contract(inner, provider, blame))
        case "tako_translator":
            return _translator(inner, blame)
        case _:
            return inner


def provider_failure(error: BaseException, provider: Provider, request: ChatRequest | None) -> TakoError:
    """Return the error for an exception of a provider's own code."""
    if isinstance(error, ChunkAfterEndError):
        return ResponseError(CHUNK_AFTER_END)
    if isinstance(error, WrongResultError):
        return PluginError(f"{provider.id}: {error}")
    model = (request.model if request is not None else None) or provider.model
    return ProviderError(f"{FAILED}: {one_line(error)}", provider=provider.name, model=model)


def _chat(inner: Chat, blame: Blame) -> Chat:
    async def chat(request: ChatRequest) -> ChatResponse:
        try:
            response = await call_chat(inner, request)
            return response if response.__class__ is ChatResponse else check_response(response)
        except BaseException as error:
            if passes_through(error):
                raise
            raise blame(error, request) from error

    return chat


def _check_request(inner: Any) -> Any:
    """Refuse anything but a ChatRequest when a plugin calls ``inner``, so that the error names the plugin."""

    def checked(request: ChatRequest) -> Any:
        if not isinstance(request, ChatRequest):
            raise TypeError(f"inner takes a ChatRequest, not {kind_of(request)}")
        return inner(request)

    return checked


def _translator(inner: Translator, blame: Blame) -> Translator:
    def blaming(function: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except BaseException as error:
                if passes_through(error):
                    raise
                raise blame(error, None) from error

        return wrapped

    return Translator(blaming(inner.encode), blaming(inner.decode))
