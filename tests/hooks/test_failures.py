"""Who is left out when a hook fails, and who is told."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ChatRequest, ChatResponse, Delta, End, Message, PluginError, hookimpl
from tako.errors import ResponseError, StreamTruncatedError, UnsupportedError
from tako.hooks import HOOKS, PLUGINS, PluginWarning

from .builders import able, ask, boom, listen, plugin, saying, streaming

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


def test_a_general_plugin_that_raises_is_left_out_recorded_and_warned_about_once(
    vendor: Vendor, register: Register
) -> None:
    register(plugin(tako_chat=boom), "bad")
    cls = vendor(tako_chat=saying("vendor"))
    with pytest.warns(
        PluginWarning,
        match="left out plugin 'bad' for providers like acme:m: tako_chat failed: ZeroDivisionError: boom",
    ) as caught:
        assert ask(cls("m")) == "vendor"
    assert len(caught) == 1
    assert ask(cls("n")) == "vendor"
    assert "ZeroDivisionError: boom" in PLUGINS.failed["bad"]


def test_nothing_of_a_plugin_that_was_left_out_stays(vendor: Vendor, register: Register) -> None:
    register(plugin(tako_chat=saying("bad"), tako_stream=boom), "bad")
    with pytest.warns(PluginWarning, match="tako_stream"):
        assert ask(vendor(tako_chat=saying("vendor"), tako_capabilities=able)("m")) == "vendor"


@pytest.mark.parametrize("hook", HOOKS)
def test_a_failing_around_is_left_out_whichever_its_hook(hook: str, vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def bad() -> Any:
        yield
        raise ZeroDivisionError("boom")

    register(plugin(**{hook: bad}), "bad")
    provider = vendor(tako_chat=saying("vendor"))("m")
    with pytest.warns(PluginWarning, match=f"'bad' for providers like acme:m: {hook} failed"):
        outcome = provider.capabilities.supports_streaming, ask(provider)
    assert outcome == (False, "vendor")


@hookimpl(wrapper=True)
def _forgot_to_return() -> Any:
    yield


@hookimpl(wrapper=True)
def _yields_twice() -> Any:
    yield
    yield


@hookimpl(wrapper=True)
def _never_yields() -> Any:
    if False:
        yield


async def _a_coroutine() -> None: ...


@pytest.mark.parametrize(
    "bad",
    [
        _forgot_to_return,
        _yields_twice,
        _never_yields,
        lambda: "no function",
        lambda: _a_coroutine(),  # noqa: PLW0108 - itself it would be refused at registration
    ],
)
@pytest.mark.parametrize("hook", ["tako_chat", "tako_stream"])
def test_a_general_plugin_that_returns_nonsense_is_found_and_left_out(
    hook: str, bad: Any, vendor: Vendor, register: Register
) -> None:
    register(plugin(tako_chat=saying("other")), "good")
    register(plugin(**{hook: bad}), "bad")
    cls = vendor(tako_chat=saying("vendor"), tako_capabilities=able, tako_stream=streaming("s"))
    with pytest.warns(PluginWarning, match="'bad'"):
        assert listen(cls("m")) == ["s"]
    assert "good" in PLUGINS.hooks(cls).general
    assert "bad" not in PLUGINS.hooks(cls).general
    assert "bad" in PLUGINS.failed
    gc.collect()


def test_of_two_plugins_made_by_one_factory_the_right_one_is_left_out(vendor: Vendor, register: Register) -> None:
    def maker(fails: bool) -> Any:
        def tako_chat(provider: Provider) -> None:
            if fails:
                raise ZeroDivisionError

        return plugin(tako_chat=tako_chat)

    class Mine:
        def __init__(self, fails: bool) -> None:
            self.fails = fails

        @hookimpl
        def tako_chat(self) -> None:
            if self.fails:
                raise ZeroDivisionError

    for name, one in {
        "good": maker(False),
        "bad": maker(True),
        "fine": maker(False),
        "a": Mine(False),
        "b": Mine(True),
        "c": Mine(False),
    }.items():
        register(one, name)
    cls = vendor(tako_chat=saying("vendor"))
    with pytest.warns(PluginWarning) as caught:
        assert ask(cls("m")) == "vendor"
    assert sorted(str(warning.message).split("'")[1] for warning in caught) == ["b", "bad"]
    assert PLUGINS.hooks(cls).general.keys() == {"good", "fine", "a", "c"}


def test_an_around_is_not_blamed_for_what_its_inner_raises(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        return (yield)

    register(plugin(tako_chat=tako_chat), "innocent")
    cls = vendor(tako_chat=boom)
    with pytest.raises(PluginError, match="boom") as caught:
        ask(cls("m"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "innocent" in PLUGINS.hooks(cls).general


def test_a_vendors_own_failing_hook_is_a_plugin_error_from_the_cause(vendor: Vendor) -> None:
    with pytest.raises(PluginError, match=r"acme:m: tako_chat failed: ZeroDivisionError: boom") as caught:
        ask(vendor(tako_chat=boom)("m"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_vendors_tako_error_comes_out_as_it_is(vendor: Vendor) -> None:
    def picky() -> Any:
        raise tako.ConfigurationError("no region is set")

    with pytest.raises(tako.ConfigurationError, match="no region is set"):
        ask(vendor(tako_chat=picky)("m"))


def test_a_vendor_that_returns_nonsense_is_told_so(vendor: Vendor) -> None:
    with pytest.raises(PluginError, match=r"acme:m: tako_chat failed: .* must return an async function, not a str"):
        ask(vendor(tako_chat=lambda: "nonsense")("m"))


def test_a_missing_hook_says_whose(vendor: Vendor) -> None:
    with pytest.raises(PluginError, match="acme:m: no plugin implements tako_chat for Vendor"):
        ask(vendor()("m"))


def test_without_a_stream_hook_a_stream_is_one_call(vendor: Vendor) -> None:
    assert listen(vendor(tako_chat=saying("whole"))("m")) == ["whole"]
    assert listen(vendor(tako_chat=saying("whole"), tako_capabilities=able)("m")) == ["whole"]


def test_a_strict_stream_does_not_fall_through(vendor: Vendor) -> None:
    with pytest.raises(UnsupportedError, match="acme:m can't stream"):
        listen(vendor(tako_chat=saying("whole"))("m"), ChatRequest([Message.user("hi")], strict=True))


def test_a_chat_function_that_is_not_async_is_told(vendor: Vendor) -> None:
    with pytest.raises(PluginError, match="acme:m: tako_chat must return an async function"):
        ask(vendor(tako_chat=lambda: lambda request: ChatResponse(Message.assistant("x")))("m"))


def test_a_chat_function_that_returns_no_response_is_told(vendor: Vendor) -> None:
    async def chat(request: ChatRequest) -> str:
        return "text"

    with pytest.raises(PluginError, match="returned a str"):
        ask(vendor(tako_chat=lambda: chat)("m"))


def test_a_coroutine_where_a_generator_belongs_is_told(vendor: Vendor) -> None:
    async def stream(request: ChatRequest) -> list[str]:
        return ["a"]

    cls = vendor(tako_chat=saying("x"), tako_stream=lambda: stream, tako_capabilities=able)
    with pytest.raises(PluginError, match="acme:m: tako_stream must return an async generator function"):
        listen(cls("m"))


@pytest.mark.parametrize(
    ("chunks", "error", "message"),
    [
        ([], StreamTruncatedError, "ended before"),
        ([Delta("a")], StreamTruncatedError, "ended before"),
        ([End(), End()], ResponseError, "after the end"),
        ([End(), Delta("a")], ResponseError, "after the end"),
        (["text"], PluginError, "yielded a str"),
    ],
)
def test_a_stream_out_of_order_is_an_error(
    chunks: list[Any], error: type[Exception], message: str, vendor: Vendor
) -> None:
    async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
        for chunk in chunks:
            yield chunk

    cls = vendor(tako_chat=saying("x"), tako_stream=lambda: stream, tako_capabilities=able)
    with pytest.raises(error, match=message):
        listen(cls("m"))
