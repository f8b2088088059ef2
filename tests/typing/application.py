"""What application developers write; checked by mypy and pyright, strictly, and never run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_type

from msgspec import Struct

import tako
from tako import (
    Capabilities,
    ChatRequest,
    ChatResponse,
    ChatStream,
    ContentPart,
    Delta,
    End,
    FinishReason,
    JsonSchema,
    Message,
    Notice,
    Provider,
    Role,
    Tool,
    UrlPrefetch,
    Usage,
)
from tako.errors import InvalidReplyError, ProviderError, RateLimitError, StreamTruncatedError
from tako.parts import ToolCallPart
from tako.runs import RunEnd, RunEvent, RunResult, ToolEnd, ToolStart
from tako.types import Cost


async def call() -> None:
    provider = tako.providers.OpenAI("gpt-5", api_key="$ENV:KEY", timeout=30, headers={"x-team": "a"}, max_retries=3)
    assert_type(provider, tako.providers.OpenAI)
    response = await provider.chat("hello")
    assert_type(response, ChatResponse)
    assert_type(response.text, str)
    assert_type(response.tool_calls, list[ToolCallPart])
    assert_type(response.usage, Usage)
    assert_type(response.usage.total, int)
    assert_type(response.finish_reason, FinishReason)
    assert_type(response.notices, list[Notice])
    assert_type(provider.capabilities, Capabilities)
    assert_type(tako.get_provider("anthropic:claude", api_key="k"), Provider)


async def ask_in_full(provider: Provider) -> ChatResponse:
    return await provider.chat(
        ChatRequest(
            [
                Message.system("Be brief."),
                Message(Role.USER, [ContentPart.text("What is this?"), ContentPart.image("image/png", "…")]),
                Message.assistant([ContentPart.tool_call("1", "look", {"at": "it"})]),
                Message.tool("1", {"seen": True}),
            ],
            tools=[Tool("look", "Look at it", {"type": "object"})],
            tool_choice="auto",
            temperature=0.0,
            max_tokens=100,
            stop=["\n"],
            response_format=JsonSchema("answer", {"type": "object"}),
            reasoning="low",
            extra={"user": "me"},
            strict=True,
        )
    )


async def ask_by_keywords(provider: Provider) -> None:
    fixed = tako.providers.OpenAI("gpt-5", api_key="k", defaults={"temperature": 0, "headers": {"x-team": "a"}})
    assert_type(
        await fixed.chat("hi", system="Be kind.", tools=[Tool("look")], timeout=30, headers={"a": "b"}), ChatResponse
    )
    assert_type(provider.stream("hi", temperature=0), ChatStream)
    provider.blocking.chat("hi", stop=["."], extra={"user": {"id": 1}})
    tako.providers.Fallback([fixed], order="rotate", defaults={"seed": 1})
    await provider.chat("hi", temprature=0)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


@dataclass
class Person:
    name: str
    age: int


class Place(Struct):
    name: str


async def ask_for_types(provider: Provider) -> None:
    assert_type((await provider.chat("hi", response_type=Person, temperature=0)).parsed, Person)
    assert_type((await provider.chat("hi", response_type=list[Person], repairs=2)).parsed, list[Person])
    assert_type((await provider.chat("hi", response_type=Place)).parsed, Place)
    assert_type((await provider.chat("hi", response_type=int)).parsed, int)
    either: ChatResponse[Person | Place] = await provider.chat("hi", response_type=Person | Place)
    assert_type(either.parsed, Person | Place)
    plain: ChatResponse = await provider.chat("hi", response_type=Person)
    assert_type(plain.text, str)
    async with provider.stream("hi", response_type=Person) as stream:
        async for person in stream.partials:
            assert_type(person, Person)
        assert_type((await stream.response()).parsed, Person)
    assert_type(provider.blocking.chat("hi", response_type=Place).parsed, Place)
    for place in provider.blocking.stream("hi", response_type=Place).partials:
        assert_type(place, Place)
    try:
        await provider.chat("hi", response_type=Person)
    except InvalidReplyError as error:
        assert_type(error.response, ChatResponse)
        assert_type(error.reason, str)


def look(at: str) -> str:
    return at


async def run_tools(provider: Provider) -> None:
    def approve(call: ToolCallPart) -> bool | str:
        return call.name == "look" or "No."

    result = await provider.run("hi", tools=[look, Tool.of(look)], max_rounds=3, max_cost=1.5, approve=approve)
    assert_type(result, RunResult)
    assert_type(result.response, ChatResponse)
    assert_type(result.messages, list[Message])
    assert_type(result.cost, Cost | None)
    async for event in provider.run("hi", tools=[look]).stream():
        match event:
            case Delta(text=str() as text):
                assert_type(text, str)
            case ToolStart(call) | ToolEnd(call):
                assert_type(call, ToolCallPart)
            case RunEnd(last):
                assert_type(last, RunResult)
            case _:
                pass
    assert_type(provider.blocking.run("hi", tools=[look]), RunResult)
    with provider.blocking.run_stream("hi", tools=[look], response_type=Person) as events:
        assert_type([event for event in events if isinstance(event, Delta)], list[Delta])
        assert_type(events.result().parsed, Person)
    assert_type((await provider.run("hi", tools=[look], response_type=Person, repairs=2)).parsed, Person)
    assert_type(provider.blocking.run("hi", response_type=list[Place]).response.parsed, list[Place])
    await provider.chat("hi", tools=[look])


async def talk(provider: Provider) -> None:
    conversation = tako.Conversation(provider, system="Be kind.", temperature=0)
    assert_type(await conversation.say("hi"), ChatResponse)
    assert_type((await conversation.say("hi", response_type=Person)).parsed, Person)
    async for text in conversation.stream("hi").text:
        assert_type(text, str)
    assert_type(await conversation.run("hi", tools=[look]), RunResult)
    assert_type((await conversation.run("hi", response_type=Person)).parsed, Person)
    assert_type(conversation.blocking.run("hi", response_type=Place).parsed, Place)
    async for event in conversation.run("hi", tools=[look]).stream():
        assert_type(event, RunEvent)
    assert_type(conversation.messages, list[Message])
    assert_type(conversation.blocking.say("hi"), ChatResponse)
    again = tako.Conversation.from_json(provider, conversation.to_json())
    assert_type(again, tako.Conversation)


async def stream(provider: Provider) -> None:
    async with provider.stream([Message.user("hi")]) as chunks:
        assert_type(chunks, ChatStream)
        async for chunk in chunks:
            if chunk.kind == "delta":
                assert_type(chunk, Delta)
                assert_type(chunk.text, str | None)
            else:
                assert_type(chunk, End)
                assert_type(chunk.usage, Usage)
    assert_type(await chunks.response(), ChatResponse)
    async for text in provider.stream("hi").text:
        assert_type(text, str)


def block(provider: Provider, printed: list[object]) -> None:
    assert_type(provider.blocking.chat("hi"), ChatResponse)
    with provider.blocking.stream("hi") as chunks:
        for chunk in chunks:
            match chunk:
                case Delta(text=str() as text):
                    printed.append(text)
                case End(usage=usage):
                    printed.append(usage.total)
                case _:
                    pass
        assert_type(chunks.response(), ChatResponse)


async def fail(provider: Provider) -> None:
    try:
        await provider.chat("hi")
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
        await asyncio.sleep(error.retry_after or 1)
    except StreamTruncatedError as error:
        assert_type(error.partial, ChatResponse | None)
    except ProviderError as error:
        assert_type(error.status_code, int | None)
        assert_type(error.retryable, bool)


policy = UrlPrefetch(timeout=3.0, allow_hosts=("*.example.com",))
