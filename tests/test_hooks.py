"""Hooks: override, go around, decline; what is refused, and who is left out when something fails."""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import sys
import textwrap
import threading
from contextlib import aclosing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pluggy
import pytest

import tako
from tako import (
    Capabilities,
    ChatRequest,
    ChatResponse,
    ContentPart,
    Delta,
    End,
    Message,
    PluginError,
    Translator,
    hookimpl,
    hookspecs,
)
from tako.errors import NotFoundError, ResponseError, ServerError, StreamTruncatedError, UnsupportedError
from tako.hooks import HOOKS, PLUGINS, PluginWarning
from tako.parts import ImagePart, TextPart

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


def saying(text: str) -> Any:
    """A chat hook whose model always says the same."""

    def tako_chat() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            return ChatResponse(Message.assistant(text))

        return chat

    return tako_chat


def streaming(*texts: str) -> Any:
    def tako_stream() -> Any:
        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            for text in texts:
                yield Delta(text)
            yield End()

        return stream

    return tako_stream


def able(provider: Provider) -> Capabilities:
    return Capabilities(max_context_tokens=1000)


def plugin(**hooks: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{name: function if hasattr(function, "tako_impl") else hookimpl(function) for name, function in hooks.items()}
    )


def ask(provider: Provider, request: Any = "hi") -> str:
    return asyncio.run(provider.chat(request)).text


def listen(provider: Provider, request: Any = "hi") -> list[str]:
    async def main() -> list[str]:
        return [text async for text in provider.stream(request).text]

    return asyncio.run(main())


# --- override, decline


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
    asked: list[str] = []

    def tako_chat(provider: Provider) -> None:
        asked.append(provider.id)

    register(plugin(tako_chat=tako_chat))
    provider = vendor(tako_chat=saying("vendor"))("m")
    for _ in range(3):
        ask(provider)
    assert asked == ["acme:m"]


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


# --- around


