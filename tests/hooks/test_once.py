"""One request passes each wrapper once, and is retried once, however a provider makes one answer of another."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, ChatResponse, Delta, End, Message, PluginError, Usage, hookimpl
from tako.errors import ProviderError, ServerError, StreamTruncatedError
from tako.kit.streams import chat_from_stream
from tako.testing.server import reply, serve

from .builders import able, ask, listen, plugin, saying

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


class Tally:
    """Counts requests and tokens in chat and in streams, as a budget would."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.tokens = 0

    @hookimpl(wrapper=True)
    def tako_chat(self) -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            self.seen.append("chat")
            response = await inner(request)
            self.tokens += response.usage.total
            return response

        return chat

    @hookimpl(wrapper=True)
    def tako_stream(self) -> Any:
        inner = yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            self.seen.append("stream")
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    if chunk.kind == "end":
                        self.tokens += chunk.usage.total
                    yield chunk

        return stream


def answering(calls: list[str], failures: int = 0) -> dict[str, Any]:
    """Hooks of a provider that streams, and fails a few times before."""

    def tako_stream() -> Any:
        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            calls.append("stream")
            if len(calls) <= failures:
                raise ServerError("for a moment", retry_after=0.0)
            yield Delta("hi")
            yield End(usage=Usage(3, 4))

        return stream

    return {"tako_stream": tako_stream, "tako_capabilities": able}


def by_stream(provider: Provider) -> Any:
    """What authors write: chat is one's own stream, read to its end."""

    async def chat(request: ChatRequest) -> ChatResponse:
        return await provider.stream(request).response()

    return chat


def by_chat(provider: Provider) -> Any:
    """The other way round: a stream is one's own chat."""

    async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
        response = await provider.chat(request)
        yield Delta(response.text)
        yield End(usage=response.usage)

    return stream


def makings(vendor: Vendor, calls: list[str], failures: int = 0) -> dict[str, type[Provider]]:
    """Providers that make one answer of another, each in its way."""
    own = answering(calls, failures)

    def by_kit(provider: Provider) -> Any:
        return chat_from_stream(provider, own["tako_stream"]())

    def tako_chat() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            calls.append("chat")
            if len(calls) <= failures:
                raise ServerError("for a moment", retry_after=0.0)
            return ChatResponse(Message.assistant("hi"), usage=Usage(3, 4))

        return chat

    return {
        "chat by provider.stream": vendor(tako_chat=by_stream, **own),
        "chat by the kit": vendor(tako_chat=by_kit, **own),
        "a stream by provider.chat": vendor(tako_chat=tako_chat, tako_stream=by_chat, tako_capabilities=able),
        "no stream": vendor(tako_chat=tako_chat),
        "a model that cannot stream": vendor(tako_chat=tako_chat, tako_stream=own["tako_stream"]),
    }


MAKINGS = [
    "chat by provider.stream",
    "chat by the kit",
    "a stream by provider.chat",
    "no stream",
    "a model that cannot stream",
]


@pytest.mark.parametrize("how", [ask, listen])
@pytest.mark.parametrize("making", MAKINGS)
def test_each_request_is_counted_once(making: str, how: Any, vendor: Vendor, register: Register) -> None:
    calls: list[str] = []
    tally, late = Tally(), Tally()
    register(tally)
    innermost = plugin(tako_chat=_last(late.tako_chat), tako_stream=_last(late.tako_stream))
    register(innermost)
    assert "".join(how(makings(vendor, calls)[making]("m"))) == "hi"
    way = "chat" if how is ask else "stream"
    assert (calls, tally.seen, tally.tokens) == (calls[:1], [way], 7)
    assert (late.seen, late.tokens) == ([way], 7)


def _last(function: Any) -> Any:
    @hookimpl(wrapper=True, trylast=True)
    def hook() -> Any:
        return (yield from function())

    return hook


