"""Code that forgets `await`, `async` or `.blocking` is told what to write, wherever Python lets tako say it."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako.conductor import Conductor

if TYPE_CHECKING:
    from collections.abc import Callable


def add(one: int) -> int:
    """Add one."""
    return one + 1


@pytest.fixture
def provider() -> Any:
    return tako.providers.PythonProvider("p", lambda _: "Hello.")


def enter(value: Any) -> None:
    with value:
        pass


def each(value: Any) -> None:
    for _ in value:
        pass


def enter_async(value: Any) -> None:
    async def body() -> None:
        async with value:
            pass

    asyncio.run(body())


def each_async(value: Any) -> None:
    async def body() -> None:
        async for _ in value:
            pass

    asyncio.run(body())


@pytest.mark.parametrize(
    ("make", "use", "advice"),
    [
        (lambda provider: provider, enter, "`async with provider`, or `with provider.blocking`"),
        (lambda provider: provider.blocking, enter_async, "`async with provider`, without `.blocking`"),
        (lambda provider: provider.stream("Hi"), enter, "`with provider.blocking.stream(…)`"),
        (lambda provider: provider.stream("Hi"), each, "`with provider.blocking.stream(…)` and `for`"),
        (lambda provider: provider.stream("Hi", response_type=int), enter, "`with provider.blocking.stream(…)`"),
        (lambda provider: provider.blocking.stream("Hi"), enter_async, "`with` and `for` without `async`"),
        (lambda provider: provider.blocking.run_stream("Hi", tools=[add]), enter_async, "leave out `.blocking`"),
        (lambda provider: tako.Conversation(provider).stream("Hi"), enter, "`with provider.blocking.stream(…)`"),
        (lambda provider: tako.Conversation(provider).blocking.stream("Hi"), enter_async, "leave out `.blocking`"),
        (lambda provider: provider.run("Hi", tools=[add]), enter, "`provider.blocking.run(…)`"),
        (lambda provider: provider.run("Hi", tools=[add]), each, "`provider.blocking.run(…)`"),
        (lambda provider: provider.run("Hi", tools=[add]), each_async, "`async for event in run.stream()`"),
        (lambda provider: provider.run("Hi", tools=[add]), enter_async, "`async for event in run.stream()`"),
        (lambda provider: Conductor({"a": provider}).stream("Hi"), enter, "`async with conductor.stream(…)`"),
        (lambda provider: Conductor({"a": provider}).stream("Hi"), each, "`async with conductor.stream(…)`"),
    ],
)
def test_the_wrong_form_says_what_to_write(
    provider: Any, make: Callable[[Any], Any], use: Callable[[Any], None], advice: str
) -> None:
    with pytest.raises(TypeError) as caught:
        use(make(provider))
    assert advice in str(caught.value)


@pytest.mark.parametrize("name", ["text", "parsed", "response", "messages"])
def test_a_run_that_is_not_awaited_says_so(provider: Any, name: str) -> None:
    run = provider.run("Hi", tools=[add])
    with pytest.raises(AttributeError, match=f"no '{name}': write `await provider.run") as caught:
        getattr(run, name)
    assert caught.value.name == name
    assert not hasattr(copy.copy(run), "_unheard_of")


def test_a_callable_may_still_return_a_stream_of_either_form(provider: Any) -> None:
    for inner in (provider.stream, provider.blocking.stream):
        outer = tako.providers.PythonProvider("o", lambda _: "", stream=inner)
        assert outer.blocking.stream("Hi").response().text == "Hello."
