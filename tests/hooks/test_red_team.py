"""Plugins that somebody made to break tako, or to get around what an operator has decided."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import textwrap
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ChatRequest, ChatResponse, Message, PluginError, hookimpl, installed
from tako.errors import ProviderError
from tako.hooks import HOOKS, PLUGINS, PluginWarning

from .builders import able, ask, listen, plugin, saying, streaming
from .installed import ASK, SHOUT, command, distribution, general, program, provider, rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


class PanicException(BaseException):
    """What pyo3 raises is no Exception."""


AT_BINDING: dict[str, Any] = {
    "a panic": PanicException("it panicked"),
    "SystemExit": SystemExit(3),
    "GeneratorExit": GeneratorExit(),
    "CancelledError": asyncio.CancelledError(),
    "StopIteration": StopIteration(3),
    "StopAsyncIteration": StopAsyncIteration(),
    "a group": BaseExceptionGroup("all", [SystemExit(1)]),
    "a control sequence": ValueError("\x1b[31mred\r\nlines\u202e"),
}


@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("kind", AT_BINDING)
def test_whatever_a_hook_raises_that_plugin_is_left_out(
    kind: str, hook: str, wraps: bool, vendor: Vendor, register: Register
) -> None:
    def fail() -> Any:
        raise AT_BINDING[kind]

    def fail_around() -> Any:
        yield
        raise AT_BINDING[kind]

    @hookimpl(wrapper=True)
    def innocent() -> Any:
        return (yield)

    register(plugin(**{hook: innocent}), "below")
    register(plugin(**{hook: hookimpl(wrapper=True)(fail_around) if wraps else fail}), "guilty")
    register(plugin(**{hook: innocent}), "above")
    cls = vendor(tako_chat=saying("x"), tako_stream=streaming("x"), tako_capabilities=able)
    with pytest.warns(PluginWarning, match="left out plugin 'guilty'") as caught:
        assert ask(cls("m")) == "x"
    assert len(caught) == 1
    assert str(caught[0].message).isprintable()
    assert listen(cls("m")) == ["x"]
    assert [*PLUGINS.hooks(cls).general] == ["below", "above"]


@pytest.mark.parametrize("kind", AT_BINDING)
def test_whatever_a_providers_own_hook_raises_nobody_else_is_blamed(
    kind: str, vendor: Vendor, register: Register
) -> None:
    @hookimpl(wrapper=True)
    def innocent() -> Any:
        return (yield)

    def tako_chat() -> Any:
        raise AT_BINDING[kind]

    register(plugin(tako_chat=innocent), "innocent")
    cls = vendor(tako_chat=tako_chat)
    with pytest.raises(PluginError, match=r"^acme:m: tako_chat failed: "):
        ask(cls("m"))
    assert "innocent" in PLUGINS.hooks(cls).general


def test_a_plugin_that_is_named_like_one_of_takos_takes_nothing_down(tmp_path: Path, register: Register) -> None:
    for name in ("tako.retries", "provider tako_good", 3):
        with pytest.raises(PluginError, match="needs another name"):
            register(plugin(tako_chat=saying("x")), name)
    points = "[tako.plugins]\ntako.retries = odd\ntako.integrity = odder\nprovider-x = fine\n"
    distribution(provider(tmp_path), "tako-odd", {f"{name}.py": SHOUT for name in ("odd", "odder", "fine")}, points)
    assert program(tmp_path, ASK, 'result = ask("good:m")') == "good answers!"
    assert "needs another name" in rows(tmp_path)["tako.retries"]["why"]


class Hostile:
    """An object that does as much as it can while it's looked at."""

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __hash__(self) -> int:
        raise ZeroDivisionError

    def __bool__(self) -> bool:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ZeroDivisionError

    @property
    def tako_stream(self) -> Any:
        raise ZeroDivisionError

    @property
    def anything(self) -> Any:
        raise SystemExit

    @hookimpl(wrapper=True)
    def tako_chat(self) -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            return ChatResponse(Message.assistant((await inner(request)).text + "!"))

        return chat


def test_of_an_object_only_its_hooks_are_used(vendor: Vendor, register: Register) -> None:
    cls = vendor(tako_chat=saying("x"))
    first, second = Hostile(), Hostile()
    register(first, "first")
    register(second, "second")
    assert ask(cls("m")) == "x!!"
    tako.unregister(first)
    assert ask(cls("m")) == "x!"


def test_an_object_that_cannot_be_looked_at_is_refused(register: Register) -> None:
    class Blind:
        def __dir__(self) -> Any:
            raise PanicException("nothing to see")

    with pytest.raises(PluginError, match="plugin 'blind' can't be read: PanicException: nothing to see"):
        register(Blind(), "blind")


