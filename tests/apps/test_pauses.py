"""Replies that the vendor pauses: what goes on by itself, and what is kept."""

from __future__ import annotations

import asyncio
import copy
import pickle
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tako import ChatResponse, Conversation, FinishReason, Message, Origin, State, Usage
from tako.parts import TextPart, VendorPart
from tako.pauses import MAX_PAUSES
from tako.types import Cost

from .kinds import Person

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = '{"name": "Ada", "age": 36}'
SEARCH = VendorPart("server_tool_use", State(Origin("claude"), {"type": "server_tool_use"}))
PAUSE = ChatResponse(
    Message.assistant([TextPart("I'll search."), SEARCH]), FinishReason.PAUSE, Usage(1, 2), cost=Cost(output=Decimal(1))
)
DONE = ChatResponse(Message.assistant([TextPart("Found.")]), usage=Usage(3, 4), cost=Cost(output=Decimal(2)))
PARTS = [TextPart("I'll search."), SEARCH, TextPart("I'll search."), SEARCH, TextPart("Found.")]


def test_a_turn_of_a_conversation_goes_on_and_is_kept_whole(saying: Callable[..., Any]) -> None:
    for stream in (False, True):
        provider, seen = saying(PAUSE, PAUSE, DONE, "ok")
        talk = Conversation(provider, system="Be brief.")
        response = talk.blocking.stream("Go").response() if stream else talk.blocking.say("Go")
        assert response.message.parts == PARTS
        assert (response.finish_reason, response.usage) == (FinishReason.STOP, Usage(5, 8))
        assert response.cost == talk.cost == Cost(output=Decimal(4))
        assert talk.messages == [Message.user("Go"), response.message]
        assert [len(request.messages) for request in seen] == [2, 3, 4]
        assert [request.messages[0] for request in seen] == [Message.system("Be brief.")] * 3
        talk.blocking.say("More")
        assert seen[-1].messages[1:] == [Message.user("Go"), response.message, Message.user("More")]


def test_a_typed_reply_is_what_comes_after_the_search(saying: Callable[..., Any]) -> None:
    parts = [TextPart("I'll search."), SEARCH, TextPart(GOOD[:9]), TextPart(GOOD[9:])]
    once = ChatResponse(Message.assistant([*parts]))
    for replies in ((once,), (PAUSE, once), (PAUSE, GOOD)):
        provider, _ = saying(*replies)
        assert provider.blocking.chat("Who?", response_type=Person, repairs=0).parsed == Person("Ada", 36)
        provider, _ = saying(*replies)
        stream = provider.blocking.stream("Who?", response_type=Person)
        assert list(stream.partials)[-1] == stream.response().parsed == Person("Ada", 36)
        provider, _ = saying(*replies)
        talk = Conversation(provider)
        assert talk.blocking.say("Who?", response_type=Person, repairs=0).parsed == Person("Ada", 36)
        assert talk.messages[1].parts[1] == SEARCH
        provider, _ = saying(*replies)
        talk = Conversation(provider)
        assert list(talk.blocking.stream("Who?", response_type=Person).partials)[-1] == Person("Ada", 36)
        assert talk.messages[1].parts[1] == SEARCH


def test_a_vendor_that_never_stops_pausing_is_left(saying: Callable[..., Any]) -> None:
    provider, seen = saying(PAUSE)
    assert Conversation(provider).blocking.say("Go").finish_reason is FinishReason.PAUSE
    assert len(seen) == MAX_PAUSES + 1
    assert Conversation(provider).blocking.stream("Go").response().finish_reason is FinishReason.PAUSE
    assert len(seen) == 2 * (MAX_PAUSES + 1)


def test_a_chat_hands_a_pause_to_its_caller(saying: Callable[..., Any]) -> None:
    provider, seen = saying(PAUSE, DONE)
    assert provider.blocking.chat("Go").finish_reason is FinishReason.PAUSE
    assert len(seen) == 1


def test_parsed_survives_copies_and_changes_of_a_response(saying: Callable[..., Any]) -> None:
    provider, _ = saying(GOOD)
    response = provider.blocking.chat("Who?", response_type=Person)
    for again in (
        msgspec.structs.replace(response, id="mine", notices=[]),
        copy.copy(response),
        copy.deepcopy(response),
    ):
        assert again.parsed == Person("Ada", 36)
    assert pickle.loads(pickle.dumps(response)).parsed is None
    assert "parsed" not in repr(response)
    other = msgspec.structs.replace(response, message=Message.assistant("Something else"))
    assert other.parsed is None


def test_replies_that_share_a_message_have_values_of_their_own(saying: Callable[..., Any]) -> None:
    provider, _ = saying(ChatResponse(Message.assistant("7")))

    async def both() -> list[Any]:
        return await asyncio.gather(provider.chat("Go", response_type=int), provider.chat("Go", response_type=float))

    complete, broken = asyncio.run(both())
    assert (type(complete.parsed), type(broken.parsed)) == (int, float)
