"""A router between OpenAI and Anthropic: who answered, what it cost, and whose state goes where."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from tako import Capabilities, ChatRequest, Message
from tako.providers import Anthropic, OpenAI, PythonProvider
from tako.testing.dialects import MESSAGES, RESPONSES, Script
from tako.testing.server import serve

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako import Chunk

OURS = Script(text="From OpenAI.", reasoning="A thought of one.", signature="b3BlbmFp")
THEIRS = Script(text="From Claude.", reasoning="A thought of two.", signature="Y2xhdWRl")


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
def test_each_vendor_gets_its_own_state_alone_and_is_named_and_paid(streamed: bool) -> None:
    with serve(RESPONSES.answer(OURS)) as openai, serve(MESSAGES.answer(THEIRS)) as anthropic:
        priced = {"usd_per_input_mtok": 1.0, "usd_per_output_mtok": 2.0}
        members: list[Any] = [
            OpenAI(
                "gpt-6.2-sol", api_key="k", base_url=openai.url, api="responses", capabilities=Capabilities(**priced)
            ),
            Anthropic("claude-opus-5-5", api_key="k", base_url=anthropic.url),
        ]
        turn = 0

        async def chat(request: ChatRequest) -> Any:
            return await members[turn % 2].chat(request)

        async def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
            async with aclosing(members[turn % 2].stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk

        router = PythonProvider("router", chat, stream=stream)
        history = [Message.user("Hi")]
        answers = []
        for turn in range(4):  # noqa: B007 - the router reads it
            chat_request = ChatRequest(list(history))
            response = (
                router.blocking.stream(chat_request).response() if streamed else router.blocking.chat(chat_request)
            )
            answers.append(response)
            history += [response.message, Message.user("And?")]
        router.blocking.close()
    names = ["openai:gpt-6.2-sol", "anthropic:claude-opus-5-5"]
    assert [answer.provider for answer in answers] == names * 2
    assert [answer.cost == members[n % 2].capabilities.cost(answer.usage) for n, answer in enumerate(answers)] == [
        True
    ] * 4
    assert all(answer.cost is not None for answer in answers)
    assert {notice.code for answer in answers for notice in answer.notices} == {"foreign_state"}
    last_of_openai, last_of_anthropic = (server.requests[-1].body for server in (openai, anthropic))
    assert (b"b3BlbmFp" in last_of_openai, b"Y2xhdWRl" in last_of_openai) == (True, False)
    assert (b"b3BlbmFp" in last_of_anthropic, b"Y2xhdWRl" in last_of_anthropic) == (False, True)
    assert b"From Claude." in last_of_openai
    assert b"From OpenAI." in last_of_anthropic