@pytest.mark.parametrize("how", [ask, listen])
@pytest.mark.parametrize("making", MAKINGS)
def test_retries_do_not_multiply(making: str, how: Any, vendor: Vendor) -> None:
    calls: list[str] = []
    provider = makings(vendor, calls, failures=10)[making]("m")
    with pytest.raises(ProviderError, match="for a moment"):
        how(provider)
    assert len(calls) == 1 + provider.max_retries
    calls.clear()
    assert "".join(how(makings(vendor, calls, failures=2)[making]("m"))) == "hi"
    assert len(calls) == 3


def test_a_plugin_that_only_streams_still_goes_around_a_chat_that_is_made_of_a_stream(
    vendor: Vendor, register: Register
) -> None:
    tally = Tally()
    register(plugin(tako_stream=hookimpl(wrapper=True)(lambda: (yield from tally.tako_stream()))))
    assert ask(makings(vendor, [])["chat by provider.stream"]("m")) == "hi"
    assert tally.seen == ["stream"]


def test_calls_that_others_make_pass_everything(vendor: Vendor, register: Register) -> None:
    """A wrapper that asks the same provider something else makes a request of its own, as does a later task."""
    tally = Tally()
    later: list[Any] = []

    @hookimpl(wrapper=True)
    def tako_chat(provider: Provider) -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            if request.messages[-1].text == "is this fine?":
                return await inner(request)
            await provider.chat("is this fine?")
            return await inner(request)

        return chat

    def begins_a_task(provider: Provider) -> Any:
        async def again() -> str:
            await asyncio.sleep(0)
            return (await provider.chat("is this fine?")).text

        async def chat(request: ChatRequest) -> ChatResponse:
            if not later:
                later.append(asyncio.create_task(again()))
            return ChatResponse(Message.assistant("ok"))

        return chat

    register(plugin(tako_chat=tako_chat), "judge")
    register(tally, "tally")
    provider = vendor(tako_chat=saying("ok"))("m")
    ask(provider)
    assert tally.seen == ["chat", "chat"]
    tally.seen.clear()

    async def main() -> None:
        await vendor(tako_chat=begins_a_task)("m").chat("is this fine?")
        await later[0]

    asyncio.run(main())
    assert tally.seen == ["chat", "chat"]


def test_chat_and_stream_that_are_made_of_one_another_are_told(vendor: Vendor) -> None:
    for cls in (vendor(tako_chat=by_stream), vendor(tako_chat=by_stream, tako_capabilities=able)):
        for how in (ask, listen):
            with pytest.raises(PluginError, match=r"acme:m: its tako_chat calls provider.stream, but it can't stream"):
                how(cls("m"))


def test_blocking_calls_within_a_callable_are_the_same_request(vendor: Vendor, register: Register) -> None:
    """What runs in a worker thread is inside as well."""
    import anyio

    def by_blocking(provider: Provider) -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            return await anyio.to_thread.run_sync(lambda: provider.blocking.stream(request).response())

        return chat

    tally = Tally()
    register(tally)
    assert ask(vendor(tako_chat=by_blocking, **answering([]))("m")) == "hi"
    assert tally.seen == ["chat"]


def test_the_kits_chat_keeps_what_came_of_a_stream_that_was_cut(vendor: Vendor) -> None:
    def tako_stream() -> Any:
        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            yield Delta("half")
            if request.model == "raises":
                raise StreamTruncatedError("cut")

        return stream

    def tako_chat(provider: Provider) -> Any:
        return chat_from_stream(provider, tako_stream())

    provider = vendor(tako_chat=tako_chat)("m")
    for model in (None, "raises"):
        with pytest.raises(StreamTruncatedError) as caught:
            ask(provider, ChatRequest([Message.user("hi")], model=model))
        assert caught.value.partial is not None
        assert caught.value.partial.text == "half"


def test_over_a_real_wire_a_busy_vendor_is_asked_three_times(vendor: Vendor) -> None:
    from tako.providers import OpenAI

    with serve(reply(status=503, headers={"retry-after": "0"}, json={"error": {"message": "busy"}})) as server:
        provider: Any = vendor(base=OpenAI, tako_chat=by_stream)("m", api_key="k", base_url=server.url)
        for how in (ask, listen):
            before = len(server.requests)
            with pytest.raises(ProviderError, match="busy"):
                how(provider)
            assert len(server.requests) == before + 3
