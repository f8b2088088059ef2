"""Requests: every part goes out or is noted, and what came back can go out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError, UnsupportedError
from tako.json_values import as_object
from tako.parts import ContentPart, Part, ReasoningPart, TextPart
from tako.state import Origin, State
from tako.testing.script import Call, Script
from tako.testing.suite.check import CheckFailed, NotApplicable, check, expect, expect_equal
from tako.testing.suite.harness import Harness, error_of
from tako.types import ChatRequest, JsonSchema, Message, Tool

if TYPE_CHECKING:
    from tako.testing.dialects.dialect import Asked
    from tako.types import ChatResponse, Notice

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TIFF = "SUkqAAgAAAAAAAAAbWFya2Vy"
WEATHER = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
PARAMETERS: dict[str, Any] = {"temperature": 0.5, "top_p": 0.96, "max_tokens": 77, "stop": ["END", "HALT"], "seed": 5}
ZEROS: dict[str, Any] = {"temperature": 0.0, "seed": 0}
"""Values that a plugin easily takes for none."""
LOSSY = ChatRequest([Message.user([ContentPart.text("What is this?"), ContentPart.image("image/tiff", TIFF)])])

NOTHING: dict[str, list[Message]] = {
    "an empty text": [Message.user("")],
    "an empty message": [Message.user([])],
    "an image that no vendor takes": [Message.user([ContentPart.image("image/tiff", TIFF)])],
}
"""Messages of which nothing is left to send."""


class Conversations(Harness):
    """What goes out."""

    @check("scripted")
    async def test_conversation(self) -> None:
        """All turns go out, in order and by their roles, each of them once."""
        expected = [("system", "Be brief-0."), ("user", "First-1?"), ("assistant", "Answer-2."), ("user", "Second-3?")]
        makers = {"system": Message.system, "user": Message.user, "assistant": Message.assistant}
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            await self.responses_by_way(provider, ChatRequest([makers[role](text) for role, text in expected]))
            for request in server.requests:
                seen = self.vendor.read(request).of("text")
                expect_equal([(part.role, part.value) for part in seen], expected, "the turns on the wire")
            two = [Message.system("rule-one"), Message.system("rule-two"), Message.user("Hi")]
            for way in await self.responses_by_way(provider, ChatRequest(two)):
                for rule in (b"rule-one", b"rule-two"):
                    expect(rule in server.requests[-1].body, f"{way}: one of two system messages did not go out")

    @check("scripted", "notices")
    async def test_parameters(self) -> None:
        """Temperature, top_p, max_tokens, stop, seed and metadata go out, or notices say that they cannot."""
        request_with_parameters = ChatRequest([Message.user("Hi")], metadata={"user_id": "marker-7f"}, **PARAMETERS)
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            carried: set[str] = set()
            for way, response in (await self.responses_by_way(provider, request_with_parameters)).items():
                for request in server.requests:
                    parameters = self.vendor.read(request).parameters
                    carried = parameters.keys() & PARAMETERS.keys()
                    for name in carried:
                        expect_equal(parameters[name], PARAMETERS[name], f"{way}: {name} on the wire")
                    missing: set[str] = set() if b"marker-7f" in request.body else {"metadata"}
                    _check_accounted(PARAMETERS.keys() - carried | missing, response.notices, way)
            for way in await self.responses_by_way(provider, ChatRequest([Message.user("Hi")], **ZEROS)):
                parameters = self.vendor.read(server.requests[-1]).parameters
                for name in carried & ZEROS.keys():
                    expect_equal(parameters.get(name), ZEROS[name], f"{way}: {name} on the wire")
        self.observe("parameters", ", ".join(sorted(carried)))

    @check("scripted")
    async def test_nothing_added(self) -> None:
        """A parameter that a request doesn't set stays with the vendor; only max_tokens may have a value of yours."""
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            await self.responses_by_way(provider, ChatRequest([Message.user("Hi")]))
            for request in server.requests:
                parameters = self.vendor.read(request).parameters
                added = {name: parameters[name] for name in parameters if name in PARAMETERS and name != "max_tokens"}
                expect_equal(added, {}, "parameters that nobody set, on the wire")

    @check("scripted", "notices")
    async def test_response_format(self) -> None:
        """A JSON schema goes out, or a notice says that it cannot."""
        schema = JsonSchema("answer", {"type": "object", "properties": {"marker_7f": {"type": "string"}}})
        there = False
        async with self.scripted_provider(Script(text="{}")) as (provider, server):
            for way, response in (
                await self.responses_by_way(provider, ChatRequest([Message.user("Hi")], response_format=schema))
            ).items():
                there = b"marker_7f" in server.requests[-1].body
                _check_accounted(set() if there else {"response_format"}, response.notices, way)
        self.observe("JSON schema", "sent" if there else "left out with a notice")

    @check("scripted", "notices")
    async def test_reasoning_effort(self) -> None:
        """``reasoning`` goes out, or a notice says that it cannot."""
        thoughtful = ChatRequest([Message.user("Hi")], reasoning="low")
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            await self.responses_by_way(provider, ChatRequest([Message.user("Hi")]))
            before = [request.body for request in server.requests]
            for n, (way, response) in enumerate((await self.responses_by_way(provider, thoughtful)).items()):
                there = server.requests[len(before) + n].body != before[n]
                noted = any(notice.path == "reasoning" for notice in response.notices)
                expect(there or noted, f"{way}: reasoning was lost without a notice")
                self.observe("reasoning effort", "sent" if there else "left out with a notice")

    @check("scripted", "bytes")
    async def test_extra(self) -> None:
        """``extra`` is merged into the body last: it can add, and it can replace."""
        extra = {"conformance_extra": {"a": {"b": 1}}}
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            await self.responses_by_way(provider, ChatRequest([Message.user("Hi")], extra=extra))
            for request in server.requests:
                expect_equal(request.json.get("conformance_extra"), {"a": {"b": 1}}, "extra on the wire")
            await provider.chat(ChatRequest([Message.user("Hi")], max_tokens=771))
            path = _path_of(server.requests[-1].json, 771)
            if path:  # else the wire has no such parameter
                other = ChatRequest([Message.user("Hi")], max_tokens=771, extra=_nested(path, 772))
                for way in await self.responses_by_way(provider, other):
                    expect_equal(_path_of(server.requests[-1].json, 772), path, f"{way}: where extra replaced a value")
                    expect(_path_of(server.requests[-1].json, 771) is None, f"{way}: extra didn't replace a value")

    @check("scripted", "notices")
    async def test_parts_add_up(self) -> None:
        """Every part of a request is on the wire, or a notice at its place says that it is not; none raises."""
        conversation, markers = _all_parts()
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            for way, response in (
                await self.responses_by_way(provider, ChatRequest(conversation, tools=[WEATHER]))
            ).items():
                body = server.requests[-1].body.decode()
                for path, marker in markers.items():
                    noted = any(notice.path.startswith(path) for notice in response.notices)
                    expect(marker in body or noted, f"{way}: {path} ({marker}) was lost without a notice")
                    expect(body.count(marker) < 2, f"{way}: {path} ({marker}) went out twice")  # noqa: PLR2004 - twice

    @check("scripted", "notices")
    async def test_notices(self) -> None:
        """What the wire cannot carry is left out with a notice: code, text, path and provider, also of a stream."""
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            for way, response in (await self.responses_by_way(provider, LOSSY)).items():
                notices = [notice for notice in response.notices if notice.path.startswith("messages[0].content[1]")]
                expect(notices, f"{way}: an image that no vendor takes was left out without a notice")
                for notice in notices:
                    expect(notice.code and notice.message, f"{way}: {notice!r} has no code or no text")
                    expect_equal(notice.provider, provider.name, f"{way}: the provider of a notice")
            expect(not any(TIFF.encode() in request.body for request in server.requests), "the noted image went out")

    @check("scripted", "notices")
    async def test_strict(self) -> None:
        """With ``strict`` what would be left out is an UnsupportedError before the network, with the notices on it."""
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            for way, call in self.calls_by_way(provider, msgspec.structs.replace(LOSSY, strict=True)).items():
                error = await error_of(call, f"{way}: a strict request that loses an image")
                if not isinstance(error, UnsupportedError):
                    raise CheckFailed(f"{way}: a strict request that loses an image is a {type(error).__name__}")
                expect(error.notices, f"{way}: the UnsupportedError has no notices")
            expect_equal(len(server.requests), 0, "requests that went out in spite of strict")

    @check("notices")
    async def test_nothing_to_send(self) -> None:
        """A request of which nothing is left is a ConfigurationError before anything is sent."""
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            for name, messages in NOTHING.items():
                for way, call in self.calls_by_way(provider, ChatRequest(messages)).items():
                    error = await error_of(call, f"{way}: {name} and nothing else")
                    if not isinstance(error, ConfigurationError):
                        raise CheckFailed(f"{way}: {name} and nothing else is {type(error).__name__}: {error}")
            expect_equal(len(server.requests), 0, "requests with nothing in them")

    @check("scripted")
    async def test_strict_without_loss(self) -> None:
        """A strict request that loses nothing is answered like any other."""
        strict_request = ChatRequest([Message.user("Hi")], strict=True)
        async with self.scripted_provider(Script(text="ok")) as (provider, _):
            for way, response in (await self.responses_by_way(provider, strict_request)).items():
                expect_equal(response.text, "ok", f"{way}: the answer to a strict request")

    @check("notices")
    async def test_foreign_state(self) -> None:
        """Reasoning of another provider stays behind, with a notice."""
        state = State(Origin("some-other-vendor"), {"signature": "foreign-signature"})
        thought = ReasoningPart("foreign-thought", state)
        history = [Message.user("Hi"), Message.assistant([thought, TextPart("Hello.")]), *self.hello.messages]
        async with self.scripted_provider(Script(text="ok")) as (provider, server):
            for way, response in (
                await self.responses_by_way(provider, msgspec.structs.replace(self.hello, messages=history))
            ).items():
                _check_accounted({"messages[1].content[0]"}, response.notices, way)
            expect(not any(b"foreign-" in request.body for request in server.requests), "foreign reasoning went out")

    @check("scripted", "tools")
    async def test_history(self) -> None:
        """A reply with calls goes back after a journey through JSON, each result with its call."""
        calls = (Call("weather", {"city": "Rome"}, "call_A1"), Call("weather", {"city": "Oslo"}, "call_B2"))
        async with self.scripted_provider(Script(text="I look.", calls=calls)) as (provider, server):
            first = await self.responses_by_way(provider, ChatRequest([Message.user("Weather?")], tools=[WEATHER]))
            for way, response in first.items():
                answer = await provider.chat(_follow_up(response))
                received = self.vendor.read(server.requests[-1])
                expect_equal(
                    [call.value for call in received.of("call")], [call.args for call in calls], f"{way}: calls"
                )
                _check_pairs(received, way)
                expect_equal(answer.notices, [], f"{way}: notices on the way back")

    @check("scripted", "state", "tools", "reasoning")
    async def test_opaque_state(self) -> None:
        """Opaque state of the vendor's goes back unchanged, from a whole reply and from a stream."""
        if "state" not in self.vendor.traits:
            raise NotApplicable("this wire has no opaque state")
        script = Script(
            text="I look.",
            reasoning="Rome it is.",
            signature="c3RhdGUtbWFya2Vy",
            calls=(Call("weather", {"city": "Rome"}, "call_A1"),),
        )
        async with self.scripted_provider(script) as (provider, server):
            for way, response in (
                await self.responses_by_way(provider, ChatRequest([Message.user("Weather?")], tools=[WEATHER]))
            ).items():
                await provider.chat(_follow_up(response))
                count = server.requests[-1].body.count(b"c3RhdGUtbWFya2Vy")
                expect_equal(count, 1, f"{way}: how often the state went back")


