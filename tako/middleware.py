"""``tako.around``: a plugin that is one function around every request, whether it's answered whole or in chunks."""

from __future__ import annotations

import inspect
import re
from contextlib import AsyncExitStack, aclosing
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, overload

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
_AWAITED = re.compile("async_generator.*await")
"""What Python says, in any version, if a function awaits ``inner(request)``."""


class AroundPlugin:
    """A plugin made by ``tako.around``, to be registered like any other."""

    def __init__(self, function: Function, *, tryfirst: bool = False, trylast: bool = False) -> None:
        mark = hookimpl(wrapper=True, tryfirst=tryfirst, trylast=trylast)
        self.tako_chat = mark(partial(self._around_chat))  # a bound method can't be marked
        self.tako_stream = mark(partial(self._around_stream))
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

    def _around_chat(self, provider: Provider) -> Around[Chat]:
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

    def _around_stream(self, provider: Provider) -> Around[Stream]:
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
                try:
                    async for chunk in chunks:
                        if ended or chunk.__class__ is not Delta:
                            ended = check_chunk(chunk, ended=ended, source="the function of tako.around")
                        yield chunk
                except TypeError as error:
                    if _AWAITED.search(str(error)):
                        raise TypeError(f"{error}: write `async for chunk in inner(request)`") from error
                    raise
        if not ended:
            raise StreamTruncatedError(f"plugin {self.__name__!r} dropped the End of the stream; yield every chunk")


@overload
def around(function: Function, /) -> AroundPlugin: ...
@overload
def around(*, tryfirst: bool = False, trylast: bool = False) -> Callable[[Function], AroundPlugin]: ...
def around(
    function: Function | None = None, /, *, tryfirst: bool = False, trylast: bool = False
) -> AroundPlugin | Callable[[Function], AroundPlugin]:
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

    ``@tako.around(trylast=True)`` goes inside tako's retries, around each try. ``tryfirst=True`` goes before the other
    plugins.

    Raises:
        PluginError: The function isn't an async generator function, or has another parameter without a default.
    """
    if function is None:
        return partial(AroundPlugin, tryfirst=tryfirst, trylast=trylast)
    return AroundPlugin(function, tryfirst=tryfirst, trylast=trylast)


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
