"""Asking the implementations of one hook, so that each failure has the name of the plugin whose it is.

pluggy sees functions that stand for the implementations, never the plugins themselves. Each of them knows whose code it
runs, whatever others make of a failure on its way out.
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
from tako.hooks.failures import WrongResultError, is_interrupt
from tako.hooks.layers import around_plugin, around_provider
from tako.translator import Translator

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tako.hooks.checks import Implementation

Place = Literal["provider", "tako", "general"]
"""Whose code an implementation is: the provider's own, tako's, or a general plugin's."""

KINDS: dict[str, type] = {"tako_capabilities": Capabilities, "tako_translator": Translator}
"""What the hooks return that don't return functions."""


class Failure(Struct, frozen=True):
    """What a general plugin did instead of answering a hook."""

    plugin: str
    error: BaseException


class Question:
    """One hook that is asked for one provider.

    ``own`` is the answer without anything around it but the provider's own code; ``wrappers`` are the general plugins
    that went around it.
    """

    def __init__(self, hook: str, arguments: dict[str, Any]) -> None:
        self.hook = hook
        self.arguments = arguments
        self.outer = current.get(None)
        self.answered = False
        self.own: Any = None
        self.wrappers: list[str] = []
        self.failures: list[Failure] = []
        self.named = False  # whether all that the answer so far may raise has the name of who raises it

    def refuse_circles(self) -> None:
        """Raise if the answer to this question waits for the same question."""
        outer = self.outer
        while outer is not None:
            same = outer.hook == self.hook and outer.arguments["provider"] is self.arguments["provider"]
            if same and not outer.answered:  # a task that was started back then still has it
                raise RecursionError(f"{self.hook} uses what it is asked for")
            outer = outer.outer

    def call(self, implementation: Implementation) -> Any:
        """Call an implementation with the arguments that it takes."""
        try:
            return implementation.function(**{name: self.arguments[name] for name in implementation.parameters})
        except StopIteration as error:  # the wrappers outside, which are generators, couldn't let it pass
            raise RuntimeError("StopIteration was raised outside of a generator") from error

    def check(self, made: Any) -> None:
        """Refuse what is of another kind than the hook promises."""
        wanted = KINDS.get(self.hook)
        if isinstance(made, wanted) if wanted else callable(made):
            return
        if inspect.iscoroutine(made):
            made.close()
        what = f"a {wanted.__name__}" if wanted else "an async function"
        raise WrongResultError(f"it must return {what}, not {kind_of(made)}")

    @contextmanager
    def watching(self, plugin: str, place: Place, passing: BaseException | None = None) -> Generator[None]:
        """Keep what a general plugin raises; ``passing`` was raised by another one."""
        try:
            yield
        except BaseException as error:
            if place == "general" and error is not passing and not is_interrupt(error):
                self.failures.append(Failure(plugin, error))
            raise


current: ContextVar[Question] = ContextVar("question")
_DONE = object()


def stand_in(plugin: str, implementation: Implementation, place: Place) -> Callable[[], Any]:
    """Make the function that is asked in place of an implementation; what is asked is the ``current`` question."""

    def answer() -> Any:
        question = current.get()
        with question.watching(plugin, place):
            made = question.call(implementation)
            if made is not None:
                question.check(made)
        if made is None:
            return None
        question.own = made = _with_layer(question, plugin, place, made)
        return made

    def wrap() -> Generator[None, Any, Any]:
        question = current.get()
        with question.watching(plugin, place):
            steps = question.call(implementation)
            if next(steps, _DONE) is _DONE:
                raise WrongResultError("it must yield, once")
        inner = given = passing = None
        try:
            inner = yield
            given = _given(question, place, inner)
            resume = partial(steps.send, given)
        except BaseException as error:  # noqa: BLE001 - the implementation sees what was raised within
            passing, resume = error, partial(steps.throw, error)
        with question.watching(plugin, place, passing):
            made = _returned(steps, resume)
            if made is given and passing is None:
                return inner
            question.check(made)
        made = _with_layer(question, plugin, place, made)
        if place == "general":
            question.wrappers.append(plugin)
        elif place == "provider":
            question.own = made
        return made

    return wrap if implementation.wrapper else answer


def _given(question: Question, place: Place, inner: Any) -> Any:
    """Return what a wrapper gets as ``inner``: for a general plugin the failures within have names already."""
    if place != "general" or question.named:
        return inner
    return around_provider(question.hook, inner, question.arguments["provider"])


def _with_layer(question: Question, plugin: str, place: Place, made: Any) -> Any:
    if place != "general":
        question.named = question.named and place == "tako"
        return made
    question.named = True
    return around_plugin(question.hook, made, question.arguments["provider"], plugin)


def _returned(steps: Generator[Any, Any, Any], resume: Callable[[], Any]) -> Any:
    """Let a wrapper go on to its end and return what it returns."""
    try:
        resume()
    except StopIteration as done:
        return done.value
    steps.close()
    raise WrongResultError("it must yield only once")