def test_an_around_edits_the_request_and_the_response(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            response = await inner(msgspec.structs.replace(request, messages=[Message.user("edited")]))
            return msgspec.structs.replace(response, message=Message.assistant(response.text.upper()))

        return chat

    def echo() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            return ChatResponse(Message.assistant(request.messages[0].text))

        return chat

    register(plugin(tako_chat=tako_chat))
    assert ask(vendor(tako_chat=echo)("m")) == "EDITED"


def test_an_around_calls_again_after_an_error(vendor: Vendor, register: Register) -> None:
    calls: list[int] = []

    def failing_once() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            calls.append(1)
            if len(calls) == 1:
                raise NotFoundError("no")
            return ChatResponse(Message.assistant("there"))

        return chat

    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except NotFoundError:
                return await inner(request)

        return chat

    register(plugin(tako_chat=tako_chat))
    assert ask(vendor(tako_chat=failing_once)("m")) == "there"
    assert len(calls) == 2


def test_an_around_skips_the_vendor(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        yield
        return saying("from memory")()

    register(plugin(tako_chat=tako_chat))
    assert ask(vendor(tako_chat=saying("vendor"))("m")) == "from memory"


def test_an_around_sees_every_chunk_and_the_end(vendor: Vendor, register: Register) -> None:
    seen: list[Any] = []

    @hookimpl(wrapper=True)
    def tako_stream() -> Any:
        inner = yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    seen.append(chunk)
                    yield Delta(chunk.text + "!") if chunk.kind == "delta" else chunk

        return stream

    register(plugin(tako_stream=tako_stream))
    cls = vendor(tako_chat=saying("x"), tako_stream=streaming("a", "b"), tako_capabilities=able)
    assert listen(cls("m")) == ["a!", "b!"]
    assert seen == [Delta("a"), Delta("b"), End()]


def test_an_around_sees_the_fall_through_of_a_vendor_that_cannot_stream(vendor: Vendor, register: Register) -> None:
    seen: list[Any] = []

    @hookimpl(wrapper=True)
    def tako_stream() -> Any:
        inner = yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    seen.append(chunk.kind)
                    yield chunk

        return stream

    register(plugin(tako_stream=tako_stream))
    assert listen(vendor(tako_chat=saying("whole"))("m")) == ["whole"]
    assert seen == ["delta", "end"]


def test_an_around_changes_one_capability(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_capabilities() -> Any:
        known = yield
        return msgspec.structs.replace(known, supports_vision=True)

    register(plugin(tako_capabilities=tako_capabilities))
    known = vendor(tako_chat=saying("x"), tako_capabilities=able)("m").capabilities
    assert (known.max_context_tokens, known.supports_vision) == (1000, True)


def test_the_users_capabilities_win_over_every_plugin(vendor: Vendor, register: Register) -> None:
    register(plugin(tako_capabilities=able))
    mine = Capabilities(max_context_tokens=7)
    assert vendor(tako_chat=saying("x"))("m", capabilities=mine).capabilities == mine


def test_an_around_teaches_any_provider_a_new_type(register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_translator() -> Any:
        inner = yield

        def encode(part: Any, context: Any) -> Any:
            if isinstance(part, ImagePart) and part.mime == "image/x-ascii":
                part = TextPart(f"picture: {part.data_b64}")
            return inner.encode(part, context)

        return Translator(encode=encode, decode=inner.decode)

    register(plugin(tako_translator=tako_translator))
    from tako.testing.server import reply, serve

    with serve(reply(json={"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]})) as server:
        provider = tako.providers.OpenAI("m", api_key="k", base_url=server.url)
        response = asyncio.run(provider.chat([Message.user([ContentPart.image("image/x-ascii", "oo")])]))
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "picture: oo"}]
    assert response.notices == []


def test_arounds_nest_in_the_order_of_registration(vendor: Vendor, register: Register) -> None:
    def around(mark: str) -> Any:
        @hookimpl(wrapper=True)
        def tako_chat() -> Any:
            inner = yield

            async def chat(request: ChatRequest) -> ChatResponse:
                return ChatResponse(Message.assistant(mark + (await inner(request)).text))

            return chat

        return tako_chat

    register(plugin(tako_chat=around("1")))
    register(plugin(tako_chat=around("2")))
    assert ask(vendor(tako_chat=saying("."))("m")) == "21."


def test_an_override_still_gets_the_retries_and_the_checks_of_tako(vendor: Vendor, register: Register) -> None:
    calls: list[int] = []

    def tako_chat() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            calls.append(1)
            if len(calls) == 1:
                raise ServerError("for a moment", retry_after=0.0)
            return ChatResponse(Message.assistant("then"))

        return chat

    register(plugin(tako_chat=tako_chat))
    assert ask(vendor(tako_chat=saying("vendor"))("m")) == "then"


def test_the_checks_of_streams_hold_even_for_a_plugin_that_wants_to_be_outermost(
    vendor: Vendor, register: Register
) -> None:
    @hookimpl(wrapper=True, tryfirst=True)
    def tako_stream() -> Any:
        yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            yield Delta("short")

        return stream

    register(plugin(tako_stream=tako_stream))
    with pytest.raises(StreamTruncatedError):
        listen(vendor(tako_chat=saying("x"))("m"))


# --- plugins come and go


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
    with pytest.raises(PluginError, match="'mine' is registered already"):
        register(plugin(tako_chat=saying("y")), "mine")
    with pytest.raises(PluginError, match="registered already"):
        register(one, "another name")
    tako.unregister("mine")
    with pytest.raises(PluginError, match="not registered"):
        tako.unregister(one)


def test_equal_plugins_are_two_plugins(register: Register) -> None:
    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    register(Equal(), "a")
    register(Equal(), "b")


# --- refusals at registration


async def _async_hook() -> None: ...


async def _async_generator() -> Any:
    yield


def _misspelt() -> None: ...


def _keyword_only(*, provider: Any) -> None: ...


def _unknown(request: Any) -> None: ...


def _default(provider: Any = None) -> None: ...


def _undeclared_wrapper() -> Any:
    inner = yield
    return inner


def _old_style() -> Any:
    yield


def _no_generator() -> None: ...


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (plugin(tako_chat=_async_hook), "tako_chat is async; a hook is a plain def that returns an async function"),
        (plugin(tako_stream=_async_generator), "tako_stream is async"),
        (plugin(tako_chatt=_misspelt), "no hook tako_chatt; did you mean tako_chat?"),
        (plugin(tako_streams=_misspelt), "did you mean tako_stream?"),
        (plugin(something=_misspelt), "no hook something; the hooks are tako_capabilities"),
        (plugin(tako_chat=_keyword_only), "keyword-only parameter provider"),
        (plugin(tako_chat=_unknown), "the parameter request; tako_chat offers provider, translator"),
        (plugin(tako_chat=_default), "a default for provider"),
        (plugin(tako_chat=_undeclared_wrapper), "yields, so it is a wrapper"),
        (plugin(tako_chat=hookimpl(hookwrapper=True)(_old_style)), "old-style wrapper"),
        (plugin(tako_chat=hookimpl(wrapper=True)(_no_generator)), "tako_chat"),
        (SimpleNamespace(tako_chat=lambda provider: None), "tako_chat is named like a hook but lacks @tako.hookimpl"),
        (SimpleNamespace(tako_chat=pluggy.HookimplMarker("pytest")(lambda: None)), "lacks @tako.hookimpl"),
        (plugin(own_name=hookimpl(specname="tako_chats")(lambda: None)), "no hook tako_chats; did you mean tako_chat?"),
    ],
)
def test_an_implementation_that_would_misbehave_is_refused_with_a_reason(
    bad: object, words: str, register: Register
) -> None:
    with pytest.raises(PluginError) as caught:
        register(bad, "bad")
    assert str(caught.value).startswith("plugin 'bad': ")
    assert words in str(caught.value)
    assert "bad" not in PLUGINS._general


def test_an_undecorated_method_is_refused(register: Register) -> None:
    class Mine:
        def tako_chat(self, provider: Any) -> None: ...

    with pytest.raises(PluginError, match=r"lacks @tako\.hookimpl"):
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


# --- failures at binding


def boom(provider: Provider) -> Any:
    raise ZeroDivisionError("boom")


def test_a_general_plugin_that_raises_is_left_out_recorded_and_warned_about_once(
    vendor: Vendor, register: Register
) -> None:
    register(plugin(tako_chat=boom), "bad")
    cls = vendor(tako_chat=saying("vendor"))
    with pytest.warns(PluginWarning, match=r"left out plugin 'bad' in tako_chat: ZeroDivisionError: boom") as caught:
        assert ask(cls("m")) == "vendor"
    assert len(caught) == 1
    assert ask(cls("n")) == "vendor"
    assert "ZeroDivisionError: boom" in PLUGINS.failed["bad"]


def test_nothing_of_a_plugin_that_was_left_out_stays(vendor: Vendor, register: Register) -> None:
    register(plugin(tako_chat=saying("bad"), tako_stream=boom), "bad")
    with pytest.warns(PluginWarning, match="tako_stream"):
        assert ask(vendor(tako_chat=saying("vendor"))("m")) == "vendor"


@pytest.mark.parametrize("hook", HOOKS)
def test_a_failing_around_is_left_out_whichever_its_hook(hook: str, vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def bad() -> Any:
        yield
        raise ZeroDivisionError("boom")

    register(plugin(**{hook: bad}), "bad")
    provider = vendor(tako_chat=saying("vendor"))("m")
    with pytest.warns(PluginWarning, match=f"'bad' in {hook}"):
        said = provider.capabilities.supports_streaming, ask(provider)
    assert said == (False, "vendor")


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
    register(plugin(**{hook: saying("other")} if hook == "tako_chat" else {}), "good")
    register(plugin(**{hook: bad}), "bad")
    cls = vendor(tako_chat=saying("vendor"), tako_capabilities=able, tako_stream=streaming("s"))
    with pytest.warns(PluginWarning, match="'bad'"):
        assert listen(cls("m")) == ["s"]
    assert "good" in PLUGINS._general
    assert "bad" in PLUGINS.failed
    gc.collect()


def test_of_two_plugins_made_by_one_factory_the_right_one_is_left_out(vendor: Vendor, register: Register) -> None:
    def made(fails: bool) -> Any:
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
        "good": made(False),
        "bad": made(True),
        "fine": made(False),
        "a": Mine(False),
        "b": Mine(True),
        "c": Mine(False),
    }.items():
        register(one, name)
    with pytest.warns(PluginWarning) as caught:
        assert ask(vendor(tako_chat=saying("vendor"))("m")) == "vendor"
    assert sorted(str(warning.message).split("'")[1] for warning in caught) == ["b", "bad"]
    assert {"good", "fine", "a", "c"} <= PLUGINS._general.keys()


def test_an_around_is_not_blamed_for_what_its_inner_raises(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        return (yield)

    register(plugin(tako_chat=tako_chat), "innocent")
    with pytest.raises(PluginError, match="boom") as caught:
        ask(vendor(tako_chat=boom)("m"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "innocent" in PLUGINS._general


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
    with pytest.raises(UnsupportedError, match="acme:m cannot stream"):
        listen(vendor(tako_chat=saying("whole"))("m"), ChatRequest([Message.user("hi")], strict=True))


# --- functions that are wrong at the call


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
    ("chunks", "error", "words"),
    [
        ([], StreamTruncatedError, "ended before"),
        ([Delta("a")], StreamTruncatedError, "ended before"),
        ([End(), End()], ResponseError, "after the end"),
        ([End(), Delta("a")], ResponseError, "after the end"),
        (["text"], PluginError, "yielded a str"),
    ],
)
def test_a_stream_out_of_order_is_an_error(
    chunks: list[Any], error: type[Exception], words: str, vendor: Vendor
) -> None:
    async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
        for chunk in chunks:
            yield chunk

    cls = vendor(tako_chat=saying("x"), tako_stream=lambda: stream, tako_capabilities=able)
    with pytest.raises(error, match=words):
        listen(cls("m"))


# --- threads, cost


def test_many_threads_bind_and_register_at_once(vendor: Vendor, register: Register) -> None:
    classes = [vendor(f"acme{i}", tako_chat=saying("vendor")) for i in range(4)]
    wrong: list[Any] = []
    start = threading.Barrier(12)

    def call(cls: type[Provider]) -> None:
        start.wait()
        for _ in range(30):
            try:
                said = ask(cls("m"))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
                wrong.append(error)
            else:
                if said not in ("vendor", "general"):
                    wrong.append(said)

    def churn() -> None:
        start.wait()
        for _ in range(30):
            one = plugin(tako_chat=saying("general"))
            tako.register(one)
            tako.unregister(one)

    threads = [threading.Thread(target=call, args=(classes[i % 4],)) for i in range(8)]
    threads += [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_plugin_that_fails_in_many_threads_is_warned_about_once(vendor: Vendor, register: Register) -> None:
    register(plugin(tako_chat=boom), "bad")
    cls = vendor(tako_chat=saying("vendor"))
    said: list[Any] = []
    start = threading.Barrier(8)

    def call() -> None:
        start.wait()
        try:
            said.append(ask(cls("m")))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
            said.append(error)

    threads = [threading.Thread(target=call) for _ in range(8)]
    with pytest.warns(PluginWarning) as caught:  # noqa: PT031 - the threads warn, and they are joined here
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said == ["vendor"] * 8
    assert len(caught) == 1


def test_a_call_does_not_pass_through_pluggy_however_many_plugins_there_are(vendor: Vendor, register: Register) -> None:
    provider = vendor(tako_chat=saying("vendor"))("m")

    def calls_of_one_chat() -> int:
        made = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal made
            made += event == "call"
            assert event != "call" or "pluggy" not in frame.f_code.co_filename

        async def main() -> None:
            await provider.chat("warm up")
            sys.setprofile(count)
            try:
                await provider.chat("hi")
            finally:
                sys.setprofile(None)

        asyncio.run(main())
        return made

    before = calls_of_one_chat()
    for i in range(30):
        register(
            plugin(tako_chat=lambda: None, tako_stream=lambda: None, tako_translator=lambda: None), f"declines {i}"
        )
    assert calls_of_one_chat() == before
    assert before < 30


# --- the specifications are the reference


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_every_hook_runs(hook: str, vendor: Vendor, register: Register) -> None:
    example = inspect.getdoc(getattr(hookspecs, hook)).partition("::\n\n")[2]
    code = textwrap.dedent(example)
    assert f"def {hook}(" in code
    ast.parse(code)
    namespace: dict[str, Any] = {
        "hookimpl": hookimpl,
        "msgspec": msgspec,
        "TextPart": TextPart,
        "Translator": Translator,
        "Delta": Delta,
        "aclosing": aclosing,
    }
    exec(code, namespace)
    asked: list[str] = []

    def echo(translator: Translator) -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            asked.append(request.messages[0].text)
            text = translator.encode(request.messages[0].parts[0], None).text
            return ChatResponse(Message.assistant(text))

        return chat

    register(SimpleNamespace(**{hook: namespace[hook]}))
    provider = vendor(tako_chat=echo)("gpt-5")
    provider_id = vendor("openai", tako_chat=echo)("gpt-5")
    match hook:
        case "tako_capabilities":
            assert provider_id.capabilities.max_context_tokens == 100_000
            assert provider.capabilities.max_context_tokens is None
        case "tako_translator":
            assert ask(provider, "my password is hunter2") == "my password is ***"
        case "tako_chat":
            assert [ask(provider, "q"), ask(provider, "q")] == ["q", "q"]
            assert asked == ["q"]
        case "tako_stream":
            assert listen(provider, "shout") == ["SHOUT"]


def test_every_hook_has_a_reference_and_an_example() -> None:
    assert HOOKS == ("tako_capabilities", "tako_translator", "tako_chat", "tako_stream")
    for hook in HOOKS:
        assert "@hookimpl" in (inspect.getdoc(getattr(hookspecs, hook)) or "")
