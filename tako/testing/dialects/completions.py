"""The Chat Completions wire, as OpenAI serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.testing.dialects.dialect import Asked, Dialect, Seen
from tako.types import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tako.testing.script import Call, Script
    from tako.testing.server import Received
    from tako.types import Usage

DONE = b"data: [DONE]\n\n"
PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stop": "stop",
    "seed": "seed",
    "random_seed": "seed",
    "tool_choice": "tool_choice",
    "response_format": "response_format",
    "reasoning_effort": "reasoning",
    "metadata": "metadata",
}
ROLES = {"developer": "system", "tool": "user"}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "overloaded_error",
}


class Completions(Dialect):
    """Chat Completions; tool results are messages, text alone is a string. Opaque state is a gateway's."""

    name = "completions"
    traits = frozenset({"reasoning", "state", "cached", "reasoning_tokens", "argument_text", "call_ids", "names"})
    words = {  # noqa: RUF012 - read-only by its type
        FinishReason.STOP: "stop",
        FinishReason.LENGTH: "length",
        FinishReason.TOOL_CALLS: "tool_calls",
        FinishReason.CONTENT_FILTER: "content_filter",
    }

    def whole(self, script: Script) -> Any:
        """Return a ``chat.completion``."""
        message: dict[str, Any] = {"role": "assistant", "content": script.text or None}
        if script.reasoning:
            message["reasoning_content"] = script.reasoning
        if script.signature:
            message["reasoning_details"] = [_details(script)]
        if script.calls:
            message["tool_calls"] = [_call(call) for call in script.calls]
        choice = {"index": 0, "message": message, "finish_reason": self.word(script)}
        usage = {} if script.usage is None else {"usage": _usage(script.usage)}
        return {"id": script.id, "object": "chat.completion", "model": script.model, "choices": [choice], **usage}

    def events(self, script: Script) -> list[bytes]:
        """Return ``chat.completion.chunk`` objects, a chunk with the usage, and ``[DONE]``."""
        head = {"id": script.id, "object": "chat.completion.chunk", "model": script.model}

        def chunk(delta: Any, finish: str | None = None) -> bytes:
            return sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

        events = [chunk({"role": "assistant", "content": ""})]
        events += [chunk({"reasoning_content": piece}) for piece in script.pieces(script.reasoning)]
        events += [chunk({"reasoning_details": [_details(script)]})] if script.signature else []
        events += [chunk({"content": piece}) for piece in script.pieces(script.text)]
        starts = [{**_call(call), "function": {"name": call.name, "arguments": ""}} for call in script.calls]
        events += [chunk({"tool_calls": [{"index": n, **start}]}) for n, start in enumerate(starts)]
        events += [chunk({"tool_calls": [{"index": n, "function": {"arguments": piece}}]})
                 for n, piece in script.fragments()]  # fmt: skip
        events.append(chunk({}, self.word(script)))
        if script.usage is not None:
            events.append(sse({**head, "choices": [], "usage": _usage(script.usage)}))
        return [*events, DONE]

    def complete_after(self, events: Sequence[bytes]) -> int:
        """A finish reason ends a stream in order, and so does ``[DONE]``."""
        return next(n for n, event in enumerate(events, 1) if b'"finish_reason":"' in event or event == DONE)

    def refusal(self, status: int, message: str) -> Any:
        """Return an error as OpenAI has it."""
        kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004 - RFC 9110
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    def error_event(self, status: int, message: str) -> bytes:
        """Return an error where a chunk is expected."""
        return sse(self.refusal(status, message))

    def read(self, request: Received) -> Asked:
        """Read the body."""
        body = request.json
        functions = [tool["function"] for tool in body.get("tools", ()) if "function" in tool]
        tools = {function["name"]: function.get("parameters") for function in functions}
        parameters = {PARAMETERS[name]: value for name, value in body.items() if name in PARAMETERS}
        return Asked(body.get("model", ""), list(_parts_in(body["messages"])), tools, parameters)


def sse(value: Any) -> bytes:
    """Write one event of JSON."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def split_data_url(url: str) -> tuple[str, str]:
    """Return the type and the base64 of a data URL."""
    mime, _, data = url.removeprefix("data:").partition(";base64,")
    return mime, data


def _call(call: Call) -> dict[str, Any]:
    id = {"id": call.id} if call.id else {}
    return {**id, "type": "function", "function": {"name": call.name, "arguments": call.text}}


def _details(script: Script) -> dict[str, Any]:
    """Return what a gateway wants back of reasoning (OpenRouter's form)."""
    return {"type": "reasoning.text", "text": script.reasoning, "signature": script.signature, "index": 0}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _parts_in(messages: list[dict[str, Any]]) -> Iterator[Seen]:
    for message in messages:
        role: str = ROLES.get(message["role"]) or message["role"]
        content = message.get("content")
        if message["role"] == "tool":
            yield Seen("result", role, content, message["tool_call_id"])
            continue
        if message.get("reasoning_content"):
            yield Seen("reasoning", role, message["reasoning_content"])
        blocks: list[dict[str, Any]] = (
            [{"type": "text", "text": content}] if content and isinstance(content, str) else content or []
        )
        for block in blocks:
            yield _block(block, role)
        for call in message.get("tool_calls") or ():
            called: dict[str, Any] = call.get("function") or {}
            args = msgspec.json.decode(called["arguments"]) if called else call
            yield Seen("call", role, args, call["id"], called.get("name", call.get("type", "")))


def _block(block: dict[str, Any], role: str) -> Seen:
    match block["type"]:
        case "text":
            return Seen("text", role, block["text"])
        case "image_url":
            image = block["image_url"]
            url = image if isinstance(image, str) else image["url"]
            if url.startswith("data:"):
                mime, data = split_data_url(url)
                return Seen("image", role, data, mime=mime)
            return Seen("image_url", role, url)
        case "thinking":
            return Seen("reasoning", role, "".join(piece.get("text", "") for piece in block["thinking"]))
        case kind:
            return Seen(kind, role, block)
