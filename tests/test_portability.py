"""One conversation wanders through all vendors, twice: each gets the whole of it in an order that it accepts, its own
opaque state comes back to it as it was minted, and nobody else sees that.

The vendors are servers that answer 400 to what the real ones refuse; the rules are in ``Vendor.check`` of each.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest

from tako import ChatRequest, ContentPart, Message, Provider, Role, Tool, notices
from tako.parts import ImagePart, ImageUrlPart, ReasoningPart, ToolCallPart, ToolResultPart
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import Received, Reply, reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
TOOLS = [Tool("look", "Looks", {"type": "object", "properties": {"at": {"type": "string"}}}), Tool("wait", "Waits")]


class Vendor:
    """A strict server: ``check`` refuses a body, ``turn`` makes the n-th answer as the wire has it."""

    name = ""
    options: ClassVar[Json] = {}

    def __init__(self) -> None:
        self.minted: list[Json] = []
        self.bodies: list[Json] = []

    def __call__(self, request: Received) -> Reply:
        body = request.json
        try:
            self.check(body)
            turns = self.turns(body)
            for turn in self.minted:
                assert turn in turns, f"a turn did not come back as it was minted: {turn} is not among {turns}"
        except AssertionError as refusal:
            return reply(json={"error": {"message": str(refusal)}, "message": str(refusal)}, status=400)
        self.bodies.append(body)
        turn = self.turn(len(self.minted))
        self.minted.append(turn)
        streamed = body.get("stream") or "stream" in request.path.rpartition("/")[2].lower()
        return self.stream(turn) if streamed else reply(json=self.whole(turn))

    def sign(self, what: str) -> str:
        return f"{what}-of-{self.name}-{len(self.minted)}"

    def turns(self, body: Json) -> list[Json]:
        return list(body["messages"])

    def check(self, body: Json) -> None:
        raise AssertionError(self.name)

    def turn(self, n: int) -> Json:
        raise AssertionError(self.name)

    def whole(self, turn: Json) -> Json:
        raise AssertionError(self.name)

    def stream(self, turn: Json) -> Reply:
        raise AssertionError(self.name)


def only(value: Json, *keys: str) -> None:
    assert value.keys() <= set(keys), f"unknown keys {value.keys() - set(keys)}"


def is_png(data: str) -> None:
    assert b64decode(data, validate=True).startswith(b"\x89PNG"), "not base64 of a PNG"


class OpenAI(Vendor):
    name = "openai"
    fields: tuple[str, ...] = ("model", "messages", "tools", "stream", "stream_options")
    id = re.compile(r".{1,40}")

    def check(self, body: Json) -> None:
        only(body, *self.fields)
        waiting: list[str] = []
        for message in body["messages"]:
            role = message["role"]
            assert bool(waiting) == (role == "tool"), f"{role} while {waiting} wait for answers"
            if role == "tool":
                only(message, "role", "tool_call_id", "content")
                assert isinstance(message["content"], str)
                waiting.remove(message["tool_call_id"])
                continue
            only(message, "role", "content", *(("tool_calls",) if role == "assistant" else ()))
            assert message.get("content") or message.get("tool_calls"), "empty content"
            for call in message.get("tool_calls", ()):
                only(call, "id", "type", "function")
                assert self.id.fullmatch(call["id"]), f"the id {call['id']!r}"
                assert call["id"] not in waiting, "an id twice"
                assert isinstance(msgspec.json.decode(call["function"]["arguments"]), dict)
                waiting.append(call["id"])
            if isinstance(message["content"], list):
                for block in message["content"]:
                    self.check_block(role, block)
        assert not waiting, "unanswered calls"
        assert body["messages"][-1]["role"] == "user"

    def check_block(self, role: str, block: Json) -> None:
        if block["type"] == "image_url":
            only(block, "type", "image_url")
            only(block["image_url"], "url")
            assert role == "user"
            if not block["image_url"]["url"].startswith("https://"):
                is_png(block["image_url"]["url"].removeprefix("data:image/png;base64,"))
        else:
            only(block, "type", "text")
            assert block["text"], "empty text"

    def turn(self, n: int) -> Json:
        return {"role": "assistant", "content": f"Answer {n}.", "tool_calls": self.calls(n)}

    def calls(self, n: int) -> list[Json]:
        return [
            {"id": self.call_id(n, 0), "type": "function", "function": {"name": "look", "arguments": '{"at":"it"}'}},
            {"id": self.call_id(n, 1), "type": "function", "function": {"name": "wait", "arguments": "{}"}},
        ]

    def call_id(self, n: int, k: int) -> str:
        return f"call_{self.name}_{n}{k}"

    def whole(self, turn: Json) -> Json:
        return {"choices": [{"message": turn, "finish_reason": "tool_calls"}]}

    def stream(self, turn: Json) -> Reply:
        pieces: list[Json] = [{"role": "assistant", "content": ""}]
        content = turn["content"]
        pieces += [{"content": content}] if isinstance(content, str) else [{"content": [block]} for block in content]
        for index, call in enumerate(turn["tool_calls"]):
            text = call["function"]["arguments"]
            head = {"name": call["function"]["name"], "arguments": ""}
            pieces.append({"tool_calls": [{**call, "index": index, "function": head}]})
            pieces += [{"tool_calls": [{"index": index, "function": {"arguments": letter}}]} for letter in text]
        chunks = [{"choices": [{"index": 0, "delta": piece}]} for piece in pieces]
        return reply(sse(*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}))


class Azure(OpenAI):
    name = "azure-openai"


class Mistral(OpenAI):
    """Ids of nine letters and digits; no user straight after a tool; thinking is a chunk of the content."""

    name = "mistral"
    fields = ("model", "messages", "tools", "stream")
    id = re.compile(r"[a-zA-Z0-9]{9}")

    def check(self, body: Json) -> None:
        super().check(body)
        for before, after in zip(body["messages"], body["messages"][1:], strict=False):
            assert (before["role"], after["role"]) != ("tool", "user"), "Unexpected role user after role tool"

    def check_block(self, role: str, block: Json) -> None:
        if block["type"] != "thinking":
            return super().check_block(role, block)
        only(block, "type", "thinking", "signature", "closed")
        assert role == "assistant"
        return None

    def call_id(self, n: int, k: int) -> str:
        return f"Mistral{n}{k}"

    def turn(self, n: int) -> Json:
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": self.sign("thought")}], "closed": True}
        signed = {**thought, "signature": self.sign("state")}
        return {**super().turn(n), "content": [signed, {"type": "text", "text": f"Answer {n}."}]}


class Anthropic(Vendor):
    name = "anthropic"

    def check(self, body: Json) -> None:
        only(body, "model", "max_tokens", "messages", "tools", "stream")
        waiting: list[str] = []
        ids: set[str] = set()
        expected = "user"
        for message in body["messages"]:
            only(message, "role", "content")
            assert message["role"] == expected, "roles must alternate, the user's first"
            expected = "assistant" if expected == "user" else "user"
            content = message["content"]
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            assert blocks, "empty content"
            answers = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
            assert sorted(answers) == sorted(waiting), f"{waiting} were answered by {answers}"
            assert all(block["type"] == "tool_result" for block in blocks[: len(answers)]), "results come first"
            waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
            assert not ids.intersection(waiting), "an id twice"
            ids.update(waiting)
            for block in blocks:
                self.check_block(message["role"], block)
        assert not waiting, "unanswered calls"

    def check_block(self, role: str, block: Json) -> None:
        match block["type"]:
            case "text":
                only(block, "type", "text")
                assert block["text"].strip(), "text content blocks must be non-empty"
            case "image":
                only(block, "type", "source")
                assert role == "user"
                if block["source"]["type"] == "base64":
                    is_png(block["source"]["data"])
            case "tool_use":
                only(block, "type", "id", "name", "input")
                assert role == "assistant"
                assert re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]), f"the id {block['id']!r}"
                assert isinstance(block["input"], dict)
            case "tool_result":
                only(block, "type", "tool_use_id", "content")
                for inner in block["content"] if isinstance(block["content"], list) else []:
                    self.check_block(role, inner)
            case "thinking":
                only(block, "type", "thinking", "signature")
                assert self.name in block["signature"], "Invalid `signature` in `thinking` block"
            case kind:
                assert kind == "redacted_thinking"
                assert self.name in block["data"]

    def turn(self, n: int) -> Json:
        content = [
            {"type": "thinking", "thinking": self.sign("thought"), "signature": self.sign("state")},
            {"type": "redacted_thinking", "data": self.sign("redacted")},
            {"type": "text", "text": f"Answer {n}."},
            {"type": "tool_use", "id": f"toolu_{n}0", "name": "look", "input": {"at": "it"}},
            {"type": "tool_use", "id": f"toolu_{n}1", "name": "wait", "input": {}},
        ]
        return {"role": "assistant", "content": content}

    def whole(self, turn: Json) -> Json:
        return {"type": "message", "stop_reason": "tool_use", "usage": {}, **turn}

    def stream(self, turn: Json) -> Reply:
        events: list[Json] = [{"type": "message_start", "message": {"usage": {}, "content": []}}]
        for index, block in enumerate(turn["content"]):
            start, deltas = self._pieces(block)
            events.append({"type": "content_block_start", "index": index, "content_block": start})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        events += [
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
            {"type": "message_stop"},
        ]
        return reply([b"event: %s\n" % made["type"].encode() + sse(made, done=False)[0] for made in events])

    def _pieces(self, block: Json) -> tuple[Json, list[Json]]:
        match block["type"]:
            case "thinking":
                said = [{"type": "thinking_delta", "thinking": letter} for letter in block["thinking"]]
                signed = {"type": "signature_delta", "signature": block["signature"]}
                return {"type": "thinking", "thinking": "", "signature": ""}, [*said, signed]
            case "text":
                return {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}]
            case "tool_use":
                text = msgspec.json.encode(block["input"]).decode() if block["input"] else ""
                return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text}]
            case _:
                return block, []


class Ollama(Vendor):
    name = "ollama"

    def check(self, body: Json) -> None:
        only(body, "model", "messages", "tools", "stream")
        waiting: list[str] = []
        for message in body["messages"]:
            only(message, "role", "content", "images", "tool_calls", "thinking", "tool_name")
            assert isinstance(message["content"], str)
            assert bool(waiting) == (message["role"] == "tool"), f"{message['role']} while {waiting} wait"
            if message["role"] == "tool":
                assert message["tool_name"] == waiting.pop(0), "results in the order of the calls"
            for image in message.get("images", ()):
                is_png(image)
            for call in message.get("tool_calls", ()):
                only(call, "function")
                assert isinstance(call["function"]["arguments"], dict)
                waiting.append(call["function"]["name"])
            assert message["role"] != "assistant" or self.name in message.get("thinking", self.name)
        assert not waiting, "unanswered calls"

    def turn(self, n: int) -> Json:
        functions = [{"name": "look", "arguments": {"at": "it"}}, {"name": "wait", "arguments": {}}]
        calls = [{"function": function} for function in functions]
        return {"role": "assistant", "content": f"Answer {n}.", "thinking": self.sign("thought"), "tool_calls": calls}

    def whole(self, turn: Json) -> Json:
        return {"model": "m", "message": turn, "done": True, "done_reason": "stop"}

    def stream(self, turn: Json) -> Reply:
        said = [{key: turn[key]} for key in ("thinking", "content")]
        said += [{"content": "", "tool_calls": [call]} for call in turn["tool_calls"]]
        lines = [{"message": {"role": "assistant", "content": "", **one}, "done": False} for one in said]
        lines.append({"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"})
        return reply([msgspec.json.encode(line) + b"\n" for line in lines])


class Bedrock(Vendor):
    name = "bedrock"

    def check(self, body: Json) -> None:
        only(body, "messages", "toolConfig")
        waiting: list[str] = []
        expected = "user"
        for message in body["messages"]:
            only(message, "role", "content")
            assert message["role"] == expected, "roles must alternate, the user's first"
            expected = "assistant" if expected == "user" else "user"
            assert message["content"], "empty content"
            answers = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
            assert sorted(answers) == sorted(waiting), f"{waiting} were answered by {answers}"
            waiting = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
            for block in message["content"]:
                self.check_block(message["role"], block)
        assert not waiting, "unanswered calls"
        assert body["toolConfig"]["tools"], "tool blocks need toolConfig"

    def check_block(self, role: str, block: Json) -> None:
        (kind,) = block
        match kind:
            case "text":
                assert block["text"].strip(), "blank text"
            case "image":
                only(block["image"], "format", "source")
                is_png(block["image"]["source"]["bytes"])
                assert role == "user"
            case "toolUse":
                only(block["toolUse"], "toolUseId", "name", "input")
                assert re.fullmatch(r"[a-zA-Z0-9_.:-]{1,64}", block["toolUse"]["toolUseId"])
                assert role == "assistant"
            case "toolResult":
                only(block["toolResult"], "toolUseId", "content")
                for inner in block["toolResult"]["content"]:
                    self.check_block(role, inner) if "json" not in inner else None
            case _:
                assert kind == "reasoningContent"
                assert self.name in str(block), "foreign reasoning"

    def turn(self, n: int) -> Json:
        thought = {"text": self.sign("thought"), "signature": self.sign("state")}
        content: list[Json] = [
            {"reasoningContent": {"reasoningText": thought}},
            {"reasoningContent": {"redactedContent": self.sign("redacted")}},
            {"text": f"Answer {n}."},
            {"toolUse": {"toolUseId": f"tooluse_{n}0", "name": "look", "input": {"at": "it"}}},
            {"toolUse": {"toolUseId": f"tooluse_{n}1", "name": "wait", "input": {}}},
        ]
        return {"role": "assistant", "content": content}

    def whole(self, turn: Json) -> Json:
        return {"output": {"message": turn}, "stopReason": "tool_use", "usage": {}}

    def stream(self, turn: Json) -> Reply:
        frames = [event("messageStart", {"role": "assistant"})]
        for index, block in enumerate(turn["content"]):
            if "toolUse" in block:
                start = {key: block["toolUse"][key] for key in ("toolUseId", "name")}
                frames.append(event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": start}}))
                deltas: list[Json] = [{"toolUse": {"input": msgspec.json.encode(block["toolUse"]["input"]).decode()}}]
            elif "reasoningText" in block.get("reasoningContent", {}):
                thought = block["reasoningContent"]["reasoningText"]
                deltas = [{"reasoningContent": {key: thought[key]}} for key in ("text", "signature")]
            else:
                deltas = [block]
            frames += [event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
            frames.append(event("contentBlockStop", {"contentBlockIndex": index}))
        frames += [event("messageStop", {"stopReason": "tool_use"}), event("metadata", {"usage": {}})]
        return reply(frames, headers=CONTENT_TYPE)


class Vertex(Vendor):
    name = "vertex"
    options: ClassVar[Json] = {"model": "gemini-3-pro-preview"}

    def turns(self, body: Json) -> list[Json]:
        return list(body["contents"])

    def check(self, body: Json) -> None:
        only(body, "contents", "tools")
        calls: list[Json] = []
        expected = "user"
        for content in body["contents"]:
            only(content, "role", "parts")
            assert content["role"] == expected, "roles must alternate, the user's first"
            expected = "model" if expected == "user" else "user"
            assert content["parts"], "no parts"
            answers = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
            named = [(answer.get("id"), answer["name"]) for answer in answers]
            assert named == [(call.get("id"), call["name"]) for call in calls], f"{calls} were answered by {named}"
            for part in content["parts"]:
                only(
                    part,
                    "text",
                    "thought",
                    "thoughtSignature",
                    "inlineData",
                    "fileData",
                    "functionCall",
                    "functionResponse",
                )
                assert part.keys() - {"thought", "thoughtSignature"}, "a part without data"
                if "inlineData" in part:
                    is_png(part["inlineData"]["data"])
            with_calls = [part for part in content["parts"] if "functionCall" in part]
            calls = [part["functionCall"] for part in with_calls]
            assert not with_calls or "thoughtSignature" in with_calls[0], "Function call is missing a thought_signature"
            for part in content["parts"]:
                signature = part.get("thoughtSignature", self.name)
                assert self.name in signature or signature == "skip_thought_signature_validator", "a foreign signature"
        assert not calls, "unanswered calls"

    def turn(self, n: int) -> Json:
        parts = [
            {"text": self.sign("thought"), "thought": True},
            {"text": f"Answer {n}.", "thoughtSignature": self.sign("text-state")},
            {"functionCall": {"name": "look", "args": {"at": "it"}}, "thoughtSignature": self.sign("state")},
            {"functionCall": {"name": "wait", "args": {}, "id": f"fc{n}"}},
        ]
        return {"role": "model", "parts": parts}

    def whole(self, turn: Json) -> Json:
        return {"candidates": [{"content": turn, "finishReason": "STOP"}]}

    def stream(self, turn: Json) -> Reply:
        chunks = [{"candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in turn["parts"]]
        chunks.append({"candidates": [{"content": {"role": "model", "parts": []}, "finishReason": "STOP"}]})
        return reply(sse(*chunks, done=False))


VENDORS: tuple[type[Vendor], ...] = (OpenAI, Anthropic, Mistral, Vertex, Azure, Bedrock, Ollama)
NO_IMAGES_IN_RESULTS = ("openai", "azure-openai", "mistral")
FETCHES_NONE = ("ollama", "bedrock")


def expected_notices(name: str, messages: list[Message]) -> Iterator[tuple[str, str]]:
    """What each vendor cannot be given of this conversation, and where it stands."""
    for i, message in enumerate(messages):
        for j, part in enumerate(message.parts):
            path = f"messages[{i}].content[{j}]"
            if isinstance(part, ReasoningPart) and part.provider != name:
                yield notices.FOREIGN_STATE, path
            if isinstance(part, ImageUrlPart) and name in FETCHES_NONE:
                yield notices.UNSUPPORTED_URL, path
            if isinstance(part, ToolResultPart) and isinstance(part.result, list) and name in NO_IMAGES_IN_RESULTS:
                yield notices.MISPLACED_PART, f"{path}.result[1]"
        if name == "mistral" and message.role is Role.USER and i and messages[i - 1].role is Role.TOOL:
            yield notices.ADDED_TURN, "messages"


def answers_to(reply_message: Message) -> Message:
    """Answer the calls, the last one first; one answer holds an image."""
    look, wait = _calls(reply_message)
    seen = [ContentPart.text("It is small."), ImagePart("image/png", PNG)]
    return Message(Role.TOOL, [ContentPart.tool_result(wait, {"waited": 1}), ContentPart.tool_result(look, seen)])


def _calls(message: Message) -> list[str]:
    return [part.id for part in message.parts if isinstance(part, ToolCallPart)]


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
def test_one_conversation_goes_through_all_vendors_twice(streamed: bool, at: Callable[..., Provider]) -> None:
    async def main() -> None:
        messages = [
            Message.user(
                [ContentPart.text("Look."), ImagePart("image/png", PNG), ContentPart.image_url("https://h.test/a.png")]
            )
        ]
        ids: set[str] = set()
        for vendor, provider in [*players, *players]:
            request = ChatRequest(list(messages), tools=TOOLS)
            if streamed:
                async with provider.stream(request) as stream:
                    response = await stream.response()
            else:
                response = await provider.chat(request)
            said = Counter((notice.code, notice.path) for notice in response.notices)
            assert said == Counter(expected_notices(vendor.name, messages)), vendor.name
            assert [(call.name, call.args) for call in response.tool_calls] == [("look", {"at": "it"}), ("wait", {})]
            assert response.finish_reason == "tool_calls"
            assert not ids.intersection(_calls(response.message))
            ids.update(_calls(response.message))
            messages += [response.message, answers_to(response.message), Message.user("Go on.")]
        for provider in [provider for _, provider in players]:
            await provider.aclose()

    with ExitStack() as stack:
        players: list[tuple[Vendor, Provider]] = []
        for kind in VENDORS:
            vendor = kind()
            players.append((vendor, at(vendor.name, stack.enter_context(serve(vendor)).url, **vendor.options)))
        asyncio.run(main())
    for vendor, _ in players:
        assert len(vendor.bodies) == 2
        sent = msgspec.json.encode(vendor.bodies).decode()
        for other, _ in players:
            minted = re.findall(rf"\w+-of-{other.name}-\d", msgspec.json.encode(other.minted).decode())
            leaked = [state for state in minted if state in sent]
            assert bool(leaked) == (other is vendor and bool(minted)), f"{vendor.name} got {leaked} of {other.name}"


def test_a_compatible_server_gets_all_of_its_reasoning_back(at: Callable[..., Provider], answers: Json) -> None:
    own = [ReasoningPart("First. ", provider="openai"), ReasoningPart("Then.", provider="openai")]
    turns = [Message.user("Hm?"), Message.assistant(list(own)), Message.user("And?")]
    with serve(reply(json=answers["openai"])) as server:
        provider = at("openai", server.url, reasoning_field="reasoning_content")
        assert provider.blocking.chat(turns).notices == []
    assert server.requests[0].json["messages"][1] == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "First. Then.",
    }
