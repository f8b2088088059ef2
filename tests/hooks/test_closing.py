"""A plugin's `close`, and what a provider is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ConfigurationError, get_provider
from tako.hooks import PluginWarning
from tako.testing import isolated

from .builders import ask, plugin, saying
from .installed import general, program, provider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path
    from types import SimpleNamespace

    Vendor = Callable[..., Any]
    Register = Callable[..., None]


def closing(closed: list[str], name: str) -> SimpleNamespace:
    created = plugin(tako_chat=saying(name))
    created.close = lambda: closed.append(name)
    return created


def test_a_plugin_is_closed_when_it_is_unregistered_and_when_a_test_is_over(register: Register) -> None:
    closed: list[str] = []
    register(closing(closed, "one"), "one")
    with isolated() as plugins:
        plugins.register(closing(closed, "two"), "two")
        assert closed == []
    assert closed == ["two"]
    tako.unregister("one")
    assert closed == ["two", "one"]


class Counting:
    """A small class in place of a function."""

    def __init__(self) -> None:
        self.closed = False

    async def __call__(self, request: Any, inner: Any) -> AsyncGenerator[Any, None]:
        async for chunk in inner(request):
            yield chunk

    def close(self) -> None:
        self.closed = True


def test_an_object_around_everything_is_closed_as_well(register: Register) -> None:
    counting = Counting()
    plugin_object = tako.around(counting)
    register(plugin_object)
    tako.unregister(plugin_object)
    assert counting.closed


def test_one_that_fails_to_close_is_a_warning_and_the_others_are_closed(register: Register) -> None:
    closed: list[str] = []
    failing = plugin(tako_chat=saying("x"))
    failing.close = lambda: 1 / 0

    def register_both() -> None:
        with isolated() as plugins:
            plugins.register(failing, "bad")
            plugins.register(closing(closed, "good"), "good")

    with pytest.warns(PluginWarning, match="plugin 'bad' failed in close: ZeroDivisionError"):
        register_both()
    assert closed == ["good"]


def test_an_installed_one_is_closed_when_the_program_ends(tmp_path: Path) -> None:
    code = f"""
        import tako

        @tako.hookimpl
        def tako_capabilities(provider):
            return None

        def close():
            open({str(tmp_path / "closed")!r}, "w").close()
        """
    general(provider(tmp_path), "keeper", code)
    answer = 'import tako\nresult = tako.get_provider("good:m").blocking.chat("hi").text'
    assert program(tmp_path, answer) == "good answers"
    assert (tmp_path / "closed").exists()


def test_a_label_is_the_name_in_the_file_or_an_option_or_else_the_id(tmp_path: Path) -> None:
    path = tmp_path / "tako.toml"
    path.write_text('[providers.cheap]\nuse = "ollama:m"\n')
    config = tako.load_config(path)
    assert config.provider("cheap").label == "cheap"
    assert config.provider("cheap", label="mine").label == "mine"
    assert get_provider("ollama:m", label="mine").label == "mine"
    assert tako.providers.Ollama("m", label="mine").label == "mine"
    assert tako.providers.PythonProvider("p", lambda _: "", label="mine").label == "mine"
    assert get_provider("ollama:m").label == "ollama:m"
    with pytest.raises(ConfigurationError, match="label is a str"):
        get_provider("ollama:m", label=5)


def test_an_alias_of_a_block_and_a_member_of_a_fallback_keep_the_blocks_label(tmp_path: Path) -> None:
    path = tmp_path / "tako.toml"
    path.write_text(
        '[providers.cheap]\nuse = "ollama:m"\n'
        '[providers.both]\nuse = "fallback"\nproviders = ["cheap", "fast", "same"]\n'
        '[aliases]\nsame = "cheap"\nfast = "ollama:n"\n'
    )
    config = tako.load_config(path)
    assert [config.provider(name).label for name in ("same", "same:other", "fast")] == ["cheap", "cheap", "fast"]
    both: Any = config.provider("both")
    assert (both.label, [member.label for member in both.members]) == ("both", ["cheap", "fast", "cheap"])


def test_a_plugin_sees_the_label(vendor: Vendor, register: Register) -> None:
    @tako.around
    async def sign(provider: Any, request: Any, inner: Any) -> AsyncGenerator[Any, None]:
        yield tako.Delta(provider.label)
        async for chunk in inner(request):
            yield chunk

    register(sign)
    provider = vendor(tako_chat=saying("!"))("m")
    provider.label = "cheap"
    assert ask(provider) == "cheap!"
