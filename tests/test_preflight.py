"""Pre-flight: what a model is known not to have is said, or refused before the network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tako import (
    Capabilities,
    ChatRequest,
    ChatResponse,
    ContentPart,
    Delta,
    End,
    JsonSchema,
    Message,
    Tool,
    UnsupportedError,
    notices,
    providers,
)
from tako.builtin import guard
from tako.testing.server import reply, serve
from tako.types import Notice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

IMAGE = ContentPart.image("image/png", "AAAA")
ADDRESS = ContentPart.image_url("https://example.com/a.png")
NOTHING = Capabilities()
REQUESTS = {
    "tools": (ChatRequest([Message.user("Hi")], tools=[Tool("t")]), notices.MODEL_LACKS_TOOLS, "tools"),
    "json": (
        ChatRequest([Message.user("Hi")], response_format="json"),
        notices.MODEL_LACKS_JSON_MODE,
        "response_format",
    ),
    "schema": (
        ChatRequest([Message.user("Hi")], response_format=JsonSchema("s", {"type": "object"})),
        notices.MODEL_LACKS_JSON_MODE,
        "response_format",
    ),
    "image": (
        ChatRequest([Message.user([ContentPart.text("What?"), IMAGE])]),
        notices.MODEL_LACKS_VISION,
        "messages[0].content[1]",
    ),
    "image by address": (
        ChatRequest([Message.system("Look"), Message.user([ADDRESS])]),
        notices.MODEL_LACKS_VISION,
        "messages[1].content[0]",
    ),
    "image in a result": (
        ChatRequest([Message.user("Hi"), Message.tool("1", [ContentPart.text("Here:"), IMAGE])]),
        notices.MODEL_LACKS_VISION,
        "messages[1].content[0]",
    ),
}


def tako_chat() -> Any:
    async def chat(request: ChatRequest) -> ChatResponse:
        return ChatResponse(Message.assistant("ok"), notices=[Notice("odd", "the vendor's own")])

    return chat


def tako_stream() -> Any:
    async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
        yield Delta("ok")
        yield End(notices=[Notice("odd", "the vendor's own")])

    return stream


@pytest.fixture
def acme(vendor: Callable[..., type[Provider]]) -> type[Provider]:
    return vendor(tako_chat=tako_chat, tako_stream=tako_stream)


def ask(provider: Provider, request: ChatRequest) -> list[tuple[str, str]]:
    """Ask whole and streamed, which say the same, and return the codes and paths of the notices."""

    async def main() -> list[list[tuple[str, str]]]:
        responses = [await provider.chat(request), await provider.stream(request).response()]
        assert [response.text for response in responses] == ["ok", "ok"]
        return [[(notice.code, notice.path) for notice in response.notices] for response in responses]

    chat_response, streamed = asyncio.run(main())
    assert chat_response == streamed
    return chat_response


@pytest.mark.parametrize("feature", REQUESTS)
def test_what_a_model_is_known_not_to_have_is_noted(feature: str, acme: type[Provider]) -> None:
    request, code, path = REQUESTS[feature]
    assert ask(acme("m", capabilities=NOTHING), request) == [(code, path), ("odd", "")]


@pytest.mark.parametrize("feature", REQUESTS)
def test_a_strict_request_is_refused_before_the_network(feature: str) -> None:
    request, code, _ = REQUESTS[feature]
    strict = ChatRequest(request.messages, tools=request.tools, response_format=request.response_format, strict=True)

    async def main(url: str) -> None:
        async with providers.OpenAI("m", api_key="k", base_url=url, capabilities=NOTHING) as provider:
            with pytest.raises(UnsupportedError, match=r"openai:m can't do .*given as capabilities=") as refused:
                await provider.chat(strict)
            assert [notice.code for notice in refused.value.notices] == [code]
            with pytest.raises(UnsupportedError):
                await provider.stream(strict).response()

    with serve() as server:
        asyncio.run(main(server.url))
    assert server.connections == 0


@pytest.mark.parametrize("feature", REQUESTS)
def test_a_model_that_can_has_no_notice(feature: str, acme: type[Provider]) -> None:
    able = Capabilities(supports_tools=True, supports_vision=True, supports_json_mode=True)
    assert ask(acme("m", capabilities=able), REQUESTS[feature][0]) == [("odd", "")]


@pytest.mark.parametrize("feature", REQUESTS)
def test_nothing_is_said_of_what_nobody_knows(feature: str, acme: type[Provider]) -> None:
    """No hook: tako's default. Another model than the provider's own: nothing is known of it."""

    async def main() -> None:
        request = REQUESTS[feature][0]
        response = await acme("m").chat(request)
        assert [notice.code for notice in response.notices] == ["odd"]
        other = ChatRequest(request.messages, model="other", tools=request.tools)
        response = await acme("m", capabilities=NOTHING).chat(other)
        assert [notice.code for notice in response.notices] == ["odd"]

    asyncio.run(main())


def test_an_assumption_of_a_hook_is_no_knowledge(vendor: Callable[..., type[Provider]]) -> None:
    def assumed() -> Capabilities:
        return Capabilities(origins={"supports_vision": "a table", "supports_tools": ""})

    cls = vendor(tako_chat=tako_chat, tako_stream=tako_stream, tako_capabilities=assumed)
    both = ChatRequest([Message.user([IMAGE])], tools=[Tool("t")])
    streaming = [(notices.MODEL_LACKS_VISION, "messages[0].content[0]"), ("odd", "")]
    assert ask(cls("m"), both) == streaming


def test_what_the_encoding_notes_at_the_same_place_is_said_once(vendor: Callable[..., type[Provider]]) -> None:
    def chat_hook() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            encoding_notice = Notice(notices.UNSUPPORTED_PART, "left out", "messages[0].content[0]")
            return ChatResponse(Message.assistant("ok"), notices=[encoding_notice])

        return chat

    provider = vendor(tako_chat=chat_hook)("m", capabilities=NOTHING)
    response = provider.blocking.chat(REQUESTS["image by address"][0])
    assert [notice.code for notice in response.notices] == [notices.MODEL_LACKS_VISION, notices.UNSUPPORTED_PART]
    response = provider.blocking.chat(ChatRequest([Message.user([IMAGE])]))
    assert [notice.code for notice in response.notices] == [notices.UNSUPPORTED_PART]


def test_a_stream_that_falls_through_to_chat_notes_it_once(vendor: Callable[..., type[Provider]]) -> None:
    provider = vendor(tako_chat=tako_chat)("m", capabilities=Capabilities(supports_streaming=False))
    assert ask(provider, REQUESTS["tools"][0]) == [(notices.MODEL_LACKS_TOOLS, "tools"), ("odd", "")]


def test_a_table_that_knows_better_warns_and_the_request_goes_out_whole() -> None:
    with serve(reply(json={"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]})) as server:
        provider = providers.OpenAI("o3-mini", api_key="k", base_url=server.url)
        response = provider.blocking.chat(ChatRequest([Message.user([IMAGE])]))
    assert [notice.code for notice in response.notices] == [notices.MODEL_LACKS_VISION]
    assert "tako-openai" in response.notices[0].message
    assert server.requests[0].json["messages"][0]["content"][0]["type"] == "image_url"


def test_where_nothing_is_missing_no_layer_is_added(acme: type[Provider]) -> None:
    """The guard hands the inner call and the inner stream on as they are."""
    provider = acme("m", capabilities=Capabilities(supports_streaming=True))
    for hook in (guard.tako_chat, guard.tako_stream):
        value = object()

        def inner(request: ChatRequest, value: object = value) -> object:
            return value

        around: Any = hook(provider)
        next(around)
        with pytest.raises(StopIteration) as bound:
            around.send(inner)
        assert bound.value.value(ChatRequest([Message.user("Hi")])) is value
