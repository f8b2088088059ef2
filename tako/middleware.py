"""``tako.around``: a plugin that is one function around every request, whether it's answered whole or in chunks."""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack, aclosing
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any

from tako.errors import PluginError, StreamTruncatedError, kind_of
from tako.fold import chunks_of, fold
from tako.hooks import hookimpl
from tako.hooks.contract import check_chunk
from tako.types import ChatRequest, Delta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatResponse, Chunk

    Function = Callable[..., AsyncGenerator[Chunk, None]]

PARAMETERS = ("provider", "request", "inner")
"""The parameters that the function may have."""


class AroundPlugin:
    """A plugin made by ``tako.around``, to be registered like any other."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.__name__ = _name(function)
        self.parameters = _parameters(function, self.__name__)
        self.configure = self._make_configure()
        self.options: dict[str, Any] = {}
        self.close: Callable[[], object] | None = getattr(function, "close", None)

    def __repr__(self) -> str:
        return f"<tako.around({self.__name__})>"

    def _make_configure(self) -> Callable[..., None]:
        """Make the function that takes the plugin's options: the parameters of its function that have a default."""
        parameters = inspect.signature(self.function).parameters.values()
        signature = inspect.Signature(
            [
                parameter.replace(kind=parameter.KEYWORD_ONLY)
                for parameter in parameters
                if parameter.name not in PARAMETERS
            ]
        )

        def configure(**options: Any) -> None:
            self.options = signature.bind(**options).arguments

        configured: Any = update_wrapper(configure, self.function)
        configured.__signature__ = signature
        return configured  # type: ignore[no-any-return]  # it's configure

    @hookimpl(wrapper=True)
    def tako_chat(self, provider: Provider) -> Around[Chat]:
        """Pass the chunks of a chat through the function, and fold them."""
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            inner_chunks: list[Chunk] = []
            response: ChatResponse | None = None

            async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
                nonlocal response
                response = await inner(request)
                inner_chunks[:] = chunks_of(response)
                for chunk in inner_chunks:
                    yield chunk

            async with aclosing(self.run(provider, request, stream)) as chunks:
                yielded = [chunk async for chunk in chunks]
            if response is not None and list(map(id, yielded)) == list(map(id, inner_chunks)):
                return response  # nothing was changed
            return fold(yielded, model=request.model or provider.model)

        return chat

    @hookimpl(wrapper=True)
    def tako_stream(self, provider: Provider) -> Around[Stream]:
        """Pass the chunks of a stream through the function."""
        inner = yield
        return lambda request: self.run(provider, request, inner)

    async def run(self, provider: Provider, request: ChatRequest, inner: Stream) -> AsyncGenerator[Chunk, None]:
        """Run the function around one request, and close the streams that it started."""
        async with AsyncExitStack() as started:

            def start(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
                if not isinstance(request, ChatRequest):
                    raise TypeError(f"inner takes a ChatRequest, not {kind_of(request)}")
                chunks = inner(request)
                started.push_async_callback(chunks.aclose)
                return chunks

            available = {"provider": provider, "request": request, "inner": start}
            ended = False
            arguments = {name: available[name] for name in self.parameters} | self.options
            async with aclosing(self.function(**arguments)) as chunks:
                async for chunk in chunks:
                    if ended or chunk.__class__ is not Delta:
                        ended = check_chunk(chunk, ended=ended, source="the function of tako.around")
                    yield chunk
        if not ended:
            raise StreamTruncatedError(f"the stream ended without an End behind plugin {self.__name__!r}")


def around(function: Function) -> AroundPlugin:
    """Make a plugin from an async generator function that goes around every request, for chat and stream alike.

    ::

        @tako.around
        async def audit(provider, request, inner):
            async for chunk in inner(request):
                if chunk.kind == "end":
                    print(provider.id, chunk.usage.total)
                yield chunk

        tako.register(audit)

    The function takes any of ``provider``, ``request`` and ``inner``, by name. Parameters with a default are the
    plugin's options. ``inner(request)`` starts the request and returns its chunks: deltas, then the End. A chat passes
    as the chunks of its response and is put together again.

    You may change the request, change, drop or add chunks, call ``inner`` again before you yield the first chunk, and
    catch what is raised. Streams that you started are closed when your function ends, or when the caller leaves early.

    Raises:
        PluginError: The function isn't an async generator function, or has another parameter without a default.
    """
    return AroundPlugin(function)


def _name(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__name__", None) or type(function).__name__)


def _parameters(function: Any, name: str) -> list[str]:
    """Return the names of the parameters that tako fills in. Raises PluginError for any other without a default."""
    call = getattr(function, "__call__", None)  # noqa: B004 - of an object the method itself is looked at
    if not (inspect.isasyncgenfunction(function) or inspect.isasyncgenfunction(call)):
        raise PluginError(f"tako.around({name}): it must be an async generator function: async def, with yield")
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        is_named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if not (is_named and (parameter.name in PARAMETERS or parameter.default is not parameter.empty)):
            raise PluginError(f"tako.around({name}): parameter {parameter.name}: it may take {', '.join(PARAMETERS)}")
    return [parameter.name for parameter in parameters if parameter.name in PARAMETERS]
