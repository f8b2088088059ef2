"""Keywords of a call, and a provider's defaults: what a request gets from where, at every provider."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ChatRequest, ContentPart, Message, Tool, load_config
from tako.errors import ConfigurationError, ProviderTimeoutError
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tako import Provider

Make = "Callable[..., tuple[Provider, list[ChatRequest]]]"
HI = [Message.user("Hi")]


@pytest.fixture
def make() -> Callable[..., tuple[Provider, list[ChatRequest]]]:
    """Return a maker of providers that keep the requests that reach them."""

    def make(**options: Any) -> tuple[Provider, list[ChatRequest]]:
        seen: list[ChatRequest] = []

        def chat(request: ChatRequest) -> str:
            seen.append(request)
            return "ok"

        def stream(request: ChatRequest) -> Iterator[str]:
            seen.append(request)
            yield "ok"

        provider = tako.providers.PythonProvider("p", chat, stream=stream, **options)
        return provider, seen

    return make


def test_every_field_of_a_request_is_a_keyword() -> None:
    from tako.keywords import REQUEST_KEYWORDS

    assert set(REQUEST_KEYWORDS) == {"system", *ChatRequest.__struct_fields__} - {"messages"}


def test_keywords_are_set_by_chat_and_stream_with_and_without_await(make: Any) -> None:
    provider, seen = make()
    options: Any = {"system": "Be kind.", "temperature": 0, "max_tokens": 5, "stop": ["."], "tools": [Tool("look")]}

    async def both() -> None:
        await provider.chat("Hi", **options)
        await provider.stream("Hi", **options).response()

    asyncio.run(both())
    provider.blocking.chat("Hi", **options)
    provider.blocking.stream("Hi", **options).response()
    meant = ChatRequest(
        [Message.system("Be kind."), *HI], tools=[Tool("look")], temperature=0, max_tokens=5, stop=["."]
    )
    assert seen == [meant] * 4


def test_keywords_replace_the_requests_fields_and_none_leaves_them(make: Any) -> None:
    provider, seen = make()
    request = ChatRequest(HI, temperature=1, seed=3, stop=["a"], strict=True, tools=[Tool("look")])
    provider.blocking.chat(request, temperature=0, seed=None, stop=["b"], strict=False, tools=[])
    assert seen == [ChatRequest(HI, temperature=0, seed=3, stop=["b"])]
    assert request.temperature == 1


def test_headers_metadata_extra_and_context_merge(make: Any) -> None:
    provider, seen = make()
    request = ChatRequest(
        HI,
        headers={"X-A": "1", "x-b": "1"},
        metadata={"a": "1", "b": "1"},
        extra={"o": {"a": 1, "b": 1}, "tools": [1], "list": [1]},
        context={"a": 1, "b": 1},
    )
    extra = {"o": {"b": 2}, "tools": [2], "list": [2]}
    provider.blocking.chat(request, headers={"x-a": "2"}, metadata={"b": "2"}, extra=extra, context={"b": 2})
    (sent,) = seen
    assert dict(sent.headers) == {"x-a": "2", "x-b": "1"}
    assert sent.metadata == {"a": "1", "b": "2"}
    assert sent.extra == {"o": {"a": 1, "b": 2}, "tools": [1, 2], "list": [2]}
    assert dict(sent.context) == {"a": 1, "b": 2}


def test_the_system_text_goes_before_the_requests_own(make: Any) -> None:
    provider, seen = make()
    provider.blocking.chat([Message.system("Old."), *HI], system="New.")
    provider.blocking.chat("Hi", system=[ContentPart.text("New.")])
    assert [message.text for message in seen[0].messages] == ["New.", "Old.", "Hi"]
    assert [message.text for message in seen[1].messages] == ["New.", "Hi"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"temprature": 0}, "python:p: a request has no option 'temprature'; did you mean 'temperature'?"),
        ({"messages": HI}, "a request has no option 'messages'"),
        ({"temperature": "hot"}, "temperature is a str, not a number"),
        ({"system": 5}, "system is an int, not a str or a list of parts"),
        ({"system": [5]}, "messages[0].content[0] is an int, not a part"),
        ({"headers": "x"}, "headers is a str, not a dict"),
        ({"headers": {"x": 5}}, "headers['x'] is an int"),
        ({"extra": [1]}, "extra is a list, not a dict"),
        ({"stop": "x"}, "stop is a str, not a list"),
        ({"timeout": -1}, "timeout is -1"),
        ({"tools": "x"}, "tools is a str, not a list"),
    ],
)
def test_what_cannot_be_is_refused_by_name_before_anything_is_sent(
    make: Any, options: dict[str, Any], text: str
) -> None:
    provider, seen = make()
    for call in (provider.blocking.chat, provider.blocking.stream, provider.stream):
        with pytest.raises(ConfigurationError) as caught:
            call("Hi", **options)
        assert text.removeprefix("python:") in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        make(defaults=options)
    assert "default" in str(caught.value)
    assert not seen


def test_defaults_fill_what_neither_the_request_nor_a_keyword_sets(make: Any) -> None:
    fixed: Any = {
        "temperature": 0,
        "seed": 1,
        "stop": ["."],
        "strict": True,
        "system": "Default.",
        "headers": {"x-a": "1", "x-b": "1"},
        "extra": {"o": {"a": 1}, "include": ["a"]},
    }
    provider, seen = make(defaults=fixed)
    request = ChatRequest(HI, seed=2, headers={"X-A": "2"}, extra={"o": {"b": 2}, "include": ["b"]})
    provider.blocking.chat(request, stop=[], strict=False)
    provider.blocking.chat([Message.system("Mine."), *HI], temperature=None)
    provider.blocking.chat("Hi", system="Mine.", temperature=1)
    first, second, third = seen
    assert (first.temperature, first.seed, first.stop, first.strict) == (0, 2, [], False)
    assert first.messages[0] == Message.system("Default.")
    assert dict(first.headers) == {"X-A": "2", "x-b": "1"}
    assert first.extra == {"o": {"a": 1, "b": 2}, "include": ["a", "b"]}
    assert (second.temperature, second.strict, second.stop) == (0, True, ["."])
    assert [message.text for message in second.messages] == ["Mine.", "Hi"]
    assert [message.text for message in third.messages] == ["Mine.", "Hi"]
    assert third.temperature == 1


def test_defaults_are_applied_once_though_a_provider_calls_itself(vendor: Any) -> None:
    seen: list[ChatRequest] = []

    def tako_chat(provider: Any) -> Any:
        async def chat(request: ChatRequest) -> Any:
            return await provider.stream(request, max_tokens=7).response()

        return chat

    def tako_stream(provider: Any) -> Any:
        async def stream(request: ChatRequest) -> Any:
            seen.append(request)
            yield tako.End()

        return stream

    cls = vendor(
        tako_chat=tako_chat,
        tako_stream=tako_stream,
        tako_capabilities=lambda provider: tako.Capabilities(supports_streaming=True),
    )
    cls("m", defaults={"extra": {"include": ["a"]}}).blocking.chat("Hi")
    assert [(request.extra, request.max_tokens) for request in seen] == [({"include": ["a"]}, 7)]


def test_every_provider_takes_defaults_by_its_class_by_name_and_from_a_file(
    at: Any, vendors: tuple[str, ...], answers: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM", "blue")
    fixed = {"headers": {"x-team": "$ENV:TEAM"}, "max_tokens": 77}
    for name in vendors:
        with serve(reply(json=answers[name])) as server:
            provider = at(name, server.url, defaults=fixed)
            provider.blocking.chat("Hi", headers={"x-call": "1"})
            sent = server.requests[-1]
        assert (sent.headers["x-team"], sent.headers["x-call"]) == ("blue", "1"), name
        assert "77" in sent.body.decode(), name
        assert "blue" not in repr(provider)
        assert b"blue" not in pickle.dumps(provider)
    with serve(reply(json=answers["openai"])) as server:
        tako.providers.OpenAI(
            "m", api_key="k", base_url=server.url, defaults={"headers": {"x-team": "$ENV:TEAM"}}
        ).blocking.chat("Hi")
        file = tmp_path / "tako.toml"
        file.write_text(
            f'[providers.a]\nuse = "openai:m"\napi_key = "$ENV:TEAM"\nbase_url = "{server.url}"\n'
            '[providers.a.defaults]\ntemperature = 0\nheaders = {x-team = "$ENV:TEAM"}\n'
            'response_format = {name = "n", schema = {type = "object"}}\n'
            '[providers.b]\nuse = "openai:m"\napi_key = "$ENV:TEAM"\ndefaults = {temprature = 0}\n'
        )
        load_config(file).provider("a").blocking.chat("Hi")
        with pytest.raises(ConfigurationError, match=r"providers\.b: .*temprature.*did you mean 'temperature'"):
            load_config(file).provider("b")
        assert [sent.headers["x-team"] for sent in server.requests] == ["blue", "blue"]
        assert server.requests[-1].json["temperature"] == 0
        assert server.requests[-1].json["response_format"]["json_schema"]["name"] == "n"


def test_a_call_has_its_own_timeout(at: Any) -> None:
    with serve(reply(json={}, delay=30)) as server:
        provider = at("openai", server.url, max_retries=0)
        with pytest.raises(ProviderTimeoutError):
            provider.blocking.chat("Hi", timeout=0.05)
        assert len(server.requests) == 1
