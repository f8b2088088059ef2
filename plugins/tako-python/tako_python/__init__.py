"""Python callables as providers: any function that answers a ChatRequest can be a model."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self

from tako import Capabilities, Chat, Stream, hookimpl
from tako.errors import ConfigurationError, short_repr
from tako.loading import load_callable
from tako.provider import Provider
from tako_python.calls import call_function, items_of
from tako_python.results import StreamEnd, to_chunk, to_response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from tako.keywords import RequestOptions
    from tako.types import ChatRequest, ChatResponse, Chunk


class PythonProvider(Provider):
    """A model that is a Python function.

    Functions that aren't async run in a worker thread. Calls aren't retried.

    Args:
        id: The name of the provider and its model.
        chat: A function or coroutine function that takes the request and returns a ChatResponse, a str, or a dict
            ``{"text", "input_tokens"?, "output_tokens"?, "tool_calls"?}``.
        stream: A generator function, async or not, of chunks, str, or dicts in the shape of chunks. Without it, a
            stream is one call of ``chat``.
        max_context_tokens: The model's context in tokens, unless you give ``capabilities``.
        capabilities: What the model can do.
        deadline: The most time for a call, in seconds.
        defaults: Request fields that calls leave open.
    """

    name = "python"
    max_retries = 0  # a callable that calls another provider has that provider's retries

    def __init__(
        self,
        id: str,
        chat: Callable[[ChatRequest], Any],
        *,
        stream: Callable[[ChatRequest], Any] | None = None,
        max_context_tokens: int | None = 32_000,
        capabilities: Capabilities | None = None,
        deadline: float | None = None,
        defaults: RequestOptions | None = None,  # Provider takes it; here it's for type checkers
    ) -> None:
        if not isinstance(id, str) or not id:
            raise ConfigurationError(f"PythonProvider: id must be a name, not {short_repr(id)}")
        for option, value in (("chat", chat), ("stream", stream)):
            if not callable(value) and (option, value) != ("stream", None):
                raise ConfigurationError(
                    f"{id}: {option} must be a callable that takes a ChatRequest, not {_kind(value)}"
                )
            if callable(value) and not _accepts_request(value):
                raise ConfigurationError(f"{id}: {option} must be callable with one argument, the ChatRequest")
        if max_context_tokens is not None and (type(max_context_tokens) is not int or max_context_tokens < 1):
            raise ConfigurationError(
                f"{id}: max_context_tokens must be a number of tokens, not {short_repr(max_context_tokens)}"
            )
        super().__init__(id, capabilities=capabilities, deadline=deadline)
        self.chat_callable = chat
        self.stream_callable = stream
        self.max_context_tokens = max_context_tokens
        self._id = id

    @classmethod
    def from_id(cls, model: str, *, places: Sequence[str] | None = None, **options: Any) -> Self:
        """Make a provider from ``package.module:function``, which is imported. ``stream`` may have that form, too.

        Modules that aren't installed are looked up in the folders ``places``, by default the current one. For a
        tako.toml that's its own folder. Raises ConfigurationError if the import fails, or if it isn't a callable.
        """
        if "chat" in options:
            return cls(model, **options) if model else cls(**options)
        if isinstance(options.get("stream"), str):
            options["stream"] = load_callable(options["stream"], places)
        provider = cls(model, load_callable(model, places), **options)
        provider._id = f"{cls.name}:{model}"  # so that `get_provider(provider.id)` finds it again
        return provider

    @property
    def id(self) -> str:
        """The id that was passed."""
        return self._id


@hookimpl
def tako_capabilities(provider: PythonProvider) -> Capabilities:
    """Return what tako knows about a callable."""
    origin = "PythonProvider"
    return Capabilities(
        max_context_tokens=provider.max_context_tokens,
        supports_streaming=provider.stream_callable is not None,
        origins={"max_context_tokens": origin, "supports_streaming": origin},  # the callable may support more
    )


@hookimpl
def tako_chat(provider: PythonProvider) -> Chat:
    """Call ``chat``."""

    async def chat(request: ChatRequest) -> ChatResponse:
        return to_response(await call_function(provider.chat_callable, request), provider.model)

    return chat


@hookimpl
def tako_stream(provider: PythonProvider) -> Stream | None:
    """Iterate over ``stream``, if there is one. If the generator yields no End, one is added."""
    callable_ = provider.stream_callable
    if callable_ is None:
        return None

    async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        end = StreamEnd(provider.model)
        async with aclosing(items_of(callable_, request)) as items:
            async for item in items:
                chunk = to_chunk(item)
                end.add(chunk)
                yield chunk
        if not end.has_ended:
            yield end.make()

    return stream


def _kind(value: object) -> str:
    return type(value).__name__


def _accepts_request(function: Callable[..., Any]) -> bool:
    """Whether a callable accepts one argument. Without a signature, that shows when it is called."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True
