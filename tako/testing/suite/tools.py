"""Tools: offered, called, called in parallel, and their arguments in any split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import StreamTruncatedError
from tako.testing.script import Call, Script
from tako.testing.suite.check import CheckFailed, NotApplicable, check, expect, expect_equal
from tako.testing.suite.harness import Harness, chunks_of, error_of
from tako.types import ChatRequest, Delta, FinishReason, Message, Tool

if TYPE_CHECKING:
    from tako.types import Chunk

SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": "a town"}}, "required": ["city"]}
REQUEST = ChatRequest(
    [Message.user("Weather?")], tools=[Tool("weather", "Tells the weather.", SCHEMA), Tool("getTime")]
)


class Tools(Harness):
    """What a model may call."""

    @check("scripted", "tools")
    async def test_tools_are_offered(self) -> None:
        """Tools go out with their names, descriptions and schemas."""
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            await self.responses_by_way(provider, REQUEST)
            for request in server.requests:
                tools = self.vendor.read(request).tools
                expect_equal(sorted(tools), ["getTime", "weather"], "the tools on the wire")
                expect_equal(tools["weather"]["properties"], SCHEMA["properties"], "a tool's schema on the wire")
                expect(b"Tells the weather." in request.body, "a tool's description didn't go out")

    @check("scripted", "tools", "notices")
    async def test_tool_choice(self) -> None:
        """``tool_choice`` goes out as it is, a tool's name included, or a notice says that it cannot."""
        sent: list[bool] = []
        for choice in ("required", "weather", "none"):
            request_with_choice = ChatRequest(REQUEST.messages, tools=REQUEST.tools, tool_choice=choice)
            async with self.scripted_provider(Script(text="ok")) as (provider, server):
                for way, response in (await self.responses_by_way(provider, request_with_choice)).items():
                    read = self.vendor.read(server.requests[-1])
                    sent_choice = read.parameters.get("tool_choice")
                    there = sent_choice is not None or (choice == "none" and not read.tools)
                    noted = any(notice.path == "tool_choice" for notice in response.notices)
                    expect(there or noted, f"{way}: tool_choice={choice!r} was lost without a notice")
                    named = choice != "weather" or b'"weather"' in msgspec.json.encode(sent_choice)
                    expect(
                        named or noted, f"{way}: tool_choice={choice!r} was sent as {sent_choice!r} without a notice"
                    )
                    sent.append(there)
        self.observe("tool_choice", "sent" if all(sent) else "left out with a notice")

    @check("scripted", "tools", "notices")
    async def test_parallel_tool_calls(self) -> None:
        """``parallel_tool_calls=False`` goes out, or a notice says that it cannot."""
        one = msgspec.structs.replace(REQUEST, parallel_tool_calls=False)
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            await self.responses_by_way(provider, REQUEST)
            before = [request.body for request in server.requests]
            for n, (way, response) in enumerate((await self.responses_by_way(provider, one)).items()):
                there = server.requests[len(before) + n].body != before[n]
                noted = any(notice.path == "parallel_tool_calls" for notice in response.notices)
                expect(there or noted, f"{way}: parallel_tool_calls=False was lost without a notice")

    @check("scripted", "tools")
    async def test_tool_call(self) -> None:
        """A call arrives with its id, its name and its parsed arguments, and is the finish reason."""
        call = Call("weather", {"city": "Köln", "id": 2**53 + 1, "deep": {"a": [1, None, True, 2.5]}}, "call_A1")
        async with self.scripted_provider(Script(calls=(call,))) as (provider, _):
            for way, response in (await self.responses_by_way(provider, REQUEST)).items():
                expect_equal(len(response.tool_calls), 1, f"{way}: the number of calls")
                part = response.tool_calls[0]
                expect_equal((part.id, part.name, part.args), ("call_A1", "weather", call.args), f"{way}: the call")
                expect_equal(response.finish_reason, FinishReason.TOOL_CALLS, f"{way}: the finish reason of a call")

    @check("scripted", "tools")
    async def test_text_beside_calls(self) -> None:
        """Text that comes before calls is kept, and the calls too."""
        script = Script(text="I will look.", calls=(Call("weather", {"city": "Rome"}, "call_A1"),))
        async with self.scripted_provider(script) as (provider, _):
            for way, response in (await self.responses_by_way(provider, REQUEST)).items():
                expect_equal(response.text, "I will look.", f"{way}: the text beside a call")
                expect_equal(len(response.tool_calls), 1, f"{way}: the number of calls beside text")

    @check("scripted", "tools")
    async def test_parallel_calls(self) -> None:
        """Calls at once stay apart and in order, be they of one tool, and though their pieces alternate."""
        cities = ["Rome", "Oslo", "Lima"]
        calls = tuple(Call("weather", {"city": city}, f"call_{city}") for city in cities)
        async with self.scripted_provider(Script(calls=calls, split=3, interleave=True)) as (provider, _):
            for way, response in (await self.responses_by_way(provider, REQUEST)).items():
                args = [call.args for call in response.tool_calls]
                expect_equal(args, [{"city": city} for city in cities], f"{way}: the arguments of parallel calls")
                expect_equal(
                    [call.id for call in response.tool_calls], [call.id for call in calls], f"{way}: their ids"
                )
            if self.streaming:
                expect_equal(_indexes(await chunks_of(provider, REQUEST)), [0, 1, 2], "the indexes of parallel calls")

    @check("scripted", "tools", "bytes")
    async def test_call_ids(self) -> None:
        """Every call has an id of its own, whether the vendor sends none or the same one twice."""
        for id in ("", "call_dup"):
            calls = (Call("weather", {"city": "Rome"}, id), Call("time", {"zone": "UTC"}, id))
            async with self.scripted_provider(Script(calls=calls)) as (provider, _):
                for way, response in (await self.responses_by_way(provider, REQUEST)).items():
                    ids = [call.id for call in response.tool_calls]
                    expect(
                        len(ids) == len(set(ids)) == len(calls) and all(ids),
                        f"{way}: ids of calls aren't unique: {ids}",
                    )
                    expect_equal([call.name for call in response.tool_calls], ["weather", "time"], f"{way}: the names")

    @check("scripted", "tools", "streaming")
    async def test_arguments_split(self) -> None:
        """Streamed arguments are put together whatever the pieces are."""
        args: dict[str, Any] = {"city": 'Kö"ln\n世界 👩‍👧', "n": -1.5e10, "list": [{"a": {}}, [], ""]}
        for split in (1, 2, 3, 7, 1000):
            script = Script(calls=(Call("weather", args, "call_A1"), Call("time", {}, "call_B2")), split=split)
            async with self.scripted_provider(script) as (provider, _):
                response = await provider.stream(REQUEST).response()
            expect_equal([call.args for call in response.tool_calls], [args, {}], f"arguments in pieces of {split}")

    @check("scripted", "tools")
    async def test_arguments_invalid(self) -> None:
        """Arguments that are no JSON are handed over as the text that they are, neither repaired nor dropped."""
        if "argument_text" not in self.vendor.traits:
            raise NotApplicable("arguments are objects on this wire, which are valid or no reply at all")
        text = '{"city": "Ro'
        async with self.scripted_provider(Script(calls=(Call("weather", text, "call_A1"),))) as (provider, _):
            for way, response in (await self.responses_by_way(provider, REQUEST)).items():
                expect_equal([call.args for call in response.tool_calls], [text], f"{way}: arguments that are no JSON")

    @check("scripted", "bytes", "tools", "streaming")
    async def test_cut_call(self) -> None:
        """A call whose arguments are cut is never handed over: the stream fails, its partial reply is without it."""
        calls = (Call("weather", {"city": "Rome", "days": 3}, "call_A1"), Call("time", {"zone": "UTC"}, "call_B2"))
        events = self.vendor.events(Script(text="I look.", calls=calls, split=4))
        complete_calls = {call.id: call.args for call in calls}
        cuts = range(2, self.vendor.complete_after(events) - 1)
        answers = [self.vendor.pieces(events[:count], ending="cut") for count in cuts]
        async with self.scripted_provider(*answers, Script(), max_retries=0) as (provider, _):
            for count in cuts:
                error = await error_of(lambda: provider.stream(REQUEST).response(), f"a stream cut after event {count}")
                if not isinstance(error, StreamTruncatedError) or error.partial is None:
                    raise CheckFailed(
                        f"a stream cut after event {count} is a {type(error).__name__} without a partial reply"
                    )
                for call in error.partial.tool_calls:
                    expect_equal(
                        call.args, complete_calls.get(call.id), f"a cut call was handed over after event {count}"
                    )


def _indexes(chunks: list[Chunk]) -> list[int]:
    return sorted({piece.index for chunk in chunks if isinstance(chunk, Delta) for piece in chunk.tool_calls})
