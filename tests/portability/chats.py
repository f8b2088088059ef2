"""Vendors whose turns are messages with a text: the Chat Completions dialect, and Ollama."""

from __future__ import annotations

import re

import msgspec

from tako.testing.server import Reply, reply, sse

from .vendor import Json, Vendor, is_png, only


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

    def full_reply(self, turn: Json) -> Json:
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

    def full_reply(self, turn: Json) -> Json:
        return {"model": "m", "message": turn, "done": True, "done_reason": "stop"}

    def stream(self, turn: Json) -> Reply:
        messages = [{key: turn[key]} for key in ("thinking", "content")]
        messages += [{"content": "", "tool_calls": [call]} for call in turn["tool_calls"]]
        lines = [{"message": {"role": "assistant", "content": "", **one}, "done": False} for one in messages]
        lines.append({"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"})
        return reply([msgspec.json.encode(line) + b"\n" for line in lines])
