"""Anthropic's Messages wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.testing.dialects.dialect import Asked, Dialect, Seen
from tako.types import FinishReason, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.testing.script import Script
    from tako.testing.server import Received

PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "stop_sequences": "stop",
    "tool_choice": "tool_choice",
    "thinking": "reasoning",
    "metadata": "metadata",
}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


class Messages(Dialect):
    """The Messages API: blocks with starts and stops, usage at both ends of a stream."""

    name = "messages"
    traits = frozenset(
        {
            "reasoning",
            "state",
            "cached",
            "cache_writes",
            "reasoning_tokens",
            "argument_text",
            "call_ids",
            "names",
            "blocks",
        }
    )
    words = {  # noqa: RUF012 - read-only by its type
        FinishReason.STOP: "end_turn",
        FinishReason.LENGTH: "max_tokens",
        FinishReason.TOOL_CALLS: "tool_use",
        FinishReason.CONTENT_FILTER: "refusal",
    }

    def whole(self, script: Script) -> Any:
        """Return a message."""
        content: list[dict[str, Any]] = []
        if script.reasoning:
            content.append({"type": "thinking", "thinking": script.reasoning, "signature": script.signature or "s"})
        if script.text:
            content.append({"type": "text", "text": script.text})
        content += [self.unknown_block] if script.unknown else []
        content += [{"type": "text", "text": text} for text in script.more]
        content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.args} for call in script.calls]
        usage = {} if script.usage is None else {**_input(script.usage), **_output(script.usage)}
        return {**_head(script), "content": content, "stop_reason": self.word(script), "usage": usage}

    def events(self, script: Script) -> list[bytes]:
        """Return ``message_start``, the blocks, ``message_delta`` and ``message_stop``."""
        started = {} if script.usage is None else {**_input(script.usage), "output_tokens": 1}
        message: dict[str, Any] = {**_head(script), "content": [], "stop_reason": None, "usage": started}
        made = [event("message_start", message=message), event("ping")]
        index = 0
        if script.reasoning:
            made.append(_start(index, {"type": "thinking", "thinking": "", "signature": ""}))
            made += [_delta(index, "thinking", thinking=piece) for piece in script.pieces(script.reasoning)]
            made += [_delta(index, "signature", signature=script.signature or "s"), _stop(index)]
            index += 1
        if script.text:
            made += _text(index, script.pieces(script.text))
            index += 1
        if script.unknown:
            made += [_start(index, self.unknown_block), _stop(index)]
            index += 1
        for text in script.more:
            made += _text(index, script.pieces(text))
            index += 1
        for n, call in enumerate(script.calls, index):
            made.append(_start(n, {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}))
            made.append(_delta(n, "input_json", partial_json=""))
            made += [_delta(n, "input_json", partial_json=piece) for piece in script.pieces(call.text)]
            made.append(_stop(n))
        counted = {} if script.usage is None else _output(script.usage)
        made.append(event("message_delta", delta={"stop_reason": self.word(script)}, usage=counted))
        return [*made, event("message_stop")]

    @property
    def unknown_block(self) -> dict[str, Any]:
        """A block of a kind that nobody knows."""
        return {"type": "hologram", "mark": self.unknown_mark}

    def refusal(self, status: int, message: str) -> Any:
        """Return an error as Anthropic has it."""
        kind = TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004 - RFC 9110
        return {"type": "error", "error": {"type": kind, "message": message}}

    def error_event(self, status: int, message: str) -> bytes:
        """Return an ``error`` event."""
        return b"event: error\ndata: " + msgspec.json.encode(self.refusal(status, message)) + b"\n\n"

    def read(self, request: Received) -> Asked:
        """Read the body."""
        body = request.json
        tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools", ())}
        found = {PARAMETERS[name]: value for name, value in body.items() if name in PARAMETERS}
        found.update({"response_format": body["output_config"]} if "output_config" in body else {})
        system = [Seen("text", "system", block["text"]) for block in _blocks(body.get("system", []))]
        return Asked(body["model"], [*system, *_seen(body["messages"])], tools, found)


def event(kind: str, **fields: Any) -> bytes:
    """Write one event."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))


def _head(script: Script) -> dict[str, Any]:
    return {"id": script.id, "type": "message", "role": "assistant", "model": script.model}


def _start(index: int, block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def _delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": f"{kind}_delta", **fields})


def _text(index: int, pieces: list[str]) -> list[bytes]:
    deltas = [_delta(index, "text", text=piece) for piece in pieces]
    return [_start(index, {"type": "text", "text": ""}), *deltas, _stop(index)]


def _stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def _input(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
    }


def _output(usage: Usage) -> dict[str, Any]:
    details = {"thinking_tokens": usage.reasoning_tokens}
    return {"output_tokens": usage.output_tokens, "output_tokens_details": details}


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _seen(messages: list[dict[str, Any]]) -> Iterator[Seen]:
    for message in messages:
        role = message["role"]
        for block in _blocks(message["content"]):
            match block["type"]:
                case "text":
                    yield Seen("text", role, block["text"])
                case "image" if block["source"]["type"] == "base64":
                    yield Seen("image", role, block["source"]["data"], mime=block["source"]["media_type"])
                case "image":
                    yield Seen("image_url", role, block["source"]["url"])
                case "tool_use":
                    yield Seen("call", role, block["input"], block["id"], block["name"])
                case "tool_result":
                    yield Seen("result", role, block.get("content", ""), block["tool_use_id"])
                case "thinking":
                    yield Seen("reasoning", role, block["thinking"])
                case kind:
                    yield Seen(kind, role, block)
