"""Around: edit, repeat, skip, watch; and tako's own checks, which nobody gets around."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
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
    Translator,
    hookimpl,
)
from tako.errors import NotFoundError, ServerError, StreamTruncatedError
from tako.parts import ImagePart, TextPart
from tako.testing.server import reply, serve

from .builders import able, ask, listen, plugin, saying, streaming

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


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
    assert seen == [Delta("a"), Delta("b"), End(provider="acme:m")]


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