def test_an_optional_hook_of_a_later_tako_is_passed_over(vendor: Vendor, register: Register) -> None:
    later = hookimpl(optionalhook=True)(lambda provider, later: None)
    register(plugin(tako_later=later, tako_chat=saying("general")), "both")
    register(plugin(tako_later=later), "later alone")
    assert ask(vendor(tako_chat=saying("x"))("m")) == "general"
    with pytest.raises(PluginError, match="there is no hook tako_later"):
        register(plugin(tako_later=saying("x")), "not optional")


def test_a_hook_that_registers_plugins_whenever_it_is_asked_keeps_nobody_for_ever(
    vendor: Vendor, register: Register
) -> None:
    calls: list[int] = []

    def tako_chat() -> None:
        calls.append(1)
        tako.register(plugin(tako_capabilities=lambda: None))

    def fails_too() -> None:
        tako_chat()
        raise ValueError

    register(plugin(tako_chat=tako_chat), "breeder")
    assert ask(vendor(tako_chat=saying("x"))("m")) == "x"
    tako.unregister("breeder")
    register(plugin(tako_chat=fails_too), "failing breeder")
    with pytest.warns(PluginWarning, match="'failing breeder'"):
        assert ask(vendor(tako_chat=saying("x"))("m")) == "x"
    assert len(calls) < 200


def test_a_hook_that_asks_for_what_it_is_to_say_is_left_out(vendor: Vendor, register: Register) -> None:
    times = []

    @hookimpl(wrapper=True)
    def tako_capabilities(provider: Provider) -> Any:
        yield
        times.append(1)
        return provider.capabilities

    register(plugin(tako_capabilities=tako_capabilities), "circle")
    cls = vendor(tako_chat=saying("x"), tako_capabilities=able)
    with pytest.warns(PluginWarning, match="'circle' .*tako_capabilities needs its own result"):
        assert cls("m").capabilities.max_context_tokens == 1000
    assert ask(cls("m")) == "x"
    assert len(times) == 1


def test_a_task_that_a_hook_started_may_ask_later(vendor: Vendor, register: Register) -> None:
    later = []

    @hookimpl(wrapper=True)
    def tako_capabilities() -> Any:
        later.append(contextvars.copy_context())
        return (yield)

    register(plugin(tako_capabilities=tako_capabilities))
    provider = vendor(tako_chat=saying("x"), tako_capabilities=able)("m")
    assert provider.capabilities.max_context_tokens == 1000
    provider.refresh()
    assert later[0].run(lambda: provider.capabilities).max_context_tokens == 1000


