"""What is refused at registration, with a reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pluggy
import pytest

from tako import PluginError, hookimpl
from tako.hooks import PLUGINS

from .builders import ask, plugin

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


async def _async_hook() -> None: ...


async def _async_generator() -> Any:
    yield


def _misspelt() -> None: ...


def _keyword_only(*, provider: Any) -> None: ...


def _unknown(request: Any) -> None: ...


def _positional_only(provider: Any, /) -> None: ...


def _undeclared_wrapper() -> Any:
    inner = yield
    return inner


def _old_style() -> Any:
    yield


def _no_generator() -> None: ...


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (plugin(tako_chat=_async_hook), "tako_chat is async; a hook is a plain def that returns an async function"),
        (plugin(tako_stream=_async_generator), "tako_stream is async"),
        (plugin(tako_chatt=_misspelt), "no hook tako_chatt; did you mean tako_chat?"),
        (plugin(tako_streams=_misspelt), "did you mean tako_stream?"),
        (plugin(something=_misspelt), "no hook something; the hooks are tako_capabilities"),
        (plugin(tako_chat=_keyword_only), "keyword-only parameter provider"),
        (plugin(tako_chat=_unknown), "the parameter request; tako_chat offers provider, translator"),
        (plugin(tako_chat=_positional_only), "remove the / after provider; tako passes parameters by name"),
        (plugin(tako_chat=_undeclared_wrapper), "yields, so it is a wrapper"),
        (plugin(tako_chat=hookimpl(hookwrapper=True)(_old_style)), "old-style wrapper"),
        (plugin(tako_chat=hookimpl(wrapper=True)(_no_generator)), "tako_chat"),
        (SimpleNamespace(tako_chat=lambda provider: None), "tako_chat is named like a hook but has no @tako.hookimpl"),
        (SimpleNamespace(tako_chat=pluggy.HookimplMarker("pytest")(lambda: None)), "has no @tako.hookimpl"),
        (plugin(own_name=hookimpl(specname="tako_chats")(lambda: None)), "no hook tako_chats; did you mean tako_chat?"),
    ],
)
def test_an_implementation_that_would_misbehave_is_refused_with_a_reason(
    bad: object, message: str, register: Register
) -> None:
    with pytest.raises(PluginError) as caught:
        register(bad, "bad")
    assert str(caught.value).startswith("plugin 'bad': ")
    assert message in str(caught.value)
    assert "bad" not in PLUGINS.general()


def test_an_undecorated_method_is_refused(register: Register) -> None:
    class Mine:
        def tako_chat(self, provider: Any) -> None: ...

    with pytest.raises(PluginError, match=r"has no @tako\.hookimpl"):
        register(Mine())


def test_a_class_in_place_of_its_object_is_refused(register: Register) -> None:
    class Mine:
        @hookimpl
        def tako_chat(self, provider: Any) -> None: ...

    with pytest.raises(PluginError, match="register an instance"):
        register(Mine)


def test_a_vendors_own_mistake_is_told_when_it_is_used(vendor: Vendor) -> None:
    with pytest.raises(PluginError, match="did you mean tako_chat"):
        ask(vendor(tako_chta=_misspelt)("m"))
