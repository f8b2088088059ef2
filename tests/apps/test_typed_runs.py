"""Runs that end with a value of a type, on every provider, by every way of running."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatResponse, Conversation, Delta, FinishReason, InvalidReplyError, Message, RunLimitError, Usage
from tako.errors import ConfigurationError
from tako.parts import ToolCallPart
from tako.providers import Fallback
from tako.runs import RoundEnd, RunEnd, RunResult, ToolEnd, ToolStart
from tako.testing.script import Call, Script
from tako.types import Cost, parsed_as

from .conftest import WIRES
from .kinds import Person

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = '{"name": "Ada", "age": 36}'
ADA = Person("Ada", 36)


def age(name: str) -> int:
    """Return somebody's age."""
    return {"Ada": 36}[name]


CALL = ChatResponse(
    Message.assistant([ToolCallPart("c1", "age", {"name": "Ada"})]), FinishReason.TOOL_CALLS, Usage(10, 5)
)
WRONG = ChatResponse(Message.assistant('{"name": "Ada"}'), usage=Usage(20, 5))


@pytest.mark.parametrize("name", WIRES)
def test_tools_then_a_typed_answer_on_every_provider(name: str, scripted: Callable[..., Any]) -> None:
    script = (Script(calls=(Call("age", {"name": "Ada"}, "id-1"),)), Script(text=GOOD))
    with scripted(name, *script * 3) as (provider, server):
        result = provider.blocking.run("Who is Ada?", tools=[age], response_type=Person)
        with provider.blocking.run_stream("Who is Ada?", tools=[age], response_type=Person) as events:
            seen = list(events)
        awaited = asyncio.run(_awaited(provider))
        sent = server.requests[1].body.decode()
    assert result.parsed == result.response.parsed == events.result().parsed == awaited.parsed == ADA
    assert (result.rounds, len(result.messages)) == (2, 4)
    assert "nick" in sent  # the schema
    assert isinstance(seen[-1], RunEnd)
    assert "".join(event.text or "" for event in seen if isinstance(event, Delta)) == GOOD


async def _awaited(provider: Any) -> RunResult:
    run = provider.run("Who is Ada?", tools=[age], response_type=Person)
    result: RunResult = await run
    return result


def test_an_answer_that_doesnt_fit_is_asked_for_again_and_may_call_tools_again(saying: Callable[..., Any]) -> None:
    provider, seen = saying(CALL, WRONG, CALL, GOOD)
    result = provider.blocking.run("Who?", tools=[age], response_type=Person)
    assert (result.parsed, result.rounds, result.usage) == (ADA, 4, Usage(40, 15))
    assert [message.role for message in result.messages] == [
        *("user", "assistant", "tool", "assistant"),
        *("user", "assistant", "tool", "assistant"),
    ]
    assert "required field `age`" in seen[2].messages[-1].text
    assert [notice.code for notice in result.response.notices] == ["repaired_reply"]


def test_repairs_and_rounds_that_are_used_up_are_an_error_with_everything(saying: Callable[..., Any]) -> None:
    for options, calls in (({"repairs": 0}, 2), ({"repairs": 2}, 4), ({"repairs": 5, "max_rounds": 3}, 3)):
        provider, seen = saying(CALL, WRONG)
        with pytest.raises(InvalidReplyError, match="doesn't fit Person") as caught:
            provider.blocking.run("Who?", tools=[age], response_type=Person, **options)
        error = caught.value
        assert (error.reason, error.response.text, len(seen)) == ("mismatch", WRONG.text, calls)
        assert error.response.usage == Usage(10 + 20 * (calls - 1), 5 * calls)
        assert error.messages[-1] == WRONG.message
    provider, _ = saying(CALL)
    with pytest.raises(RunLimitError, match="max_rounds=2"):
        provider.blocking.run("Who?", tools=[age], response_type=Person, max_rounds=2)


