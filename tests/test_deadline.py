"""``deadline``: the time of a whole call, over all its retries, beside the ``timeout`` of silence."""

from __future__ import annotations

import asyncio
import pickle
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio

from tako import ChatRequest, Message
from tako.discovery import provider_entries
from tako.errors import ConfigurationError, ProviderTimeoutError, RateLimitError, ServerError
from tako.options import options_of
from tako.providers import Anthropic, Fallback, Ollama, OpenAI, PythonProvider
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

NEVER = reply(json={}, delay=lambda: False)
COMPLETION = reply(json={"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]})
BEGUN = reply(sse({"choices": [{"delta": {"content": "Hello"}}]}, done=False), ending="hang")
LONG = 60.0


def request(**fields: Any) -> ChatRequest:
    return ChatRequest([Message.user("hi")], **fields)


def ask(provider: Any, request: ChatRequest, streamed: bool) -> Any:
    return provider.blocking.stream(request).response() if streamed else provider.blocking.chat(request)


MAKE: dict[str, Callable[..., Any]] = {
    "openai": lambda url, **options: OpenAI("m", api_key="k", base_url=url, **options),
    "anthropic": lambda url, **options: Anthropic("m", api_key="k", base_url=url, **options),
    "ollama": lambda url, **options: Ollama("m", base_url=url, **options),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("vendor", MAKE)
def test_a_call_ends_at_its_deadline_as_a_provider_or_a_request_says(vendor: str, streamed: bool) -> None:
    short, long = {"deadline": 0.1}, {"deadline": LONG}
    with serve(NEVER) as server:
        for options, fields in ((short, {}), ({}, short), (long, short)):
            provider = MAKE[vendor](server.url, **options)
            with pytest.raises(ProviderTimeoutError, match=r"took longer than deadline=0\.1 s") as caught:
                ask(provider, request(**fields), streamed)
            assert (caught.value.provider, caught.value.model) == (provider.name, "m")
            assert (caught.value.retryable, caught.value.partial) == (False, None)
            provider.blocking.close()


# if the deadline comes while httpx sends, httpx leaves a generator of its own to trio, which warns of it
@pytest.mark.filterwarnings("ignore:Async generator 'httpx._content.ByteStream:ResourceWarning")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_it_counts_all_attempts_and_the_waits_between_them(run: Any, streamed: bool) -> None:
    async def main() -> None:
        async with OpenAI("m", api_key="k", base_url=server.url, max_retries=50, deadline=0.7) as provider:
            began = monotonic()
            with pytest.raises(ProviderTimeoutError):
                await (provider.stream("hi").response() if streamed else provider.chat("hi"))
            assert monotonic() - began < LONG / 2

    with serve(reply(status=503)) as server:
        run(main) if run is trio.run else run(main())


def test_a_pause_that_ends_after_the_deadline_is_not_begun() -> None:
    with serve(reply(json={"error": {"message": "slow down"}}, status=429, headers={"retry-after": "50"})) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url, deadline=LONG / 2)
        with pytest.raises(RateLimitError, match="slow down") as caught:
            provider.blocking.chat("hi")
        assert caught.value.retry_after == 50
        provider.blocking.close()


def test_a_callers_own_time_limit_counts_as_well() -> None:
    async def main() -> None:
        async with OpenAI("m", api_key="k", base_url=server.url) as provider:
            with anyio.move_on_after(LONG / 2), pytest.raises(ServerError):
                await provider.chat("hi")

    with serve(reply(status=500, headers={"retry-after": "50"})) as server:
        asyncio.run(main())


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_a_stream_that_is_cut_by_it_hands_over_what_came_and_closes(run: Any) -> None:
    async def main() -> None:
        async with OpenAI("m", api_key="k", base_url=server.url, deadline=0.5) as provider:
            stream = provider.stream("hi")
            with pytest.raises(ProviderTimeoutError, match="deadline") as caught:
                await stream.response()
            if caught.value.partial is None:  # the machine took longer than that to bring the first chunk
                return
            assert caught.value.partial.text == stream.partial.text == "Hello"
            again = pickle.loads(pickle.dumps(caught.value))
            assert again.partial.text == "Hello"
            with anyio.fail_after(LONG):
                while server.open:  # noqa: ASYNC110 - the server is in another thread
                    await anyio.sleep(0.005)

    with serve(BEGUN) as server:
        run(main) if run is trio.run else run(main())


def test_silence_in_the_middle_of_a_stream_hands_over_what_came_as_well() -> None:
    with serve(BEGUN) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url, timeout=0.2, max_retries=0)
        with pytest.raises(ProviderTimeoutError, match=r"timeout=0\.2 s") as caught:
            provider.blocking.stream("hi").response()
        assert caught.value.partial is None or caught.value.partial.text == "Hello"
        provider.blocking.close()


def test_what_has_come_before_the_deadline_is_read_at_leisure() -> None:
    async def chunks(_: ChatRequest) -> AsyncIterator[str]:
        for piece in "one", "two", "three":
            yield piece

    async def main() -> str:
        provider = PythonProvider("p", lambda _: "", stream=chunks)
        stream = provider.stream(request(deadline=0.05))
        texts = []
        async for text in stream.text:
            await asyncio.sleep(0.03)
            texts.append(text)
        return " ".join(texts)

    assert asyncio.run(main()) == "one two three"


@pytest.mark.parametrize("streamed", [False, True])
def test_every_provider_has_it(streamed: bool) -> None:
    async def never(_: ChatRequest) -> str:
        await asyncio.sleep(LONG)
        return "late"

    with pytest.raises(ProviderTimeoutError, match="deadline"):
        ask(PythonProvider("p", never), request(deadline=0.05), streamed)


def test_a_call_in_time_is_none_the_wiser() -> None:
    with serve(COMPLETION) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url, deadline=LONG)
        assert provider.blocking.chat("hi").text == "ok"
        assert provider.blocking.stream("hi").response().text == "ok"
        provider.blocking.close()


