"""Every way of asking takes the same keywords: providers, blocking, conversations, fallbacks, conductors."""

from __future__ import annotations

import asyncio
import inspect
import typing
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import Conductor, Conversation, Provider
from tako.errors import ConfigurationError
from tako.keywords import REQUEST_KEYWORDS
from tako.names import SHIPPED
from tako.providers import Fallback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tako import ChatRequest


def now(one: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await one

    return asyncio.run(wait())


def last(run: Any) -> Any:
    async def wait() -> Any:
        return [event async for event in run.stream()][-1].result.response

    return asyncio.run(wait())


def conducted(provider: Provider, prompt: str, **options: Any) -> Any:
    return now(Conductor({"w": provider}).run(prompt, **options)).steps[0].results[0].response


FACES: dict[str, Callable[[Provider], Any]] = {
    "provider": lambda provider: provider,
    "fallback": lambda provider: Fallback([provider]),
    "conversation": Conversation,
}


def chat(face: Any, prompt: str, **options: Any) -> Any:
    return now((face.say if isinstance(face, Conversation) else face.chat)(prompt, **options))


def blocking_chat(face: Any, prompt: str, **options: Any) -> Any:
    return (face.blocking.say if isinstance(face, Conversation) else face.blocking.chat)(prompt, **options)


WAYS: dict[str, Callable[..., Any]] = {
    "chat": chat,
    "stream": lambda face, prompt, **options: now(face.stream(prompt, **options).response()),
    "run": lambda face, prompt, **options: now(face.run(prompt, **options)).response,
    "run.stream": lambda face, prompt, **options: last(face.run(prompt, **options)),
    "blocking.chat": blocking_chat,
    "blocking.stream": lambda face, prompt, **options: face.blocking.stream(prompt, **options).response(),
    "blocking.run": lambda face, prompt, **options: face.blocking.run(prompt, **options).response,
    "blocking.run_stream": lambda face, prompt, **options: (
        face.blocking.run_stream(prompt, **options).result().response
    ),
}
EVERY: dict[str, Callable[..., Any]] = {
    **{
        f"{face}.{way}": (lambda provider, *args, make=make, ask=ask, **options: ask(make(provider), *args, **options))
        for face, make in FACES.items()
        for way, ask in WAYS.items()
    },
    "conductor.ask": lambda provider, prompt, **options: now(Conductor({"w": provider}).ask("w", prompt, **options)),
}


def look(at: str = "it") -> str:
    """Look."""
    return at


KEYWORDS: dict[str, Any] = {
    "temperature": 0.0,
    "max_tokens": 7,
    "stop": ["."],
    "timeout": 5.0,
    "deadline": 9.0,
    "headers": {"x-a": "1"},
    "context": {"user": "ada"},
    "metadata": {"k": "v"},
    "extra": {"e": 1},
    "tool_choice": "auto",
    "seed": 3,
}


@pytest.mark.parametrize("way", [*EVERY, "conductor.run"])
def test_every_way_takes_every_keyword(way: str, saying: Callable[..., Any]) -> None:
    provider, seen = saying("ok")
    ask = EVERY.get(way, conducted)
    assert ask(provider, "Hi", system="Be kind.", tools=[look], **KEYWORDS).text == "ok"
    (request,) = seen
    assert [message.text for message in request.messages] == ["Be kind.", "Hi"]
    assert [tool.name for tool in request.tools] == ["look"]
    assert {name: getattr(request, name) for name in KEYWORDS} == KEYWORDS
    assert dict(request.headers) == {"x-a": "1"}
    with pytest.raises(ConfigurationError, match="temprature"):
        ask(provider, "Hi", temprature=0)


@pytest.mark.parametrize("way", EVERY)
def test_every_way_reads_a_typed_reply(way: str, saying: Callable[..., Any]) -> None:
    provider, seen = saying('{"value": 7}')
    response = EVERY[way](provider, "Hi", response_type=int, temperature=0, tools=[look])
    assert (response.parsed, type(response.parsed), len(seen)) == (7, int, 1)
    assert (seen[0].temperature, seen[0].response_format is None) == (0, False)


@pytest.mark.parametrize("way", [way for way in EVERY if "stream" not in way])
def test_every_way_repairs(way: str, saying: Callable[..., Any]) -> None:
    provider, seen = saying("seven", '{"value": 7}')
    assert EVERY[way](provider, "Hi", response_type=int, repairs=1).parsed == 7
    assert len(seen) == 2
    provider, _ = saying("seven")
    with pytest.raises(tako.InvalidReplyError):
        EVERY[way](provider, "Hi", response_type=int, repairs=0)


def test_the_blocking_face_has_every_method_that_is_awaited() -> None:
    provider = tako.providers.PythonProvider("p", lambda request: "ok")
    methods = [
        name
        for name, method in inspect.getmembers(Provider, inspect.isfunction)
        if inspect.iscoroutinefunction(method)
        and not name.startswith("_")
        and name not in ("count", "upload_file", "aclose")
    ]
    assert "discover" in methods
    assert [name for name in methods if not hasattr(provider.blocking, name)] == []
    assert provider.blocking.discover() == provider.capabilities


@pytest.mark.parametrize("name", SHIPPED)
def test_the_constructor_of_every_provider_says_what_it_takes(name: str) -> None:
    """What type checkers and editors know: every provider has defaults, a deadline and capabilities."""
    (entry,) = entry_points(group="tako.providers", name=name)
    known = _named(entry.load().__init__)
    assert {"defaults", "deadline", "capabilities"} <= known


def _named(init: Any) -> set[str]:
    names = set(inspect.signature(init).parameters)
    source = inspect.unwrap(init)
    rest = next((one for one in inspect.signature(init).parameters.values() if one.kind is one.VAR_KEYWORD), None)
    if rest is not None:
        (options,) = typing.get_args(_evaluated(rest.annotation, source))
        for base in (options, *getattr(options, "__orig_bases__", ())):
            names |= set(getattr(base, "__annotations__", {}))
    return names


def _evaluated(annotation: Any, function: Any) -> Any:
    """Return what an annotation means; imports under TYPE_CHECKING are looked up in the kit."""
    import tako.kit.http

    return eval(annotation, {**vars(tako.kit.http), "Unpack": typing.Unpack, **function.__globals__})


def test_a_keyword_that_is_misspelt_or_out_of_place_gets_advice(saying: Callable[..., Any]) -> None:
    provider, seen = saying("ok")
    for ask, text in (
        (lambda: provider.blocking.chat("Hi", respone_type=int), "did you mean 'response_type'"),
        (lambda: provider.blocking.stream("Hi", repairs=2), "'repairs'; give it to chat, say or run"),
        (lambda: provider.blocking.chat("Hi", max_rounds=2), "'max_rounds'; give it to run"),
        (lambda: provider.blocking.stream("Hi", aprove=print), "did you mean 'approve'?"),
        (
            lambda: saying("ok", defaults={"response_type": int}),
            "'response_type'; give it to chat, say or run, or to str",
        ),
    ):
        with pytest.raises(ConfigurationError) as caught:
            ask()
        assert text in str(caught.value)
    assert not seen


def test_the_blocking_face_closes_what_it_used() -> None:
    closed: list[str] = []

    class Closing(type(tako.providers.PythonProvider("p", lambda request: "ok"))):  # type: ignore[misc]
        async def aclose(self) -> None:
            closed.append(self.id)

    with Closing("mine", lambda request: "ok").blocking as provider:
        assert provider.chat("Hi").text == "ok"
    assert closed == ["mine"]


def test_keywords_are_the_fields_of_a_request(saying: Callable[..., Any]) -> None:
    provider, seen = saying("ok")
    provider.blocking.chat("Hi")
    request: ChatRequest = seen[0]
    assert {*REQUEST_KEYWORDS} == {"system", *request.__struct_fields__} - {"messages"}
