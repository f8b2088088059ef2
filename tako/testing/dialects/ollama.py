"""Ollama's own wire: /api/chat, one JSON object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.testing.dialects.dialect import Asked, Dialect, Seen
from tako.types import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.testing.script import Script
    from tako.testing.server import Received

PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "num_predict": "max_tokens",
    "stop": "stop",
    "seed": "seed",
    "format": "response_format",
    "think": "reasoning",
}


class Ollama(Dialect):
    """Arguments are objects, calls come whole on lines that are not done, and a stream is the default."""

    name = "ollama"
    content_type = "application/x-ndjson"
    traits = frozenset({"reasoning", "names"})
    words = {  # noqa: RUF012 - read-only by its type
        FinishReason.STOP: "stop",
        FinishReason.LENGTH: "length",
        FinishReason.TOOL_CALLS: "stop",
    }

    def streams(self, request: Received) -> bool:
        """A stream is the default."""
        return request.json.get("stream") is not False

    def whole(self, script: Script) -> Any:
        """Return a reply that is done."""
        message: dict[str, Any] = {"role": "assistant", "content": script.text}
        if script.reasoning:
            message["thinking"] = script.reasoning
        if script.calls:
            message["tool_calls"] = list(_calls(script))
        return {**_head(script), "message": message, "done": True, "done_reason": self.word(script), **_counts(script)}

    def events(self, script: Script) -> list[bytes]:
        """Return the lines; the last is done and has the counts."""

        def chunk(**fields: Any) -> bytes:
            return line({**_head(script), "message": {"role": "assistant", "content": "", **fields}, "done": False})

        events = [chunk(thinking=piece) for piece in script.pieces(script.reasoning)]
        events += [chunk(content=piece) for piece in script.pieces(script.text)]
        events += [chunk(tool_calls=[call]) for call in _calls(script)]
        end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": self.word(script)}
        return [*events, line({**_head(script), **end, **_counts(script)})]

    def refusal(self, status: int, message: str) -> Any:
        """Return an error, which is a text."""
        return {"error": message}

    def error_event(self, status: int, message: str) -> bytes:
        """Return an error as the last line; only its status tells what kind it is."""
        return line({"error": message, "status_code": status})

    def read(self, request: Received) -> Asked:
        """Read the body."""
        body = request.json
        tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in body.get("tools", ())}
        fields = {**body.get("options", {}), **body}
        parameters = {PARAMETERS[name]: value for name, value in fields.items() if name in PARAMETERS}
        return Asked(body["model"], list(_parts_in(body["messages"])), tools, parameters)


def line(value: Any) -> bytes:
    """Write one line."""
    return msgspec.json.encode(value) + b"\n"


def _head(script: Script) -> dict[str, Any]:
    return {"model": script.model, "created_at": "2026-01-01T00:00:00Z"}


def _calls(script: Script) -> Iterator[dict[str, Any]]:
    for call in script.calls:
        id = {"id": call.id} if call.id else {}
        yield {**id, "function": {"name": call.name, "arguments": call.args}}


def _counts(script: Script) -> dict[str, int]:
    if script.usage is None:
        return {}
    return {"prompt_eval_count": script.usage.input_tokens, "eval_count": script.usage.output_tokens}


def _parts_in(messages: list[dict[str, Any]]) -> Iterator[Seen]:
    for message in messages:
        role = "user" if message["role"] == "tool" else message["role"]
        if message["role"] == "tool":
            yield Seen("result", role, message["content"], name=message.get("tool_name", ""))
            continue
        if message.get("thinking"):
            yield Seen("reasoning", role, message["thinking"])
        if message.get("content"):
            yield Seen("text", role, message["content"])
        for image in message.get("images", ()):
            yield Seen("image", role, image)
        for call in message.get("tool_calls", ()):
            yield Seen("call", role, call["function"]["arguments"], call.get("id", ""), call["function"]["name"])
