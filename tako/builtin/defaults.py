"""What holds where a provider does not implement a hook. Asked last of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.capabilities import Capabilities
from tako.errors import PluginError
from tako.hooks import hookimpl
from tako.translator import PartContext, Translator

if TYPE_CHECKING:
    from tako.hookspecs import Chat
    from tako.parts import Part
    from tako.provider import Provider


@hookimpl(trylast=True)
def tako_capabilities() -> Capabilities:
    """Know nothing: no limits, no abilities."""
    return Capabilities(supports_streaming=False, origins={"supports_streaming": ""})


@hookimpl(trylast=True)
def tako_translator() -> Translator:
    """Hand parts through as they are, for providers that speak tako's own shapes."""

    def encode(part: Part, context: PartContext) -> Part:
        return part

    def decode(block: Any) -> Any:
        return block

    return Translator(encode, decode)


@hookimpl(trylast=True)
def tako_chat(provider: Provider) -> Chat:
    """Say whose hook is missing."""
    raise PluginError(f"{provider.id}: no plugin implements tako_chat for {type(provider).__name__}")
