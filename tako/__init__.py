"""One interface to many language models, assembled from plugins.

    import tako

    provider = tako.providers.OpenAI("gpt-6.2-sol")
    print(provider.blocking.chat("What is the capital of France?").text)

Every name here is imported when it is first used, so that ``import tako`` costs next to nothing. The rest of the tree
of errors is here, too (``tako.RateLimitError``), though `__all__` leaves it to ``tako.errors``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tako import errors, providers
    from tako.capabilities import Capabilities
    from tako.conductor import Conductor
    from tako.config import load_config
    from tako.conversation import Conversation
    from tako.errors import AuthenticationError as AuthenticationError
    from tako.errors import BadRequestError as BadRequestError
    from tako.errors import ConfigurationError as ConfigurationError
    from tako.errors import ContentFilterError as ContentFilterError
    from tako.errors import ContextLengthError as ContextLengthError
    from tako.errors import MissingKeyError as MissingKeyError
    from tako.errors import NotFoundError as NotFoundError
    from tako.errors import OverloadedError as OverloadedError
    from tako.errors import PermissionDeniedError as PermissionDeniedError
    from tako.errors import PluginError as PluginError
    from tako.errors import ProviderError as ProviderError
    from tako.errors import ProviderTimeoutError as ProviderTimeoutError
    from tako.errors import RateLimitError as RateLimitError
    from tako.errors import ResponseError as ResponseError
    from tako.errors import ServerError as ServerError
    from tako.errors import StreamTruncatedError as StreamTruncatedError
    from tako.errors import TakoError
    from tako.errors import TransportError as TransportError
    from tako.errors import UnknownProviderError as UnknownProviderError
    from tako.errors import UnsupportedError as UnsupportedError
    from tako.errors import UrlPrefetchError as UrlPrefetchError
    from tako.hooks import get_provider, hookimpl, register, unregister
    from tako.hookspecs import Around, Chat, Stream
    from tako.middleware import around
    from tako.parts import Citation, ContentPart, TextPart
    from tako.provider import Provider
    from tako.state import Origin, State
    from tako.stream import ChatStream
    from tako.translator import Translator
    from tako.types import (
        ChatChunk,
        ChatRequest,
        ChatResponse,
        Cost,
        Delta,
        End,
        FinishReason,
        JsonSchema,
        Message,
        Notice,
        Role,
        Tool,
        ToolCallDelta,
        ToolSchema,
        Usage,
    )
    from tako.url_prefetch import UrlPrefetch

    __version__: str

_HOMES = {
    "tako.middleware": ("around",),
    "tako.capabilities": ("Capabilities",),
    "tako.conductor": ("Conductor",),
    "tako.config": ("load_config",),
    "tako.conversation": ("Conversation",),
    "tako.errors": ("TakoError",),
    "tako.hooks": ("get_provider", "hookimpl", "register", "unregister"),
    "tako.hookspecs": ("Around", "Chat", "Stream"),
    "tako.parts": ("Citation", "ContentPart", "TextPart"),
    "tako.provider": ("Provider",),
    "tako.state": ("Origin", "State"),
    "tako.stream": ("ChatStream",),
    "tako.translator": ("Translator",),
    "tako.types": (
        "ChatChunk",
        "ChatRequest",
        "ChatResponse",
        "Cost",
        "Delta",
        "End",
        "FinishReason",
        "JsonSchema",
        "Message",
        "Notice",
        "Role",
        "Tool",
        "ToolCallDelta",
        "ToolSchema",
        "Usage",
    ),
    "tako.url_prefetch": ("UrlPrefetch",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Around",
    "Capabilities",
    "Chat",
    "ChatChunk",
    "ChatRequest",
    "ChatResponse",
    "ChatStream",
    "Citation",
    "Conductor",
    "ContentPart",
    "Conversation",
    "Cost",
    "Delta",
    "End",
    "FinishReason",
    "JsonSchema",
    "Message",
    "Notice",
    "Origin",
    "Provider",
    "Role",
    "State",
    "Stream",
    "TakoError",
    "TextPart",
    "Tool",
    "ToolCallDelta",
    "ToolSchema",
    "Translator",
    "UrlPrefetch",
    "Usage",
    "around",
    "errors",
    "get_provider",
    "hookimpl",
    "load_config",
    "providers",
    "register",
    "unregister",
]


def __getattr__(name: str) -> Any:
    if name in ("errors", "providers"):
        return import_module(f"tako.{name}")
    if name == "__version__":  # pyproject.toml says it, and the installed metadata repeat it
        return import_module("importlib.metadata").version("tako-core")
    home = _HOME.get(name) or ("tako.errors" if name.endswith("Error") else "")
    value = getattr(import_module(home), name, None) if home else None
    if value is None:
        raise AttributeError(f"module 'tako' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
