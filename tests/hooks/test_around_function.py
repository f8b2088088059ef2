"""`tako.around`: one function around chat and stream alike, once per request."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

import tako
from tako import (
    ChatRequest,
    ChatResponse,
    Citation,
    ContentPart,
    Delta,
    End,
    FinishReason,
    Message,
    Notice,
    Origin,
    PluginError,
    State,
    Usage,
)
from tako.errors import OverloadedError, ProviderError, StreamTruncatedError
from tako.testing.server import reply, serve, sse
from tako.testing.waiting import until
from tako.types import Cost

from .builders import able, plugin, saying, streaming

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]

WAYS = ("chat", "stream", "blocking chat", "blocking stream")


def ask(provider: Provider, way: str, request: Any = "hi") -> ChatResponse:
    if way == "blocking chat":
        return provider.blocking.chat(request)
    if way == "blocking stream":
        return provider.blocking.stream(request).response()

    async def main() -> ChatResponse:
        return await (provider.chat(request) if way == "chat" else provider.stream(request).response())

    return asyncio.run(main())


def echo(ends: list[Any] | None = None) -> dict[str, Any]:
    """Hooks of a model that repeats what it's asked, whole or letter by letter."""

    def tako_chat() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            return ChatResponse(Message.assistant(request.messages[-1].text), usage=Usage(3, 4))

        return chat

    def tako_stream() -> Any:
        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            try:
                for letter in request.messages[-1].text:
                    yield Delta(letter)
                yield End(usage=Usage(3, 4))
            finally:
                if ends is not None:
                    ends.append("closed")

        return stream

    return {"tako_chat": tako_chat, "tako_stream": tako_stream, "tako_capabilities": able}