def _path_of(value: Any, number: int) -> list[str] | None:
    """Find the keys that lead to a number in a body."""
    for key, inner in (as_object(value) or {}).items():
        if inner == number and not isinstance(inner, bool):
            return [key]
        if (rest := _path_of(inner, number)) is not None:
            return [key, *rest]
    return None


def _nested(path: list[str], value: int) -> dict[str, Any]:
    key, *rest = path
    return {key: _nested(rest, value) if rest else value}


def _check_accounted(paths: set[str], notices: list[Notice], way: str) -> None:
    for path in paths:
        expect(any(notice.path.startswith(path) for notice in notices), f"{way}: {path} was lost without a notice")


def _follow_up(response: ChatResponse) -> ChatRequest:
    """Send a reply back with the results of its calls, as an application does that keeps its history as JSON."""
    message = msgspec.json.decode(msgspec.json.encode(response.message), type=Message)
    expect_equal(message, response.message, "a message after a journey through JSON")
    results = [Message.tool(call.id, f"result of {call.args['city']}") for call in response.tool_calls]
    return ChatRequest([Message.user("Weather?"), message, *results], tools=[WEATHER])


def _check_pairs(received: Asked, way: str) -> None:
    calls, results = received.of("call"), received.of("result")
    expect_equal(len(results), len(calls), f"{way}: results on the wire")
    expect_equal([part.id for part in results], [part.id for part in calls], f"{way}: ids of results, against calls'")
    for call, result in zip(calls, results, strict=True):
        text = msgspec.json.encode(result.value).decode()
        expect(call.value["city"] in text, f"{way}: the result of {call.value} is {text}")


