"""The defaults of hooks that a provider doesn't implement. Called last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.capabilities import Capabilities
from tako.errors import PluginError, UnsupportedError
from tako.fold import chunks_of
from tako.hooks import hookimpl
from tako.hooks.nested_calls import enter, outer_call
from tako.hooks.provider_classes import hooks_module_names
from tako.translator import PartContext, Translator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.hookspecs import Chat, Stream
    from tako.parts import Part
    from tako.provider import Provider
    from tako.types import ChatRequest, Chunk


@hookimpl(trylast=True)
def tako_capabilities() -> Capabilities:
    """Return capabilities without any limits or abilities."""
    return Capabilities(supports_streaming=False, origins={"supports_streaming": ""})


@hookimpl(trylast=True)
def tako_translator() -> Translator:
    """Pass parts through unchanged, for providers that use tako's own types."""

    def encode(part: Part, context: PartContext) -> Part:
        return part

    def decode(block: Any, context: PartContext) -> Any:
        return block

    return Translator(encode, decode)


@hookimpl(trylast=True)
def tako_chat(provider: Provider) -> Chat:
    """Raise an error that says whose hook is missing, and where it was expected."""
    raise PluginError(f"{provider.id}: {missing_chat_message(type(provider))}")


def missing_chat_message(cls: type[Provider]) -> str:
    """Return the message that a provider class has no tako_chat, and where it was expected."""
    modules = " or ".join(dict.fromkeys(hooks_module_names(cls)))
    return f"no plugin implements tako_chat for {cls.__name__}; a provider's hooks are expected in {modules}"


@hookimpl(tryfirst=True)
def tako_stream(provider: Provider) -> Stream | None:
    """If the model can't stream, call chat instead, even if there's a stream function."""
    return None if provider.capabilities.supports_streaming else _stream_from_chat(provider)


@hookimpl(specname="tako_stream", trylast=True)
def stream_by_chat(provider: Provider) -> Stream:
    """If no plugin implements it, call chat instead."""
    return _stream_from_chat(provider)


def _stream_from_chat(provider: Provider) -> Stream:
    """Return a stream function that calls the provider's own chat. Only wrappers of streams go around it."""

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        if request.strict:
            raise UnsupportedError(f"{provider.id} can't stream, and the request is strict")
        outer = outer_call(provider)
        if outer is not None and outer.method != "stream":
            raise PluginError(f"{provider.id}: its tako_chat calls provider.stream, but it can't stream")
        with enter(provider, "chat_only"):
            response = await provider.chat(request)
        for chunk in chunks_of(response):
            yield chunk

    return stream