def test_max_cost_holds_before_an_answer_is_asked_for_again(saying: Callable[..., Any]) -> None:
    dear = ChatResponse(WRONG.message, cost=Cost(output=Decimal(3)))
    provider, seen = saying(dear)
    with pytest.raises(RunLimitError, match=r"the run has cost \$3"):
        provider.blocking.run("Who?", response_type=Person, max_cost=2)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("finish", "reason"), [(FinishReason.LENGTH, "length"), (FinishReason.CONTENT_FILTER, "refusal")]
)
def test_refusals_and_cuts_end_a_typed_run(finish: Any, reason: str, saying: Callable[..., Any]) -> None:
    provider, seen = saying(ChatResponse(Message.assistant(GOOD), finish))
    with pytest.raises(InvalidReplyError) as caught:
        provider.blocking.run("Who?", response_type=Person, repairs=3)
    assert (caught.value.reason, len(seen)) == (reason, 1)


def test_a_typed_run_refuses_what_no_typed_chat_takes(saying: Callable[..., Any]) -> None:
    provider, seen = saying(GOOD)
    for options in ({"response_type": 5}, {"response_type": Person, "repairs": -1}):
        with pytest.raises(ConfigurationError):
            provider.blocking.run("Who?", **options)
    assert not seen


def test_the_schema_is_told_in_words_beside_tools_and_isnt_kept(saying: Callable[..., Any]) -> None:
    provider, seen = saying(CALL, GOOD)
    conversation = Conversation(provider, system="Be kind.")
    result = conversation.blocking.run("Who?", tools=[age], response_type=Person)
    assert all('"age"' in request.messages[1].text and request.response_format for request in seen)
    assert [message.role for message in result.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert conversation.messages == result.messages[1:]


def test_a_run_of_a_conversation_has_events_and_is_kept_at_its_end(saying: Callable[..., Any]) -> None:
    provider, _ = saying(CALL, GOOD, CALL, GOOD, CALL, GOOD)
    conversation = Conversation(provider)

    async def watch() -> list[Any]:
        return [event async for event in conversation.run("Who?", tools=[age], response_type=Person).stream()]

    events = asyncio.run(watch())
    assert [type(event) for event in events if not isinstance(event, Delta)] == [
        *(RoundEnd, ToolStart, ToolEnd),
        *(RoundEnd, RunEnd),
    ]
    assert events[-1].result.parsed == ADA
    assert len(conversation.messages) == 4
    with conversation.blocking.run_stream("Who?", tools=[age], response_type=Person) as blocking:
        assert [type(event) for event in blocking] == [type(event) for event in events]
        assert blocking.result().parsed == ADA
    assert len(conversation.messages) == 8
    assert asyncio.run(_run(conversation)).parsed == ADA
    assert len(conversation.messages) == 12
    assert conversation.usage == Usage(30, 15)


async def _run(conversation: Conversation) -> RunResult:
    return await conversation.run("Who?", tools=[age], response_type=Person)


def test_a_run_that_is_left_isnt_kept_and_the_next_turn_may_begin_at_once(saying: Callable[..., Any]) -> None:
    provider, _ = saying(CALL, "ok")
    conversation = Conversation(provider)

    async def leave() -> None:
        async for _ in conversation.run("Who?", tools=[age]).stream():
            break
        await conversation.say("Hi")
        async for _ in conversation.stream("Left").text:
            break
        await conversation.say("More")

    asyncio.run(leave())
    assert [message.text for message in conversation.messages] == ["Hi", "ok", "More", "ok"]


def test_blocking_runs_that_are_left_or_fail_say_so(saying: Callable[..., Any]) -> None:
    provider, seen = saying(CALL)
    with provider.blocking.run_stream("Who?", tools=[age]):
        pass
    assert not seen
    with pytest.raises(RunLimitError), provider.blocking.run_stream("Who?", tools=[age], max_rounds=1) as events:
        list(events)
    with pytest.raises(TypeError, match="pickled"):
        events.__reduce__()


def test_a_fallback_runs_and_its_answer_is_typed(saying: Callable[..., Any]) -> None:
    provider, _ = saying(CALL, GOOD)
    assert Fallback([provider]).blocking.run("Who?", tools=[age], response_type=Person).parsed == ADA


def test_a_result_is_written_down_without_its_value(saying: Callable[..., Any]) -> None:
    provider, _ = saying(GOOD)
    result = provider.blocking.run("Who?", response_type=Person)
    assert "parsed" not in str(result.to_dict())
    assert result.to_dict()["response"]["message"]["role"] == "assistant"
    assert parsed_as(result.response, 5).parsed == 5
    assert result.parsed == ADA
