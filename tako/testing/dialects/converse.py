"""Bedrock's Converse wire, with binary event streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tako.testing.dialects.dialect import Asked, Dialect, Seen
from tako.testing.eventstream import CONTENT_TYPE, event, exception
from tako.types import FinishReason, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tako.testing.script import Call, Script
    from tako.testing.server import Received

NAMES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
PARAMETERS = {"temperature": "temperature", "topP": "top_p", "maxTokens": "max_tokens", "stopSequences": "stop"}


class Converse(Dialect):
    """Converse and ConverseStream; images are bytes, schemas stand in ``inputSchema.json``."""

    name = "converse"
    content_type = CONTENT_TYPE["content-type"]
    traits = frozenset({"reasoning", "state", "cached", "cache_writes", "argument_text", "call_ids", "blocks"})
    words = {  # noqa: RUF012 - read-only by its type
        FinishReason.STOP: "end_turn",
        FinishReason.LENGTH: "max_tokens",
        FinishReason.TOOL_CALLS: "tool_use",
        FinishReason.CONTENT_FILTER: "content_filtered",
    }

    def streams(self, request: Received) -> bool:
        """The path says it."""
        return request.path.endswith("/converse-stream")

    def whole(self, script: Script) -> Any:
        """Return the body of a ConverseResponse."""
        content: list[dict[str, Any]] = []
        if script.reasoning:
            thought = {"text": script.reasoning, "signature": script.signature or "s"}
            content.append({"reasoningContent": {"reasoningText": thought}})
        if script.text:
            content.append({"text": script.text})
        content += [{"hologram": {"mark": self.unknown_mark}}] if script.unknown else []
        content += [{"text": text} for text in script.more]
        content += [{"toolUse": {**_call(call), "input": call.args}} for call in script.calls]
        message = {"role": "assistant", "content": content}
        usage = {} if script.usage is None else {"usage": _usage(script.usage)}
        return {"output": {"message": message}, "stopReason": self.word(script), "metrics": {"latencyMs": 1}, **usage}

    def events(self, script: Script) -> list[bytes]:
        """Return the frames; text and reasoning have no start, and ``metadata`` comes last."""
        events = [event("messageStart", {"role": "assistant"})]
        index = 0
        if script.reasoning:
            events += [
                _delta(index, {"reasoningContent": {"text": piece}}) for piece in script.pieces(script.reasoning)
            ]
            events += [_delta(index, {"reasoningContent": {"signature": script.signature or "s"}}), _stop(index)]
            index += 1
        for text in filter(None, (script.text, *script.more)):
            events += [*(_delta(index, {"text": piece}) for piece in script.pieces(text)), _stop(index)]
            index += 1
            if script.unknown and text is script.text:
                start = {"hologram": {"mark": self.unknown_mark}}
                events += [event("contentBlockStart", {"contentBlockIndex": index, "start": start}), _stop(index)]
                index += 1
        for n, call in enumerate(script.calls, index):
            events.append(event("contentBlockStart", {"contentBlockIndex": n, "start": {"toolUse": _call(call)}}))
            events += [_delta(n, {"toolUse": {"input": piece}}) for piece in ("", *script.pieces(call.text))]
            events.append(_stop(n))
        events.append(event("messageStop", {"stopReason": self.word(script)}))
        usage = {} if script.usage is None else {"usage": _usage(script.usage)}
        return [*events, event("metadata", {**usage, "metrics": {"latencyMs": 1}})]

    def complete_after(self, events: Sequence[bytes]) -> int:
        """``messageStop`` ends the reply; a body that ends in order may lack the metadata."""
        return len(events) - 1

    def refusal(self, status: int, message: str) -> Any:
        """Return an error's body, which does not name it."""
        return {"message": message}

    def refusal_headers(self, status: int) -> dict[str, str]:
        """Return the header that names the error."""
        name = NAMES.get(status)
        return {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/{name}/"} if name else {}

    def error_event(self, status: int, message: str) -> bytes:
        """Return an exception as a frame."""
        name = NAMES[status]
        return exception(name[0].lower() + name[1:], message)

    def read(self, request: Received) -> Asked:
        """Read the body; the model is in the path."""
        body = request.json
        model = unquote(request.path.split("/model/", 1)[1].rsplit("/", 1)[0])
        config = body.get("toolConfig", {})
        specs = [tool["toolSpec"] for tool in config.get("tools", ()) if "toolSpec" in tool]
        tools = {spec["name"]: spec["inputSchema"]["json"] for spec in specs}
        parameters = {PARAMETERS[name]: value for name, value in body.get("inferenceConfig", {}).items()}
        parameters.update({"tool_choice": config["toolChoice"]} if "toolChoice" in config else {})
        parameters.update({"metadata": body["requestMetadata"]} if "requestMetadata" in body else {})
        parameters.update({"response_format": body["outputConfig"]} if "outputConfig" in body else {})
        system = list(_parts_in("system", body.get("system", [])))
        turns = [seen for message in body["messages"] for seen in _parts_in(message["role"], message["content"])]
        return Asked(model, [*system, *turns], tools, parameters)


def _call(call: Call) -> dict[str, Any]:
    return {"toolUseId": call.id, "name": call.name}


def _delta(index: int, delta: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta, "p": "abcdef"})


def _stop(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index})


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "inputTokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total,
        "cacheReadInputTokens": usage.cached_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
    }


def _parts_in(role: str, content: list[dict[str, Any]]) -> Iterator[Seen]:
    for block in content:
        match block:
            case {"text": text}:
                yield Seen("text", role, text)
            case {"image": {"format": kind, "source": {"bytes": data}}}:
                yield Seen("image", role, data, mime=f"image/{kind}")
            case {"toolUse": call}:
                yield Seen("call", role, call["input"], call["toolUseId"], call["name"])
            case {"toolResult": result}:
                yield Seen("result", role, result["content"], result["toolUseId"])
            case {"reasoningContent": thought}:
                yield Seen("reasoning", role, thought.get("reasoningText", {}).get("text", ""))
            case _:
                yield Seen(next(iter(block)), role, block)
