"""Override and decline: whose hook answers, and plugins that come and go."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ChatRequest, ChatResponse, Message, PluginError, hookimpl
from tako.hooks import PLUGINS

from .builders import able, ask, listen, plugin, saying, streaming

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


def test_a_provider_answers_through_the_hooks_of_the_module_that_defines_it(vendor: Vendor) -> None:
    assert ask(vendor(tako_chat=saying("vendor"))("m")) == "vendor"


def test_a_general_plugin_overrides_a_vendor(vendor: Vendor, register: Register) -> None:
    register(plugin(tako_chat=saying("general")))
    assert ask(vendor(tako_chat=saying("vendor"))("m")) == "general"


def test_a_vendor_that_wants_to_be_first_is_overridden_all_the_same(vendor: Vendor, register: Register) -> None:
    register(plugin(tako_chat=saying("general")))
    assert ask(vendor(tako_chat=hookimpl(tryfirst=True)(saying("vendor")))("m")) == "general"


def test_the_plugin_registered_last_wins(vendor: Vendor, register: Register) -> None:
    register(plugin(tako_chat=saying("first")))
    register(plugin(tako_chat=saying("second")))
    assert ask(vendor(tako_chat=saying("vendor"))("m")) == "second"


def test_a_plugin_declines_by_returning_none(vendor: Vendor, register: Register) -> None:
    def tako_chat(provider: Provider) -> Any:
        return saying("general")() if provider.model == "mine" else None

    register(plugin(tako_chat=tako_chat))
    cls = vendor(tako_chat=saying("vendor"))
    assert (ask(cls("mine")), ask(cls("other"))) == ("general", "vendor")


def test_each_hook_is_asked_once_per_provider(vendor: Vendor, register: Register) -> None:
    called: list[str] = []

    def tako_chat(provider: Provider) -> None:
        called.append(provider.id)

    register(plugin(tako_chat=tako_chat))
    provider = vendor(tako_chat=saying("vendor"))("m")
    for _ in range(3):
        ask(provider)
    assert called == ["acme:m"]


def test_another_vendors_hooks_are_absent(vendor: Vendor) -> None:
    vendor("other", tako_chat=hookimpl(tryfirst=True)(saying("other")))
    assert ask(vendor(tako_chat=saying("mine"))("m")) == "mine"
    chain = PLUGINS.hooks(vendor("third", tako_chat=saying("third"))).chain("tako_chat")
    assert [name for name, _ in chain if name.startswith("provider ")] == [chain[-2][0]]


def test_a_subclass_overrides_one_hook_and_inherits_the_rest(vendor: Vendor) -> None:
    base = vendor(tako_chat=saying("base"), tako_capabilities=able, tako_stream=streaming("ba", "se"))
    sub = vendor(base=base, tako_chat=saying("sub"))
    assert (ask(base("m")), ask(sub("m"))) == ("base", "sub")
    assert listen(sub("m")) == ["ba", "se"]
    assert sub("m").capabilities.max_context_tokens == 1000


def test_a_module_may_be_a_vendor_and_a_general_plugin_at_once(vendor: Vendor, register: Register) -> None:
    cls = vendor(tako_chat=saying("both"))
    register(sys.modules[cls.__module__])
    assert ask(cls("m")) == "both"
    assert ask(vendor("other", tako_chat=saying("other"))("m")) == "both"


def test_a_provider_in_use_is_bound_again_when_plugins_come_and_go(vendor: Vendor) -> None:
    provider = vendor(tako_chat=saying("vendor"))("m")
    general = plugin(tako_chat=saying("general"), tako_capabilities=able)
    assert (ask(provider), provider.capabilities.max_context_tokens) == ("vendor", None)
    tako.register(general)
    assert (ask(provider), provider.capabilities.max_context_tokens) == ("general", 1000)
    tako.unregister(general)
    assert (ask(provider), provider.capabilities.max_context_tokens) == ("vendor", None)


def test_a_plugin_is_registered_once_and_can_be_removed_by_name(register: Register) -> None:
    one = plugin(tako_chat=saying("x"))
    register(one, "mine")
    with pytest.raises(PluginError, match="another plugin is named 'mine'; pass a name"):
        register(plugin(tako_chat=saying("y")), "mine")
    with pytest.raises(PluginError, match="registered already"):
        register(one, "another name")
    tako.unregister("mine")
    with pytest.raises(PluginError, match="isn't registered"):
        tako.unregister(one)


def test_equal_plugins_are_two_plugins(vendor: Vendor, register: Register) -> None:
    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

        def __init__(self, end: str) -> None:
            self.end = end

        @hookimpl(wrapper=True)
        def tako_chat(self) -> Any:
            inner = yield

            async def chat(request: ChatRequest) -> ChatResponse:
                return ChatResponse(Message.assistant((await inner(request)).text + self.end))

            return chat

    a, b = Equal("a"), Equal("b")
    register(a, "a")
    register(b, "b")
    cls = vendor(tako_chat=saying("vendor "))
    assert ask(cls("m")) == "vendor ab"
    tako.unregister(a)
    assert ask(cls("m")) == "vendor b"