def _all_parts() -> tuple[list[Message], dict[str, str]]:
    """Return a conversation of every kind of part, and a marker of each by its path."""
    head: list[Part] = [TextPart("marker-text-1"), ContentPart.image("image/png", PIXEL), TextPart("marker-text-2")]
    images: list[Part] = [
        ContentPart.image("image/tiff", TIFF),
        ContentPart.image("image/jpeg", "not base64!"),
        ContentPart.image_url("https://example.com/marker-url.png"),
        ContentPart.image_url("ftp://example.com/marker-ftp.png"),
        TextPart(""),
    ]
    user_parts: list[Part] = [
        ReasoningPart("marker-reasoning", State(Origin("some-other-vendor"))),
        TextPart("marker-text-3"),
        ContentPart.tool_call("call_A1", "weather", {"city": "marker-args"}),
    ]
    lost: list[Part] = [ContentPart.tool_result("no-such-call", "marker-orphan"), TextPart("marker-text-4")]
    conversation = [
        Message.system("marker-system"),
        Message.user([*head, *images]),
        Message.assistant(user_parts),
        Message.tool("call_A1", {"sky": "marker-result"}),
        Message.user(lost),
    ]
    markers = {
        "messages[0].content[0]": "marker-system",
        "messages[1].content[0]": "marker-text-1",
        "messages[1].content[1]": PIXEL,
        "messages[1].content[2]": "marker-text-2",
        "messages[1].content[3]": TIFF,
        "messages[1].content[4]": "not base64!",
        "messages[1].content[5]": "marker-url",
        "messages[1].content[6]": "marker-ftp",
        "messages[1].content[7]": "a text without text",
        "messages[2].content[0]": "marker-reasoning",
        "messages[2].content[1]": "marker-text-3",
        "messages[2].content[2]": "marker-args",
        "messages[3].content[0]": "marker-result",
        "messages[4].content[0]": "marker-orphan",
        "messages[4].content[1]": "marker-text-4",
    }
    return conversation, markers
