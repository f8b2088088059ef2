"""Anthropic's Messages wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.testing.dialects.dialect import Asked, Dialect, Seen
from tako.types import FinishReason, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        usage = {} if script.usage is None else {**_input(script.usage), **_output(script.usage)}
        return {**_head(script), "content": _content(script), "stop_reason": self.word(script), "usage": usage}

    def events(self, script: Script) -> list[bytes]:
        """Return ``message_start``, the blocks, ``message_delta`` and ``message_stop``."""
        started = {} if script.usage is None else {**_input(script.usage), "output_tokens": 1}
        message: dict[str, Any] = {**_head(script), "content": [], "stop_reason": None, "usage": started}
        events = [event("message_start", message=message), event("ping")]
        for index, block in enumerate(_content(script)):
            events += block_events(index, block, script.pieces)
        counted = {} if script.usage is None else _output(script.usage)
        events.append(event("message_delta", delta={"stop_reason": self.word(script)}, usage=counted))
        return [*events, event("message_stop")]

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
        parameters = {PARAMETERS[name]: value for name, value in body.items() if name in PARAMETERS}
        parameters.update({"response_format": body["output_config"]} if "output_config" in body else {})
        system = [Seen("text", "system", block["text"]) for block in _blocks(body.get("system", []))]
        return Asked(body["model"], [*system, *_parts_in(body["messages"])], tools, parameters)


def event(kind: str, **fields: Any) -> bytes:
    """Write one event."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))


def block_events(index: int, block: dict[str, Any], pieces: Callable[[str], list[str]]) -> list[bytes]:
    """Stream a content block as the API does; ``pieces`` takes its texts apart. Blocks without text come whole."""
    start: dict[str, Any] = block
    deltas: list[dict[str, Any]] = []
    match block["type"]:
        case "text":
            start = {**block, "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            if block.get("citations"):
                start["citations"] = []
                deltas[1:1] = [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
        case "thinking":
            start = {**block, "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            start = {**block, "input": {}}
            input = block["input"]
            text = input if isinstance(input, str) else msgspec.json.encode(input).decode() if input else ""
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces(text))]
        case _:
            pass
    return [
        event("content_block_start", index=index, content_block=start),
        *[event("content_block_delta", index=index, delta=delta) for delta in deltas],
        event("content_block_stop", index=index),
    ]


def _content(script: Script) -> list[dict[str, Any]]:
    """Return a script's content blocks."""
    content: list[dict[str, Any]] = []
    if script.reasoning:
        content.append({"type": "thinking", "thinking": script.reasoning, "signature": script.signature or "s"})
    if script.text:
        content.append({"type": "text", "text": script.text})
    if script.unknown:
        content.append({"type": "hologram", "mark": Dialect.unknown_mark})
    return [
        *content,
        *[{"type": "text", "text": text} for text in script.more],
        *[{"type": "tool_use", "id": call.id, "name": call.name, "input": call.args} for call in script.calls],
    ]


def _head(script: Script) -> dict[str, Any]:
    return {"id": script.id, "type": "message", "role": "assistant", "model": script.model}


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


def _parts_in(messages: list[dict[str, Any]]) -> Iterator[Seen]:
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