@pytest.mark.parametrize("seconds", [0, -1, "5", True, float("nan")])
def test_a_deadline_that_is_none_is_refused(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="deadline is"):
        OpenAI("m", api_key="k", deadline=seconds)
    with pytest.raises(ConfigurationError, match="deadline is"):
        OpenAI("m", api_key="k").blocking.chat(request(deadline=seconds))


@pytest.mark.parametrize("field", ["timeout", "deadline"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 10**400, 1e9])
def test_seconds_that_cannot_be_are_refused_before_the_network(field: str, value: float) -> None:
    refused = f"{field} is .* and below a billion"
    with serve(COMPLETION) as server:
        with pytest.raises(ConfigurationError, match=refused):
            OpenAI("m", api_key="k", base_url=server.url).blocking.chat(request(**{field: value}))
        with pytest.raises(ConfigurationError, match=refused):
            OpenAI("m", api_key="k", base_url=server.url, **{field: value})
    assert server.requests == []


async def _never(_: ChatRequest) -> str:
    await anyio.sleep_forever()
    return ""


@pytest.mark.parametrize("streamed", [False, True])
def test_a_callable_has_the_option_too(streamed: bool) -> None:
    with pytest.raises(ConfigurationError, match="python:never: deadline is a number of seconds"):
        PythonProvider("never", _never, deadline=float("inf"))
    with pytest.raises(ProviderTimeoutError, match=r"took longer than deadline=0\.05 s"):
        ask(PythonProvider("never", _never, deadline=0.05), request(), streamed)


@pytest.mark.parametrize("entry", provider_entries(), ids=lambda entry: entry.name)
def test_every_provider_takes_a_deadline_as_an_option(entry: Any) -> None:
    options = options_of(entry.load())
    assert options is not None
    assert "deadline" in options


def test_several_providers_as_one_have_one_deadline_together() -> None:
    members = [PythonProvider("never", _never), PythonProvider("ok", lambda _: "ok")]
    with pytest.raises(ProviderTimeoutError, match=r"took longer than deadline=0\.05 s"):
        Fallback(members, deadline=0.05).blocking.chat("hi")
