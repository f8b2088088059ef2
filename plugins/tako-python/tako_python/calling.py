"""Calling what may be async or not: plain callables and generators run in worker threads, never on the event loop."""

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

CLOSING = 1.0
"""Seconds to wait for a plain generator to close; one that is busy for longer closes when it is next done."""
DONE = object()


async def ask(function: Callable[[ChatRequest], Any], request: ChatRequest) -> Any:
    """Call a function and return its result. Raises a ProviderError from whatever it raises, unless that is ours."""
    with named_failures(function):
        if is_async(function):
            return await function(request)
        result = await in_thread(function, request)
        return await result if inspect.isawaitable(result) else result


async def items_of(function: Callable[[ChatRequest], Any], request: ChatRequest) -> AsyncGenerator[Any, None]:
    """Iterate over what a generator function yields; leaving early closes its generator. Raises as ``ask`` does."""
    made = function(request) if _makes_generator(function) else await ask(function, request)
    async with aclosing(_drained(made, function)) as items:
        while True:
            with named_failures(function):
                item = await anext(items, DONE)
            if item is DONE:
                return
            yield item


def is_async(function: Callable[..., Any]) -> bool:
    """Tell a coroutine function, or an object whose ``__call__`` is one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - the method itself is looked at


class named_failures:  # noqa: N801 - for a with statement; a generator's frame would hide who raised
    """Turn what the callable raises into a ProviderError with that cause.

    TakoErrors pass, and so do cancellation and what ends a program, alone or in a group.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not passes_through(error):
            raise ProviderError(f"{name_of(self._function)} raised {one_line(error)}") from error


def name_of(function: Callable[..., Any]) -> str:
    """Return what a callable is called in errors."""
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def _makes_generator(function: Callable[..., Any]) -> bool:
    """Tell a function that only makes a generator, and does no work before that is iterated."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _drained(made: Any, function: Callable[..., Any]) -> AsyncGenerator[Any, None]:
    """Iterate over what the function made, whichever kind it is, and close it at the end."""
    if hasattr(made, "__aiter__"):
        return _awaited(made, function)
    if hasattr(made, "__iter__") and not isinstance(made, (str, bytes, dict)):
        return _pulled(_Pull(iter(made)), function)
    kind = kind_of(made)  # pyright: ignore[reportUnknownArgumentType] - anything may be returned
    raise ResponseError(f"{name_of(function)} returned {kind}; stream= is a generator function, async or not")


async def _awaited(made: AsyncIterable[Any], function: Callable[..., Any]) -> AsyncGenerator[Any, None]:
    try:
        async for item in made:
            yield item
    finally:
        if inspect.isasyncgen(made):
            with named_failures(function):
                await made.aclose()


async def _pulled(pull: _Pull, function: Callable[..., Any]) -> AsyncGenerator[Any, None]:
    try:
        while (item := await in_thread(pull.step)) is not DONE:
            yield item
    finally:
        with named_failures(function), anyio.move_on_after(CLOSING, shield=True):
            await in_thread(pull.close)


class _Pull:
    """A plain iterator that worker threads advance one step at a time, as far as somebody asks and no further."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator
        self._lock = threading.Lock()

    def step(self) -> Any:
        with self._lock:
            return next(self._iterator, DONE)

    def close(self) -> None:
        """Close a generator, once the step that may be under way is over."""
        with self._lock:
            if inspect.isgenerator(self._iterator):
                self._iterator.close()
