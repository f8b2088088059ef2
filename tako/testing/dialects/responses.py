"""OpenAI's Responses wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.testing.dialects.completions import TYPES, split_data_url
from tako.testing.dialects.dialect import Asked, Dialect, Seen
from tako.types import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tako.testing.script import Call, Script
    from tako.testing.server import Received
    from tako.types import Usage

PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "tool_choice": "tool_choice",
    "text": "response_format",
    "reasoning": "reasoning",
    "metadata": "metadata",
}
TERMINAL = (b'"type":"response.completed"', b'"type":"response.incomplete"')


class Responses(Dialect):
    """The Responses API: items with beginnings and ends, and a last event that has the whole reply."""

    name = "responses"
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
        FinishReason.STOP: "completed",
        FinishReason.LENGTH: "max_output_tokens",
        FinishReason.TOOL_CALLS: "completed",
        FinishReason.CONTENT_FILTER: "content_filter",
    }

    def whole(self, script: Script) -> Any:
        """Return a ``response``."""
        return self._reply(script, _items(script))

    def events(self, script: Script) -> list[bytes]:
        """Return the events of each item, and the one that ends the reply."""
        last = self.whole(script)
        begun: dict[str, Any] = {
            **last,
            "status": "in_progress",
            "output": [],
            "usage": None,
            "incomplete_details": None,
        }
        events: list[tuple[str, dict[str, Any]]] = [
            ("created", {"response": begun}),
            ("in_progress", {"response": begun}),
        ]
        for n, item in enumerate(last["output"]):
            events.append(("output_item.added", {"output_index": n, "item": _opening(item)}))
            events += [
                (kind, {"output_index": n, "item_id": item["id"], **fields}) for kind, fields in _pieces(item, script)
            ]
            events.append(("output_item.done", {"output_index": n, "item": item}))
        events.append((last["status"], {"response": last}))
        return [event(f"response.{kind}", sequence_number=n, **fields) for n, (kind, fields) in enumerate(events)]

    def complete_after(self, events: Sequence[bytes]) -> int:
        """Only the event that ends the reply ends a stream."""
        return next(n for n, one in enumerate(events, 1) if any(mark in one for mark in TERMINAL))

    def refusal(self, status: int, message: str) -> Any:
        """Return an error as OpenAI has it."""
        kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004 - RFC 9110
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    def error_event(self, status: int, message: str) -> bytes:
        """Return an ``error`` event."""
        return event("error", **self.refusal(status, message))

    def read(self, request: Received) -> Asked:
        """Read the body."""
        body = request.json
        tools = {tool["name"]: tool.get("parameters") for tool in body.get("tools", ()) if tool["type"] == "function"}
        parameters = {PARAMETERS[name]: value for name, value in body.items() if name in PARAMETERS}
        input = body["input"]
        items = [{"role": "user", "content": input}] if isinstance(input, str) else input
        system = [Seen("text", "system", body["instructions"])] if body.get("instructions") else []
        return Asked(body.get("model", ""), [*system, *_parts_in(items)], tools, parameters)

    def _reply(self, script: Script, output: list[dict[str, Any]]) -> dict[str, Any]:
        status = self.word(script)
        is_complete = status == "completed"
        return {
            "id": script.id,
            "object": "response",
            "created_at": 1,
            "status": "completed" if is_complete else "incomplete",
            "incomplete_details": None if is_complete else {"reason": status},
            "error": None,
            "model": script.model,
            "output": output,
            "usage": None if script.usage is None else _usage(script.usage),
        }


def event(kind: str, **fields: Any) -> bytes:
    """Write one event."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))


def _items(script: Script) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if script.reasoning:
        summary = [{"type": "summary_text", "text": script.reasoning}]
        items.append(
            {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": script.signature or "s"}
        )
    for n, text in enumerate(filter(None, (script.text, *script.more)), 1):
        part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
        head = {"type": "message", "id": f"msg_{n}", "role": "assistant", "status": "completed"}
        items.append({**head, "content": [part]})
        if script.unknown and n == 1:
            items.append({"type": "hologram_call", "id": "holo_1", "mark": Dialect.unknown_mark})
    return [*items, *(_call(call, n) for n, call in enumerate(script.calls))]


def _call(call: Call, n: int) -> dict[str, Any]:
    named = {"name": call.name, "arguments": call.text, "status": "completed"}
    return {"type": "function_call", "id": f"fc_{n}", "call_id": call.id or f"call_{n}", **named}


def _opening(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it begins: without what is still to come."""
    match item["type"]:
        case "message":
            return {**item, "status": "in_progress", "content": []}
        case "function_call":
            return {**item, "status": "in_progress", "arguments": ""}
        case "reasoning":
            return {**item, "summary": []}
        case _:
            return item


def _pieces(item: dict[str, Any], script: Script) -> Iterator[tuple[str, dict[str, Any]]]:
    match item["type"]:
        case "message":
            part = item["content"][0]
            yield "content_part.added", {"content_index": 0, "part": {**part, "text": ""}}
            for piece in script.pieces(part["text"]):
                yield "output_text.delta", {"content_index": 0, "delta": piece, "logprobs": []}
            yield "output_text.done", {"content_index": 0, "text": part["text"], "logprobs": []}
            yield "content_part.done", {"content_index": 0, "part": part}
        case "function_call":
            for piece in script.pieces(item["arguments"]):
                yield "function_call_arguments.delta", {"delta": piece}
            yield "function_call_arguments.done", {"arguments": item["arguments"], "name": item["name"]}
        case "reasoning":
            yield "reasoning_summary_part.added", {"summary_index": 0, "part": {"type": "summary_text", "text": ""}}
            for piece in script.pieces(item["summary"][0]["text"]):
                yield "reasoning_summary_text.delta", {"summary_index": 0, "delta": piece}
            yield "reasoning_summary_text.done", {"summary_index": 0, "text": item["summary"][0]["text"]}
        case _:
            pass


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total,
    }


def _parts_in(items: list[dict[str, Any]]) -> Iterator[Seen]:
    for item in items:
        match item.get("type", "message"):
            case "message":
                role: str = "system" if item["role"] == "developer" else item["role"]
                content = item["content"]
                blocks = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
                yield from (_block(block, role) for block in blocks)
            case "function_call":
                args = msgspec.json.decode(item["arguments"])
                yield Seen("call", "assistant", args, item["call_id"], item["name"])
            case "function_call_output":
                yield Seen("result", "user", item["output"], item["call_id"])
            case "reasoning":
                yield Seen("reasoning", "assistant", "".join(piece["text"] for piece in item["summary"]))
            case kind:
                yield Seen(kind, "assistant", item)


def _block(block: dict[str, Any], role: str) -> Seen:
    match block["type"]:
        case "input_text" | "output_text":
            return Seen("text", role, block["text"])
        case "input_image" if block["image_url"].startswith("data:"):
            mime, data = split_data_url(block["image_url"])
            return Seen("image", role, data, mime=mime)
        case "input_image":
            return Seen("image_url", role, block["image_url"])
        case kind:
            return Seen(kind, role, block)
