"""Conversations that go on: a reply goes back as it came, and results go out as they are."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako.json_values import as_array, as_object
from tako.parts import ReasoningPart
from tako.state import Origin
from tako.testing.script import Call, Script
from tako.testing.suite.check import CheckFailed, NotApplicable, check, expect, expect_equal
from tako.testing.suite.harness import Harness, within
from tako.types import ChatRequest, Message, Role, Tool

if TYPE_CHECKING:
    from tako.provider import Provider
    from tako.testing.dialects.dialect import Seen
    from tako.types import ChatResponse

TOOLS = [
    Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}}),
    Tool("time", "Tells the time."),
]
ROME, OSLO = Call("weather", {"city": "Rome"}, "call_A1"), Call("time", {"zone": "CET"}, "call_B2")
RESULTS: tuple[Any, ...] = ({"sky": None, "dry": True}, [1.5, "it's", False], "plain text", 42, None)


class GoingBack(Harness):
    """What goes out again."""

    @check("scripted")
    async def test_request_unchanged(self) -> None:
        """A request is the caller's own: nothing of it is changed, its tools' schemas and ``extra`` included."""
        messages = [Message.system("Be brief."), Message.user([*Message.user("Hi").parts])]
        request = ChatRequest(messages, tools=TOOLS, metadata={"a": "b"}, extra={"conformance": {"x": [1]}})
        before = deepcopy(request)
        async with self.scripted_provider(Script(text="ok")) as (provider, _):
            await self.responses_by_way(provider, request)
        expect_equal(request, before, "the caller's request after it was answered")

    @check("scripted", "tools")
    async def test_turn_goes_back(self) -> None:
        """A reply goes back as it came: the same parts in the same order, be it whole, streamed, or read from JSON."""
        script = Script(text="I look.", reasoning=self._reasoning(), signature="c2VhbA==", calls=(ROME, OSLO))
        async with self.scripted_provider(script) as (provider, server):
            turns: dict[str, list[Seen]] = {}
            for way, response in (
                await self.responses_by_way(provider, ChatRequest([Message.user("?")], tools=TOOLS))
            ).items():
                for stored in (response.message, _through_json(response.message)):
                    await provider.chat(_with_results(response, stored))
                    seen = self.vendor.read(server.requests[-1])
                    turns[way] = [part for part in seen.parts if part.role == "assistant"]
                    texts = [part.value for part in turns[way] if part.kind == "text"]
                    expect_equal(texts, ["I look."], f"{way}: text that went back")
                    calls = [part.value for part in turns[way] if part.kind == "call"]
                    expect_equal(calls, [ROME.args, OSLO.args], f"{way}: calls that went back")
        first, *others = ([replace(part, id="") for part in turn] for turn in turns.values())
        for other in others:
            expect_equal(other, first, "a turn that was streamed, against that of a whole reply")

    @check("scripted")
    async def test_blocks_stay_apart(self) -> None:
        """Texts that are blocks of their own stay so, and a block that nobody knows goes back in its place."""
        if "blocks" not in self.vendor.traits:
            raise NotApplicable("this wire has no blocks")
        script = Script(text="First-text.", unknown=True, more=("Then-text.", "Last-text."))
        marks = ["First-text.", self.vendor.unknown_mark, "Then-text.", "Last-text."]
        async with self.scripted_provider(script) as (provider, server):
            for way, response in (await self.responses_by_way(provider, self.hello)).items():
                expect_equal(len(response.message.parts), 4, f"{way}: parts of a reply with four blocks")
                await provider.chat([*self.hello.messages, _through_json(response.message), Message.user("And?")])
                body = server.requests[-1].body.decode()
                places = [body.find(mark) for mark in marks]
                lost = [mark for mark, place in zip(marks, places, strict=True) if place < 0]
                expect(not lost, f"{way}: {lost} didn't go back")
                expect_equal(places, sorted(places), f"{way}: the places of blocks that went back")

    @check("scripted")
    async def test_origin(self) -> None:
        """A reply says who answered, and state says who made it."""
        script = Script(text="Hello.", reasoning=self._reasoning(), signature="c2VhbA==")
        async with self.scripted_provider(script) as (provider, _):
            for way, response in (await self.responses_by_way(provider, self.hello)).items():
                expect_equal(response.provider, provider.id, f"{way}: who answered")
                for part in response.message.parts:
                    if part.state is not None:
                        origin, own = part.state.origin, Origin(provider.name, provider.model)
                        expect(own.matches(origin), f"{way}: a {type(part).__name__} has the origin {origin}")
                    elif isinstance(part, ReasoningPart):
                        subject = f"{way}: reasoning has no state, so that it never goes back"
                        expect("state" not in self.vendor.traits, subject)

    @check("scripted", "tools")
    async def test_results(self) -> None:
        """Results go out in their order: text as it is, other values as JSON and not as Python's repr."""
        for value in RESULTS:
            async with self.scripted_provider(Script(calls=(ROME, OSLO)), Script(text="ok")) as (provider, server):
                response = await provider.chat(ChatRequest([Message.user("?")], tools=TOOLS))
                first, second = response.tool_calls
                results = [Message.tool(first.id, value), Message.tool(second.id, "second")]
                await provider.chat(ChatRequest([Message.user("?"), response.message, *results], tools=TOOLS))
                sent = self.vendor.read(server.requests[-1]).of("result")
                expect_equal(len(sent), 2, "results on the wire")
                expect(_contains(sent[0].value, value), f"the result {value!r} was sent as {sent[0].value!r}")
                expect(_contains(sent[1].value, "second"), f"results are out of order: second is {sent[1].value!r}")
        async with self.scripted_provider(Script(calls=(ROME, OSLO)), Script(text="ok")) as (provider, server):
            response = await provider.chat(ChatRequest([Message.user("?")], tools=TOOLS))
            parts = [part for call in response.tool_calls for part in Message.tool(call.id, call.name).parts]
            turns = [Message.user("?"), response.message, Message(Role.TOOL, parts)]
            await provider.chat(ChatRequest(turns, tools=TOOLS))
            sent = self.vendor.read(server.requests[-1]).of("result")
            expect_equal(len(sent), 2, "results of one message, on the wire")

    @check("scripted", "tools", "notices")
    async def test_error_results(self) -> None:
        """A result that is an error is told from one that is none, or a notice says that the wire has no such mark."""
        bodies: list[bytes] = []
        noted = False
        for is_error in (False, True):
            async with self.scripted_provider(Script(calls=(ROME,)), Script(text="ok")) as (provider, server):
                response = await provider.chat(ChatRequest([Message.user("?")], tools=TOOLS))
                failed = Message.tool(response.tool_calls[0].id, "no such town", is_error=is_error)
                answer = await provider.chat(ChatRequest([Message.user("?"), response.message, failed], tools=TOOLS))
                bodies.append(server.requests[-1].body)
                noted = any(notice.code == "error_flag" for notice in answer.notices)
        expect(bodies[0] != bodies[1] or noted, "is_error was lost without a notice")

    @check("scripted", "tools")
    async def test_two_rounds(self) -> None:
        """A conversation of two rounds of tools goes out whole: both calls, each with its result."""
        async with self.scripted_provider(Script(calls=(ROME,)), Script(calls=(OSLO,)), Script(text="Done.")) as (
            provider,
            server,
        ):
            history = [Message.user("?")]
            for result in ("sunny", "noon"):
                response = await provider.chat(ChatRequest(history, tools=TOOLS))
                expect_equal(len(response.tool_calls), 1, "calls of one round")
                history = [*history, response.message, Message.tool(response.tool_calls[0].id, result)]
            final = await provider.chat(ChatRequest(history, tools=TOOLS))
            expect_equal(final.text, "Done.", "the answer after two rounds")
            sent = self.vendor.read(server.requests[-1])
        kinds = [part.kind for part in sent.parts if part.kind in ("call", "result")]
        expect_equal(kinds, ["call", "result", "call", "result"], "calls and results on the wire")
        expect_equal([part.value for part in sent.of("call")], [ROME.args, OSLO.args], "the calls on the wire")
        for part, result in zip(sent.of("result"), ("sunny", "noon"), strict=True):
            expect(_contains(part.value, result), f"the result {result!r} was sent as {part.value!r}")

    @check("scripted", "bytes")
    async def test_cancelled(self) -> None:
        """A call or a stream that is cancelled raises CancelledError; it never turns into a reply."""
        for way, call in (("chat", self._chat), ("stream", self._streamed)):
            if way == "chat" or self.streaming:
                async with self.scripted_provider(self.vendor.pieces([], ending="hang")) as (provider, server):
                    task = asyncio.ensure_future(call(provider))
                    while not server.requests and not task.done():  # noqa: ASYNC110 - another thread changes it
                        await asyncio.sleep(0.005)
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        answer = await within(self.patience, task, f"{way}: cancelling")
                        raise CheckFailed(f"{way}: what was cancelled passed for a success: {answer.message!r}")

    async def _chat(self, provider: Provider) -> ChatResponse:
        return await provider.chat(self.hello)

    async def _streamed(self, provider: Provider) -> ChatResponse:
        return await provider.stream(self.hello).response()

    def _reasoning(self) -> str:
        return "Rome it is." if "reasoning" in self.vendor.traits and "reasoning" not in self.not_applicable else ""


def _through_json(message: Message) -> Message:
    return msgspec.json.decode(msgspec.json.encode(message), type=Message)


def _with_results(response: ChatResponse, message: Message) -> ChatRequest:
    results = [Message.tool(call.id, "fine") for call in response.tool_calls]
    return ChatRequest([Message.user("?"), message, *results], tools=TOOLS)


def _contains(block: Any, value: Any) -> bool:
    """Whether what went out is a value: itself, its JSON as text, or an object or a block that holds it."""
    if block == value and isinstance(block, bool) == isinstance(value, bool):
        return True
    if isinstance(block, str):
        try:
            return bool(msgspec.json.decode(block) == value) and not isinstance(value, str)
        except msgspec.DecodeError:
            return False
    inner = (as_object(block) or {}).values() or as_array(block) or ()
    return any(_contains(one, value) for one in inner)
