"""Conversations: which messages are kept, what goes out, and the JSON that later versions still read."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

import tako
from tako import ChatRequest, ChatResponse, ContentPart, Conversation, FinishReason, InvalidReplyError, Message, Usage
from tako.conversation import History
from tako.errors import ConfigurationError, ServerError
from tako.parts import Part, ToolCallPart
from tako.testing.script import Script
from tako.types import Cost

from .conftest import WIRES

if TYPE_CHECKING:
    from collections.abc import Callable

WRITTEN = Path(__file__).parent / "conversation-1.json"
HI, OK, MORE = Message.user("Hi"), Message.assistant("ok"), Message.user("More")


def test_an_id_is_no_provider() -> None:
    with pytest.raises(ConfigurationError, match=r"is a str, not a provider: use tako.get_provider\(…\)"):
        Conversation("openai:m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - what people try


def test_every_request_has_all_messages_so_far(saying: Callable[..., Any]) -> None:
    provider, seen = saying("ok")
    conversation = Conversation(provider, system="Be brief.", temperature=0)
    conversation.blocking.say("Hi")
    conversation.blocking.say("More", temperature=1)
    system = Message.system("Be brief.")
    assert [request.messages for request in seen] == [[system, HI], [system, HI, seen[1].messages[2], MORE]]
    assert [request.temperature for request in seen] == [0, 1]
    assert [message.text for message in conversation.messages] == ["Hi", "ok", "More", "ok"]
    several = Conversation(provider, headers={"X-A": "1", "x-b": "1"}, seed=1)
    several.blocking.say("Hi", headers={"x-a": "2"}, seed=None)
    assert (dict(seen[2].headers), seen[2].seed) == ({"x-b": "1", "x-a": "2"}, 1)
    assert (conversation.system, repr(conversation)) == ("Be brief.", "<Conversation with p: 4 messages>")


@pytest.mark.parametrize("name", WIRES)
def test_turns_go_on_with_every_provider(name: str, scripted: Callable[..., Any]) -> None:
    with scripted(name, Script(text="ok", split=1)) as (provider, server):
        conversation = Conversation(provider, system="Be brief.")

        async def talk() -> None:
            await conversation.say("First")
            assert "".join([text async for text in conversation.stream("Second").text]) == "ok"
            await conversation.say([ContentPart.text("Third")])

        asyncio.run(talk())
        last = server.requests[-1].body.decode()
    assert [message.text for message in conversation.messages] == ["First", "ok", "Second", "ok", "Third", "ok"]
    assert all(part_of_text in last for part_of_text in ("Be brief.", "First", "Second", "Third"))
    assert conversation.usage.input_tokens == 33


def test_a_turn_that_fails_isnt_kept(saying: Callable[..., Any]) -> None:
    def fail(request: ChatRequest) -> Any:
        raise ServerError("down")

    provider, _ = saying("ok", fail, fail, "ok")
    conversation = Conversation(provider)
    conversation.blocking.say("Hi")
    for turn in (conversation.blocking.say, lambda text: conversation.blocking.stream(text).response()):
        with pytest.raises(ServerError):
            turn("Lost")
    conversation.blocking.say("More")
    assert [message.text for message in conversation.messages] == ["Hi", "ok", "More", "ok"]


def test_a_stream_that_is_left_isnt_kept(saying: Callable[..., Any]) -> None:
    provider, _ = saying(ChatResponse(Message.assistant([ContentPart.text("a"), ContentPart.text("b")])), "ok")
    conversation = Conversation(provider)

    async def leave() -> None:
        async with conversation.stream("Left") as stream:
            await anext(stream)
        assert conversation.messages == []
        assert (await conversation.say("Hi")).text == "ok"

    asyncio.run(leave())


def test_typed_turns_keep_what_fits(saying: Callable[..., Any]) -> None:
    provider, seen = saying('{"value": "x"}', '{"value": 1}', '{"value": 2}', '{"value": "y"}')
    conversation = Conversation(provider)
    assert conversation.blocking.say("One", response_type=int).parsed == 1
    assert list(conversation.blocking.stream("Two", response_type=int).partials) == [2]
    with pytest.raises(InvalidReplyError):
        list(conversation.blocking.stream("Three", response_type=int).partials)
    assert [message.text for message in conversation.messages] == ["One", '{"value": 1}', "Two", '{"value": 2}']
    assert len(seen) == 4


def test_runs_keep_calls_and_results(saying: Callable[..., Any]) -> None:
    call = ChatResponse(Message.assistant([ToolCallPart("1", "clock", {})]), FinishReason.TOOL_CALLS, Usage(1, 1))

    def clock() -> str:
        return "noon"

    provider, seen = saying(call, "It's noon.", "ok")
    conversation = Conversation(provider, system="Be brief.", tools=[clock])
    assert conversation.blocking.run("Time?").text == "It's noon."
    conversation.blocking.say("Thanks")
    assert [message.role for message in conversation.messages] == [
        *["user", "assistant", "tool", "assistant"],
        *["user", "assistant"],
    ]
    assert len(seen[-1].messages) == 6
    assert conversation.usage == Usage(1, 1)


def test_usage_and_cost_are_sums(saying: Callable[..., Any]) -> None:
    priced = ChatResponse(OK, usage=Usage(1, 2), cost=Cost(output=Decimal(3)))
    provider, _ = saying(priced, priced, "unpriced")
    conversation = Conversation(provider)
    assert conversation.cost is None
    conversation.blocking.say("Hi")
    conversation.blocking.say("Hi")
    assert (conversation.usage, conversation.cost) == (Usage(2, 4), Cost(output=Decimal(6)))
    conversation.blocking.say("Hi")
    assert conversation.cost is None


def test_one_turn_at_a_time(saying: Callable[..., Any]) -> None:
    provider, _ = saying("ok")
    conversation = Conversation(provider)

    async def both() -> list[Any]:
        return await asyncio.gather(conversation.say("One"), conversation.say("Two"), return_exceptions=True)

    first, second = asyncio.run(both())
    assert first.text == "ok"
    assert isinstance(second, ConfigurationError)
    assert "still going on" in str(second)
    assert [message.text for message in conversation.messages] == ["One", "ok"]


def test_a_turn_that_was_made_before_another_one_is_refused_and_loses_nothing(saying: Callable[..., Any]) -> None:
    provider, seen = saying("ok")
    conversation = Conversation(provider)
    stream = conversation.blocking.stream("Early")
    typed = conversation.blocking.stream("Early", response_type=int)
    run = conversation.run("Early")
    conversation.blocking.say("One")
    for read in (stream.response, typed.response, lambda: asyncio.run(run.result())):
        with pytest.raises(ConfigurationError, match="make it again"):
            read()
    assert [message.text for message in conversation.messages] == ["One", "ok"]
    assert len(seen) == 1


def test_a_conversation_goes_through_json(saying: Callable[..., Any]) -> None:
    provider, seen = saying("ok")
    conversation = Conversation(provider, system="Be brief.")
    conversation.blocking.say("Hi")
    again = Conversation.from_json(provider, conversation.to_json(), temperature=0)
    assert (again.messages, again.system) == (conversation.messages, "Be brief.")
    again.blocking.say("More")
    assert (len(seen[-1].messages), seen[-1].temperature) == (4, 0)
    assert Conversation.from_json(provider, conversation.to_json().encode(), system="Other.").system == "Other."


def test_what_version_1_wrote_is_read_and_written_again_as_it_was(saying: Callable[..., Any]) -> None:
    provider, _ = saying("ok")
    text = WRITTEN.read_text()
    conversation = Conversation.from_json(provider, text)
    kinds = {part["type"] for message in json.loads(text)["messages"] for part in message["content"]}
    assert kinds == {cls.__struct_config__.tag for cls in get_args(Part)}
    before, after = json.loads(text), json.loads(conversation.to_json())

    def contains(old: Any, new: Any) -> bool:
        """Whether all that was written is written again; new fields may have come."""
        if isinstance(old, dict):
            return isinstance(new, dict) and all(key in new and contains(old[key], new[key]) for key in old)
        if isinstance(old, list):
            return len(old) == len(new) and all(map(contains, old, new))
        return bool(old == new)

    assert contains(before, after)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "isn't the JSON of a conversation"),
        ("[]", "Expected `object`, got `array`"),
        ('{"kind": "tako.conversation"}', "required field `version`"),
        ('{"kind": "other", "version": 1, "messages": []}', "Invalid value 'other'"),
        ('{"kind": "tako.conversation", "version": 2, "messages": []}', "written by a later tako (version 2)"),
        (
            '{"kind": "tako.conversation", "version": 1, "messages": [{"role": "boss", "content": ""}]}',
            "$.messages[0].role",
        ),
        (None, "isn't the JSON of a conversation"),
        ("[" * 100_000, "isn't the JSON of a conversation"),
    ],
)
def test_what_isnt_a_conversation_is_refused_in_one_line(text: Any, message: str, saying: Callable[..., Any]) -> None:
    provider, _ = saying("ok")
    with pytest.raises(ConfigurationError) as caught:
        Conversation.from_json(provider, text)
    assert message in str(caught.value)


def test_what_cant_be_a_turn_is_refused_and_not_kept(saying: Callable[..., Any]) -> None:
    provider, seen = saying("ok")
    conversation = tako.Conversation(provider)
    with pytest.raises(ConfigurationError, match="temprature"):
        Conversation(provider, temprature=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigurationError, match="'response_type'; give it to chat, say or run"):
        Conversation(provider, response_type=int)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigurationError, match="provider is a str"):
        Conversation("openai:gpt-6")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for turn in (5, None, [5]):
        with pytest.raises(ConfigurationError):
            conversation.blocking.say(turn)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"messages\[0\] is an int"):
        Conversation(provider, messages=[5])  # type: ignore[list-item]
    assert conversation.messages == []
    assert not seen
    assert msgspec.json.decode(conversation.to_json(), type=History) == History(1, [])
