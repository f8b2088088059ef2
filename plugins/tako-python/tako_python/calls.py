"""Call functions, async or not. Those that aren't async run in worker threads, never on the event loop."""

from __future__ import annotations

import inspect
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio

from tako.errors import ProviderError, ResponseError, kind_of
from tako.hooks.failures import one_line, passes_through
from tako_python.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator

    from tako.types import ChatRequest

CLOSE_LIMIT = 1.0
"""Seconds to wait for a generator to close. If it's busy for longer, it closes after its current step."""
END = object()


async def call_function(function: Callable[[ChatRequest], Any], request: ChatRequest) -> Any:
    """Call a function and return its result. Its errors become ProviderErrors, unless they are tako's own."""
    with naming_failures(function):
        if is_async(function):
            return await function(request)
        result = await in_thread(function, request)
        return await result if inspect.isawaitable(result) else result


async def items_of(function: Callable[[ChatRequest], Any], request: ChatRequest) -> AsyncGenerator[Any, None]:
    """Iterate over a generator function. Leaving early closes its generator. Raises like ``call_function``."""
    result = function(request) if _makes_generator(function) else await call_function(function, request)
    async with aclosing(_iterate(result, function)) as items:
        while True:
            with naming_failures(function):
                item = await anext(items, END)
            if item is END:
                return
            yield item


def is_async(function: Callable[..., Any]) -> bool:
    """Whether it's a coroutine function, or an object whose ``__call__`` is one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - this checks the method itself


class naming_failures:  # noqa: N801 - a class, because a generator's frame would hide the origin of an error
    """Turn errors of a callable into ProviderErrors, with the error as the cause.

    TakoErrors, cancellation and errors that end a program are raised unchanged, alone or in a group.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not passes_through(error):
            raise ProviderError(f"{name_of(self._function)} raised {one_line(error)}") from error


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a callable for errors."""
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def _makes_generator(function: Callable[..., Any]) -> bool:
    """Whether a function only makes a generator, so that calling it does no work."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _iterate(iterable: Any, function: Callable[..., Any]) -> AsyncGenerator[Any, None]:
    """Iterate over the result of a function, of any kind, and close it at the end."""
    if hasattr(iterable, "__aiter__"):
        return _iterate_async(iterable, function)
    if hasattr(iterable, "__iter__") and not isinstance(iterable, (str, bytes, dict)):
        return _iterate_in_thread(_ThreadIterator(iter(iterable)), function)
    kind = kind_of(iterable)  # pyright: ignore[reportUnknownArgumentType] - anything may be returned
    raise ResponseError(f"{name_of(function)} returned {kind}; stream= must be a generator function, async or not")


async def _iterate_async(iterable: AsyncIterable[Any], function: Callable[..., Any]) -> AsyncGenerator[Any, None]:
    try:
        async for item in iterable:
            yield item
    finally:
        if inspect.isasyncgen(iterable):
            with naming_failures(function):
                await iterable.aclose()


async def _iterate_in_thread(iterator: _ThreadIterator, function: Callable[..., Any]) -> AsyncGenerator[Any, None]:
    try:
        while (item := await in_thread(iterator.step)) is not END:
            yield item
    finally:
        with naming_failures(function), anyio.move_on_after(CLOSE_LIMIT, shield=True):
            await in_thread(iterator.close)


class _ThreadIterator:
    """An iterator that worker threads advance one step at a time, only when an item is requested."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator
        self._lock = threading.Lock()

    def step(self) -> Any:
        with self._lock:
            return next(self._iterator, END)

    def close(self) -> None:
        """Close a generator, after the current step."""
        with self._lock:
            if inspect.isgenerator(self._iterator):
                self._iterator.close()