def test_a_stream_that_never_ends_can_be_left(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_stream() -> Any:
        yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            while True:
                yield tako.Delta("more ")

        return stream

    register(plugin(tako_stream=tako_stream))
    provider = vendor(tako_chat=saying("x"))("m")
    with provider.blocking.stream("hi") as stream:
        assert next(stream).kind == "delta"

    async def main() -> None:
        stream = provider.stream("hi")
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                async for _ in stream:
                    await asyncio.sleep(0)
        await stream.aclose()

    asyncio.run(main())


def test_a_generator_that_awaits_while_it_is_closed_is_waited_for(vendor: Vendor, register: Register) -> None:
    closed: list[str] = []

    @tako.around
    async def slow_to_leave(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        try:
            async for chunk in inner(request):
                yield chunk
        finally:
            await asyncio.sleep(0.01)
            closed.append("plugin")

    register(slow_to_leave)
    provider = vendor(tako_chat=saying("x"), tako_stream=streaming("a", "b"), tako_capabilities=able)("m")

    async def main() -> None:
        async with provider.stream("hi") as stream:
            await anext(stream)
        assert closed == ["plugin"]

    asyncio.run(main())


def test_an_exception_whose_text_fails_still_has_a_name(vendor: Vendor, register: Register) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    def own() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            raise MuteError

        return chat

    with pytest.raises(ProviderError, match=r"^acme:m: the provider failed: MuteError$"):
        ask(vendor(tako_chat=own)("m"))
    register(plugin(tako_chat=own), "mute")
    with pytest.raises(PluginError, match=r"^acme:m: plugin 'mute' failed in tako_chat: MuteError$"):
        ask(vendor(tako_chat=saying("x"))("m"))


def test_what_a_plugin_raises_is_one_line_without_control_characters(vendor: Vendor, register: Register) -> None:
    def own() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            raise ValueError("\x1b[31mred\r\nlines\u202e" + "x" * 10_000)

        return chat

    register(plugin(tako_chat=own), "loud")
    with pytest.raises(PluginError) as caught:
        ask(vendor(tako_chat=saying("x"))("m"))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 2000


ODD_FINDERS = """
    import sys
    from importlib.metadata import Distribution

    class Odd(Distribution):
        def __init__(self, text): self.text = text
        def read_text(self, name):
            if isinstance(self.text, Exception): raise self.text
            return self.text
        def locate_file(self, path): return path

    class Failing:
        @classmethod
        def find_spec(cls, *args): return None
        @classmethod
        def find_distributions(cls, context):
            yield Odd("[tako.providers]\\nodd = tako_good:Good\\n")
            yield Odd(OSError("the disk is gone"))
            yield Odd(3)
            raise RuntimeError("no more")

    class NoGenerator(Failing):
        find_distributions = staticmethod(lambda context: None)

    class Raising(Failing):
        @classmethod
        def find_distributions(cls, context): raise SystemError

    sys.meta_path[:0] = [Failing, NoGenerator, Raising]
"""


def test_a_finder_of_distributions_that_fails_takes_no_other_down(tmp_path: Path) -> None:
    code = """
        from tako.installed import unreadable
        result = [ask("good:m"), ask("odd:m"), [entry.problem for entry in unreadable()]]
        """
    good, odd, problems = program(provider(tmp_path), ODD_FINDERS, ASK, code)
    assert (good, odd) == ("good answers", "good answers")
    assert problems == ["its entry_points.txt can't be read: the disk is gone"]


def test_a_module_that_registers_itself_while_it_is_imported_is_there_once(tmp_path: Path) -> None:
    general(provider(tmp_path), "shout", "import sys, tako\n")
    code = SHOUT.rstrip() + "\n    import sys, tako\n    tako.register(sys.modules[__name__])\n"
    (tmp_path / "tako_shout.py").write_text(_dedented(code))
    for env in ({}, {"TAKO_REQUIRE_PLUGINS": "shout"}, {"TAKO_REQUIRE_PLUGINS": "tako-shout"}):
        assert program(tmp_path, ASK, 'result = ask("good:m")', **env) == "good answers!"


def _dedented(code: str) -> str:
    return textwrap.dedent(code)


def test_a_provider_that_changes_plugins_while_it_is_imported_changes_nothing_of_the_rest(tmp_path: Path) -> None:
    general(provider(tmp_path), "shout", SHOUT)
    provider(tmp_path, "evil", "Evil", "import tako\ntako.unregister('shout')\nraise RuntimeError\n")
    code = 'result = [ask("good:m"), ask("evil:m").partition(":")[0], ask("good:n")]'
    assert program(tmp_path, ASK, code)[:2] == ["good answers!", "PluginError"]
    guarded = program(tmp_path, ASK, code, TAKO_REQUIRE_PLUGINS="shout")
    assert (
        guarded[2]
        == "PluginError: plugin 'shout' is required by TAKO_REQUIRE_PLUGINS, but missing: it was unregistered"
    )


def test_odd_entries_of_the_module_search_path_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    (tmp_path / "odd-1.0.dist-info").write_text("no folder either")
    (tmp_path / "worse-1.0.dist-info" / "entry_points.txt").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, "", str(tmp_path / "absent"), str(file), "nul\0", str(tmp_path)])
    assert any(entry.name == "openai" for entry in installed.entries(installed.PROVIDERS))


def test_names_that_a_terminal_or_an_id_would_misread_are_broken(tmp_path: Path) -> None:
    points = (
        "[tako.providers]\na:b = odd:X\n\x1b[31mred = odd:X\n,comma = odd:X\n\u202eback = odd:X\nünï = tako_good:Good\n"
    )
    distribution(provider(tmp_path), "tako-odd", {"odd.py": ""}, points)
    states = {row["name"]: row["state"] for row in rows(tmp_path).values() if row["distribution"] == "tako-odd"}
    assert states.pop("ünï") == "ok"
    assert {*states.values()} == {"broken"}
    assert len(states) == 4


def test_a_plugin_that_takes_the_output_away_while_it_is_imported_takes_nothing(tmp_path: Path) -> None:
    general(provider(tmp_path), "loud", "import os, sys\nos.close(1)\nsys.stdout = None\n" + _dedented(SHOUT))
    done = command(tmp_path, "chat", "--no-stream", "-m", "good:m", "hi")
    assert (done.returncode, done.stdout) == (0, "good answers!\n")
