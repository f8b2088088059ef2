"""Vendors whose turns are lists of blocks: Anthropic, Bedrock and Vertex."""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import Reply, reply, sse

from .vendor import Json, Vendor, is_png, only


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

    def full_reply(self, turn: Json) -> Json:
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
        return reply([b"event: %s\n" % event["type"].encode() + sse(event, done=False)[0] for event in events])

    def _pieces(self, block: Json) -> tuple[Json, list[Json]]:
        match block["type"]:
            case "thinking":
                deltas = [{"type": "thinking_delta", "thinking": letter} for letter in block["thinking"]]
                signed = {"type": "signature_delta", "signature": block["signature"]}
                return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signed]
            case "text":
                return {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}]
            case "tool_use":
                text = msgspec.json.encode(block["input"]).decode() if block["input"] else ""
                return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text}]
            case _:
                return block, []


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

    def full_reply(self, turn: Json) -> Json:
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

    def full_reply(self, turn: Json) -> Json:
        return {"candidates": [{"content": turn, "finishReason": "STOP"}]}

    def stream(self, turn: Json) -> Reply:
        chunks = [{"candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in turn["parts"]]
        chunks.append({"candidates": [{"content": {"role": "model", "parts": []}, "finishReason": "STOP"}]})
        return reply(sse(*chunks, done=False))