@pytest.mark.parametrize("way", WAYS)
def test_it_edits_the_request_and_the_chunks_and_sees_the_end(way: str, vendor: Vendor, register: Register) -> None:
    seen: list[Any] = []

    @tako.around
    async def louder(provider: Provider, request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        seen.append(provider.id)
        async for chunk in inner(replace(request, messages=[Message.user("hello")])):
            if chunk.kind == "end":
                seen.append(chunk.usage.total)
            yield replace(chunk, text=chunk.text.upper()) if chunk.kind == "delta" and chunk.text else chunk

    register(louder)
    response = ask(vendor(**echo())("m"), way)
    assert (response.text, response.usage) == ("HELLO", Usage(3, 4))
    assert seen == ["acme:m", 7]


@pytest.mark.parametrize("way", WAYS)
def test_once_per_request_whether_the_provider_streams_or_not(way: str, vendor: Vendor, register: Register) -> None:
    runs: list[str] = []

    @tako.around
    async def count(provider: Provider, inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        runs.append(provider.name)
        async for chunk in inner(request):
            yield chunk

    register(count)
    own = {**echo(), "tako_chat": _by_own_stream}
    for cls in (vendor(**echo()), vendor("whole", tako_chat=saying("x")), vendor("own", **own)):
        runs.clear()
        ask(cls("m"), way)
        assert runs == [cls.name]


def _by_own_stream(provider: Provider) -> Any:
    async def chat(request: ChatRequest) -> ChatResponse:
        return await provider.stream(request).response()

    return chat


@pytest.mark.parametrize("way", WAYS)
def test_it_may_answer_by_itself_and_drop_and_add_chunks(way: str, vendor: Vendor, register: Register) -> None:
    @tako.around
    async def aside(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        if request.messages[-1].text == "known":
            yield Delta("from memory")
            yield End(FinishReason.LENGTH)
            return
        async for chunk in inner(request):
            if chunk.kind == "end":
                yield Delta("!")
                yield replace(chunk, notices=[*chunk.notices, Notice("mine", "added")])
            elif chunk.text != "l":
                yield chunk

    register(aside)
    provider = vendor(**echo())("m")
    known = ask(provider, way, "known")
    assert (known.text, known.finish_reason) == ("from memory", "length")
    other = ask(provider, way, "l" if "chat" in way else "hello")
    assert other.text == ("!" if "chat" in way else "heo!")
    assert [notice.code for notice in other.notices] == ["mine"]


@pytest.mark.parametrize("way", WAYS)
def test_it_may_begin_again_before_the_first_chunk(way: str, vendor: Vendor, register: Register) -> None:
    tries: list[int] = []

    def flaky() -> dict[str, Any]:
        def tako_chat() -> Any:
            async def chat(request: ChatRequest) -> ChatResponse:
                tries.append(1)
                if request.model is None:
                    raise OverloadedError("busy", retry_after=1e9)  # no retry of tako's own
                return ChatResponse(Message.assistant(request.model))

            return chat

        return {"tako_chat": tako_chat}

    @tako.around
    async def another(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        try:
            async for chunk in inner(request):
                yield chunk
        except OverloadedError:
            async for chunk in inner(replace(request, model="the other one")):
                yield chunk

    register(another)
    assert ask(vendor(**flaky())("m"), way).text == "the other one"
    assert len(tries) == 2


STATE = State(Origin("acme", "m"), {"signature": "sig"})
FULL = ChatResponse(
    Message.assistant(
        [
            ContentPart.reasoning("hm"),
            replace(ContentPart.reasoning("hidden"), state=STATE),
            replace(ContentPart.text("one"), citations=[Citation(url="https://example.com", start=0, end=3)]),
            ContentPart.text("two"),
            ContentPart.tool_call("c1", "weather", {"city": "Rome"}),
            ContentPart.vendor("acme", {"type": "search", "query": "q"}),
            replace(ContentPart.text("three"), extra={"x": 1}),
        ]
    ),
    FinishReason.TOOL_CALLS,
    Usage(3, 2, 1),
    "model-1",
    "id-1",
    provider="acme:other",
    finish_word="calls",
    notices=[Notice("a", "b", "c", "d")],
    raw={"vendors": "own"},
    cost=Cost(Decimal(1)),
)


@pytest.mark.parametrize("edits", [False, True])
def test_of_a_chat_nothing_is_lost_on_the_way_through(edits: bool, vendor: Vendor, register: Register) -> None:
    def tako_chat() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            return FULL

        return chat

    @tako.around
    async def pass_on(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        async for chunk in inner(request):
            yield replace(chunk) if edits else chunk

    cls = vendor(tako_chat=tako_chat)
    before = ask(cls("m"), "chat")
    register(pass_on)
    assert ask(cls("m"), "chat") == before


@pytest.mark.parametrize("way", WAYS)
def test_it_sees_what_is_raised_and_what_it_raises_itself_has_its_name(
    way: str, vendor: Vendor, register: Register
) -> None:
    seen: list[str] = []

    def failing() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            raise KeyError("the provider's own mistake")

        return chat

    @tako.around
    async def watch(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        try:
            async for chunk in inner(request):
                yield chunk
        except ProviderError as error:
            seen.append(str(error))
            if request.model == "raise":
                raise LookupError("nothing there") from error
            raise

    register(watch)
    provider = vendor(tako_chat=failing)("m")
    with pytest.raises(ProviderError, match=r"^acme:m: the provider failed: KeyError: \"the provider's own mistake\"$"):
        ask(provider, way)
    request = ChatRequest([Message.user("hi")], model="raise")
    with pytest.raises(
        PluginError, match=r"^acme:m: plugin 'watch' failed in tako_(chat|stream): LookupError"
    ) as caught:
        ask(provider, way, request)
    assert isinstance(caught.value.__cause__, LookupError)
    assert len(seen) == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wrong", ["no End", "two Ends", "text", "no request"])
def test_what_it_may_not_do_is_an_error_with_its_name(wrong: str, way: str, vendor: Vendor, register: Register) -> None:
    async def odd(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        async for chunk in inner("hi" if wrong == "no request" else request):
            if wrong == "text":
                yield "hi"
            if not (wrong == "no End" and chunk.kind == "end"):
                yield chunk
            if wrong == "two Ends" and chunk.kind == "end":
                yield chunk

    register(tako.around(odd))
    kind = StreamTruncatedError if wrong == "no End" else PluginError
    with pytest.raises(kind, match="plugin 'odd'"):
        ask(vendor(**echo())("m"), way)


def test_whoever_leaves_early_closes_all_that_it_began(vendor: Vendor, register: Register) -> None:
    ends: list[Any] = []

    @tako.around
    async def careless(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        async for chunk in inner(request):  # without aclosing
            yield chunk

    register(careless)
    provider = vendor(**echo(ends))("m")

    async def main() -> None:
        async with provider.stream("hello") as stream:
            async for _ in stream:
                break
        assert ends == ["closed"]

    asyncio.run(main())


def test_the_connection_closes_at_once_when_a_stream_is_left(register: Register) -> None:
    @tako.around
    async def careless(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        async for chunk in inner(request):
            yield chunk

    register(careless)
    first = {"choices": [{"index": 0, "delta": {"content": "a"}}]}
    with serve(reply([*sse(first, done=False), lambda: False])) as server:
        provider = tako.providers.OpenAI("gpt-4.1", api_key="k", base_url=server.url)

        async def main() -> None:
            async with provider, provider.stream("hi") as stream:
                assert (await anext(stream)).text == "a"
            await asyncio.to_thread(until, lambda: server.left_early)

        asyncio.run(main())


def test_parameters_are_given_by_name_and_options_by_partial(vendor: Vendor, register: Register) -> None:
    async def stamp(request: ChatRequest, inner: Any, *, text: str) -> AsyncGenerator[Any, None]:
        yield Delta(text)
        async for chunk in inner(request):
            yield chunk

    class Greeting:
        async def __call__(self, inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
            yield Delta("hello ")
            async for chunk in inner(request):
                yield chunk

    register(tako.around(partial(stamp, text="dear ")))
    register(tako.around(Greeting()))
    assert ask(vendor(**echo())("m"), "stream", "you").text == "hello dear you"


async def _no_generator(request: Any, inner: Any) -> None: ...


def _no_async(request: Any, inner: Any) -> Any:
    yield


async def _unknown(request: Any, next_one: Any) -> Any:
    yield


async def _all_of_them(*args: Any) -> Any:
    yield


async def _by_place(request: Any, /) -> Any:
    yield


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_no_generator, "_no_generator): it must be an async generator function"),
        (_no_async, "_no_async): it must be an async generator function"),
        (3, "int): it must be an async generator function"),
        (_unknown, "parameter next_one: it may take provider, request, inner"),
        (_all_of_them, "parameter args"),
        (_by_place, "parameter request"),
    ],
)
def test_what_is_no_such_function_is_refused_at_once(function: Any, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        tako.around(function)
    assert message in str(caught.value)


def test_a_bare_function_is_refused_with_the_way_to_register_it(register: Register) -> None:
    async def bare(request: Any, inner: Any) -> Any:
        yield

    with pytest.raises(PluginError, match=r"plugin 'bare' has no hooks: tako\.around makes a plugin of it"):
        register(bare)


def test_the_one_registered_last_stands_outside(vendor: Vendor, register: Register) -> None:
    def adding(text: str) -> Any:
        async def add(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
            async for chunk in inner(request):
                if chunk.kind == "end":
                    yield Delta(text)
                yield chunk

        add.__name__ = f"add {text}"
        return tako.around(add)

    register(adding("1"))
    register(adding("2"))
    assert ask(vendor(**echo())("m"), "stream", "0").text == "012"
    assert ask(vendor(**echo())("m"), "chat", "0").text == "012"


def test_a_generator_that_goes_on_after_it_was_closed_is_named(vendor: Vendor, register: Register) -> None:
    ends: list[Any] = []

    @tako.around
    async def stubborn(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        with suppress(GeneratorExit):
            async for chunk in inner(request):
                yield chunk
        yield Delta("one more")

    register(stubborn)
    provider = vendor(**echo(ends))("m")

    async def main() -> None:
        stream = provider.stream("hello")
        await anext(stream)
        with pytest.raises(PluginError, match=r"plugin 'stubborn' failed .*ignored GeneratorExit"):
            await stream.aclose()

    asyncio.run(main())
    assert ends == ["closed"]
    gc.collect()


def test_beside_other_wrappers_it_is_one_of_them(vendor: Vendor, register: Register) -> None:
    @tako.around
    async def inside(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        async for chunk in inner(request):
            yield replace(chunk, text=f"<{chunk.text}>") if chunk.kind == "delta" else chunk

    @tako.hookimpl(wrapper=True)
    def tako_chat() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            return replace(await inner(request), id="seen")

        return chat

    register(inside)
    register(plugin(tako_chat=tako_chat))
    response = ask(vendor(tako_chat=saying("x"), tako_stream=streaming("x"), tako_capabilities=able)("m"), "chat")
    assert (response.text, response.id) == ("<x>", "seen")


@pytest.mark.parametrize("way", WAYS)
def test_it_sees_who_answered_and_what_that_cost_also_of_another_model(
    way: str, vendor: Vendor, register: Register
) -> None:
    seen: list[Any] = []

    @tako.around
    async def cheaper(inner: Any, request: ChatRequest) -> AsyncGenerator[Any, None]:
        async for chunk in inner(replace(request, model="cheap") if request.max_tokens == 1 else request):
            if chunk.kind == "end":
                seen.append((chunk.provider, chunk.cost))
            yield chunk

    def priced(provider: Provider) -> Any:
        return tako.Capabilities(usd_per_input_mtok=1e6, usd_per_output_mtok=0.0)

    register(cheaper)
    provider = vendor(**{**echo(), "tako_capabilities": priced})("dear")
    own = ask(provider, way)
    other = ask(provider, way, ChatRequest([Message.user("hi")], max_tokens=1))
    assert (own.provider, own.cost) == seen[0] == ("acme:dear", Cost(Decimal(3)))
    assert (other.provider, other.cost) == seen[1] == ("acme:cheap", None)  # nothing is known of that one's prices


@pytest.mark.parametrize("way", WAYS)
def test_what_it_yields_is_a_chunk_or_an_error_that_names_it(way: str, vendor: Vendor, register: Register) -> None:
    @tako.around
    async def careless(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        yield "text"

    register(careless)
    with pytest.raises(PluginError, match=r"plugin 'careless' failed in .*: the function of tako.around yielded a str"):
        ask(vendor(**echo())("m"), way)


@pytest.mark.parametrize("way", WAYS)
def test_with_trylast_it_goes_around_each_try_and_decides_what_is_retried(
    way: str, at: Callable[..., Provider], register: Register
) -> None:
    tries: list[str] = []

    @tako.around(trylast=True)
    async def policy(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        try:
            async for chunk in inner(request):
                yield chunk
        except ProviderError as error:
            tries.append(str(error.status_code))
            error.retryable = error.status_code == 503
            raise

    register(policy)
    busy, broken = (reply(json={}, status=status, headers={"retry-after": "0"}) for status in (503, 500))
    with serve(busy, broken) as server, pytest.raises(ProviderError):
        ask(at("openai", server.url), way)
    assert tries == ["503", "500"]


@pytest.mark.parametrize("way", WAYS)
def test_with_tryfirst_it_goes_before_plugins_that_were_registered_later(
    way: str, vendor: Vendor, register: Register
) -> None:
    order: list[str] = []

    async def first(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        order.append("first")
        async for chunk in inner(request):
            yield chunk

    @tako.around
    async def second(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        order.append("second")
        async for chunk in inner(request):
            yield chunk

    register(tako.around(tryfirst=True)(first))
    register(second)
    ask(vendor(**echo())("m"), way)
    assert order == ["first", "second"]


@pytest.mark.parametrize("way", WAYS)
def test_awaiting_inner_says_how_to_write_it(way: str, vendor: Vendor, register: Register) -> None:
    @tako.around
    async def hasty(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        yield await inner(request)

    register(hasty)
    with pytest.raises(PluginError, match=r"'hasty' failed in .*: write `async for chunk in inner\(request\)`$"):
        ask(vendor(**echo())("m"), way)


@pytest.mark.parametrize("way", WAYS)
def test_an_end_that_is_dropped_names_the_plugin(way: str, vendor: Vendor, register: Register) -> None:
    @tako.around
    async def endless(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        async for chunk in inner(request):
            if chunk.kind == "delta":
                yield chunk

    register(endless)
    with pytest.raises(StreamTruncatedError, match="plugin 'endless' dropped the End of the stream; yield every chunk"):
        ask(vendor(**echo())("m"), way)
