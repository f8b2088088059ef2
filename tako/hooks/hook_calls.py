"""Calls of one hook for one provider, in which each failure has the name of the plugin that caused it.

pluggy only sees proxies of the implementations, never the plugins themselves. Each proxy knows whose code it runs, so
it can tell who raised an exception, even if other plugins change the exception on its way out.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from tako.capabilities import Capabilities
from tako.errors import kind_of
from tako.hooks.counting import countable
from tako.hooks.failures import WrongResultError, is_interrupt
from tako.hooks.layers import around_plugin, around_provider
from tako.translator import Translator

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tako.hooks.checks import Implementation

Owner = Literal["provider", "tako", "general"]
"""Whose code an implementation is: the provider's own, tako's, or a general plugin's."""

RESULT_TYPES: dict[str, type] = {"tako_capabilities": Capabilities, "tako_translator": Translator}
"""The results of the hooks that don't return functions."""


class Failure(Struct, frozen=True):
    """An exception that a general plugin raised in a hook."""

    plugin: str
    error: BaseException


class HookCall:
    """One call of a hook for one provider.

    ``own_result`` is the result of the provider's own code alone, ``wrappers`` are the general plugins around it.
    ``needs_event_loop`` says whether a general plugin with a part in the result may use asyncio.
    """

    def __init__(self, hook: str, arguments: dict[str, Any]) -> None:
        self.hook = hook
        self.arguments = arguments
        self.outer = current_call.get(None)
        self.is_answered = False
        self.own_result: Any = None
        self.wrappers: list[str] = []
        self.failures: list[Failure] = []
        self.needs_event_loop = False
        self.is_attributed = False  # whether errors of the result so far already name the code that raised them

    def refuse_recursion(self) -> None:
        """Raise RecursionError if this call happens within the same call."""
        outer = self.outer
        while outer is not None:
            is_same = outer.hook == self.hook and outer.arguments["provider"] is self.arguments["provider"]
            if is_same and not outer.is_answered:  # a task that was started within that call still sees it
                raise RecursionError(f"{self.hook} needs its own result")
            outer = outer.outer

    def call(self, implementation: Implementation) -> Any:
        """Call an implementation with the parameters that it names."""
        try:
            return implementation.function(**{name: self.arguments[name] for name in implementation.parameters})
        except StopIteration as error:  # generators can't pass it on, and the wrappers around it are generators
            raise RuntimeError("StopIteration was raised outside of a generator") from error

    def check_result(self, result: Any) -> None:
        """Refuse a result of another type than the hook promises."""
        expected_type = RESULT_TYPES.get(self.hook)
        if isinstance(result, expected_type) if expected_type else callable(result):
            return
        if inspect.iscoroutine(result):
            result.close()
        expected = f"a {expected_type.__name__}" if expected_type else "an async function"
        raise WrongResultError(f"it must return {expected}, not {kind_of(result)}")

    @contextmanager
    def recording_failures(
        self, plugin: str, owner: Owner, raised_within: BaseException | None = None
    ) -> Generator[None]:
        """Record what a general plugin raises, except for ``raised_within``, which is another plugin's exception."""
        try:
            yield
        except BaseException as error:
            if owner == "general" and error is not raised_within and not is_interrupt(error):
                self.failures.append(Failure(plugin, error))
            raise


current_call: ContextVar[HookCall] = ContextVar("current_call")
_EXHAUSTED = object()


def make_proxy(plugin: str, implementation: Implementation, owner: Owner) -> Callable[[], Any]:
    """Make the function that pluggy calls in place of an implementation, as a part of ``current_call``."""

    def answer() -> Any:
        hook_call = current_call.get()
        with hook_call.recording_failures(plugin, owner):
            result = hook_call.call(implementation)
            if result is not None:
                hook_call.check_result(result)
        if result is None:
            return None
        result = _countable(hook_call, plugin, owner, result)
        hook_call.own_result = _wrap_result(hook_call, plugin, owner, implementation, result)
        return hook_call.own_result

    def wrap() -> Generator[None, Any, Any]:
        hook_call = current_call.get()
        with hook_call.recording_failures(plugin, owner):
            generator = hook_call.call(implementation)
            if next(generator, _EXHAUSTED) is _EXHAUSTED:
                raise WrongResultError("it must yield, once")
        inner = wrapped_inner = raised_within = None
        try:
            inner = yield
            wrapped_inner = _wrap_inner(hook_call, owner, inner)
            resume = partial(generator.send, wrapped_inner)
        except BaseException as error:  # noqa: BLE001 - the implementation sees what was raised further in
            raised_within, resume = error, partial(generator.throw, error)
        with hook_call.recording_failures(plugin, owner, raised_within):
            result = _finish_wrapper(generator, resume)
            if result is wrapped_inner and raised_within is None:
                return inner
            hook_call.check_result(result)
        result = _wrap_result(hook_call, plugin, owner, implementation, result)
        if owner == "general":
            hook_call.wrappers.append(plugin)
        elif owner == "provider":
            hook_call.own_result = result
        return result

    return wrap if implementation.wrapper else answer


def _countable(hook_call: HookCall, plugin: str, owner: Owner, result: Any) -> Any:
    """Return the function that answers requests, which a count doesn't call."""
    if hook_call.hook != "tako_chat":
        return result
    return countable(result, hook_call.arguments["provider"], plugin if owner == "general" else None)


def _wrap_inner(hook_call: HookCall, owner: Owner, inner: Any) -> Any:
    """Return what a wrapper gets as ``inner``. For a general plugin, its errors name the code that raised them."""
    if owner != "general" or hook_call.is_attributed:
        return inner
    return around_provider(hook_call.hook, inner, hook_call.arguments["provider"])


def _wrap_result(hook_call: HookCall, plugin: str, owner: Owner, implementation: Implementation, result: Any) -> Any:
    if owner != "general":
        hook_call.is_attributed = hook_call.is_attributed and owner == "tako"
        return result
    hook_call.is_attributed = True
    hook_call.needs_event_loop = hook_call.needs_event_loop or implementation.needs_event_loop
    return around_plugin(hook_call.hook, result, hook_call.arguments["provider"], plugin)


def _finish_wrapper(generator: Generator[Any, Any, Any], resume: Callable[[], Any]) -> Any:
    """Resume a wrapper, and return its result."""
    try:
        resume()
    except StopIteration as stop:
        return stop.value
    generator.close()
    raise WrongResultError("it must yield only once")
