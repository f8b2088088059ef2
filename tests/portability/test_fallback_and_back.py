"""A fallback from OpenAI to Anthropic and back: costs, names and reasoning are each vendor's own, on each wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tako import Capabilities, ChatRequest, Message
from tako.providers import Anthropic, Fallback, OpenAI
from tako.testing.dialects import MESSAGES, RESPONSES, Call, Script
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from tako.testing.server import Received, Reply

ROME = Call("weather", {"city": "Rome"}, "call_Rome")
OURS = Script(text="From OpenAI.", reasoning="A thought of one.", signature="b3BlbmFp", calls=(ROME,))
THEIRS = Script(text="From Claude.", reasoning="A thought of two.", signature="Y2xhdWRl")
FAILING = (1, 2)
"""The requests to which OpenAI answers 500."""


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
def test_each_vendor_gets_its_own_reasoning_back_and_is_named_and_paid(streamed: bool) -> None:
    turn = 0

    def openai_answers(request: Received) -> Reply:
        if turn in FAILING:
            return reply(json={"error": {"message": "not now"}}, status=500)
        return RESPONSES.answer(OURS)(request)

    with serve(openai_answers) as openai, serve(MESSAGES.answer(THEIRS)) as anthropic:
        prices: Any = {"usd_per_input_mtok": 1.0, "usd_per_output_mtok": 2.0}
        options: Any = {"api_key": "k", "max_retries": 0}
        one = OpenAI(
            "gpt-6.2-sol", base_url=openai.url, api="responses", capabilities=Capabilities(**prices), **options
        )
        other = Anthropic("claude-opus-5-5", base_url=anthropic.url, **options)
        provider = Fallback([one, other], pause=0).blocking
        history = [Message.user("Hi")]
        answers = []
        for turn in range(5):  # noqa: B007 - the vendor reads it
            chat_request = ChatRequest(list(history))
            response = provider.stream(chat_request).response() if streamed else provider.chat(chat_request)
            answers.append(response)
            results = [Message.tool(call.id, "dry") for call in response.tool_calls]
            history += [response.message, *(results or [Message.user("And?")])]
        provider.close()
    names = [answer.provider for answer in answers]
    claude, gpt = "anthropic:claude-opus-5-5", "openai:gpt-6.2-sol"
    assert names == [gpt, claude, claude, gpt, gpt]
    for answer, name in zip(answers, names, strict=True):
        assert answer.cost is not None
        assert answer.cost == (one if name == gpt else other).capabilities.cost(answer.usage)
        assert answer.reasoning == (OURS if name == gpt else THEIRS).reasoning
    sent = {"openai": [request.body for request in openai.requests], "anthropic": [r.body for r in anthropic.requests]}
    assert not any(b"Y2xhdWRl" in body or b"thought of two" in body for body in sent["openai"])
    assert not any(b"b3BlbmFp" in body or b"thought of one" in body for body in sent["anthropic"])
    assert b"b3BlbmFp" in sent["openai"][-1]
    assert b"From Claude." in sent["openai"][-1]
    assert b"Y2xhdWRl" in sent["anthropic"][-1]
    assert b"From OpenAI." in sent["anthropic"][-1]
