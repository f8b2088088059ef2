"""Gemini's wire: generateContent and streamGenerateContent, as Vertex AI serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.testing.dialects.completions import sse
from tako.testing.dialects.dialect import Asked, Dialect, Seen
from tako.types import FinishReason, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.testing.script import Script
    from tako.testing.server import Received

NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "INTERNAL",
    503: "UNAVAILABLE",
    529: "UNAVAILABLE",
}
PARAMETERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "thinkingConfig": "reasoning",
    "responseMimeType": "response_format",
}


class Gemini(Dialect):
    """Parts, whole calls without ids, signatures on calls (or on the text), usage in every chunk."""

    name = "gemini"
    traits = frozenset({"reasoning", "state", "cached", "reasoning_tokens", "names"})
    words = {  # noqa: RUF012 - read-only by its type
        FinishReason.STOP: "STOP",
        FinishReason.LENGTH: "MAX_TOKENS",
        FinishReason.TOOL_CALLS: "STOP",
        FinishReason.CONTENT_FILTER: "SAFETY",
    }

    def streams(self, request: Received) -> bool:
        """The path says it."""
        return request.path.endswith(":streamGenerateContent")

    def whole(self, script: Script) -> Any:
        """Return a GenerateContentResponse."""
        parts: list[dict[str, Any]] = []
        if script.reasoning:
            parts.append({"text": script.reasoning, "thought": True})
        if script.text:
            parts.append({"text": script.text, **({} if script.calls else _signed(script))})
        return _reply(script, [*parts, *_calls(script)], self.word(script))

    def events(self, script: Script) -> list[bytes]:
        """Return chunks; the last of them has the finish reason."""
        events = [sse(_reply(script, [{"text": piece, "thought": True}])) for piece in script.pieces(script.reasoning)]
        events += [sse(_reply(script, [{"text": piece}])) for piece in script.pieces(script.text)]
        events += [sse(_reply(script, [call])) for call in _calls(script)]
        signed = _signed(script)
        last: list[dict[str, Any]] = [{"text": "", **signed}] if signed and not script.calls else []
        return [*events, sse(_reply(script, last, self.word(script)))]

    def refusal(self, status: int, message: str) -> Any:
        """Return a google.rpc.Status."""
        return {"error": {"code": status, "message": message, "status": NAMES.get(status, "UNKNOWN")}}

    def error_event(self, status: int, message: str) -> bytes:
        """Return an error where a chunk is expected."""
        return sse(self.refusal(status, message))

    def read(self, request: Received) -> Asked:
        """Read the body; the model is in the path."""
        body = request.json
        config = body.get("generationConfig", {})
        declared = [tool for group in body.get("tools", ()) for tool in group.get("functionDeclarations", ())]
        tools = {tool["name"]: tool.get("parametersJsonSchema", tool.get("parameters")) for tool in declared}
        parameters = {PARAMETERS[name]: value for name, value in config.items() if name in PARAMETERS}
        parameters.update({"tool_choice": body["toolConfig"]} if "toolConfig" in body else {})
        parameters.update({"metadata": body["labels"]} if "labels" in body else {})
        system = [Seen("text", "system", part["text"]) for part in body.get("systemInstruction", {}).get("parts", ())]
        turns = [seen for content in body["contents"] for seen in _parts_in(content)]
        model = request.path.rpartition("/models/")[2].partition(":")[0]
        return Asked(model, [*system, *turns], tools, parameters)


def _signed(script: Script) -> dict[str, str]:
    return {} if script.signature is None else {"thoughtSignature": script.signature}


def _calls(script: Script) -> Iterator[dict[str, Any]]:
    """A step of parallel calls has one signature, on the first of them."""
    for n, call in enumerate(script.calls):
        id = {"id": call.id} if call.id else {}
        part = {"functionCall": {**id, "name": call.name, **({"args": call.args} if call.args else {})}}
        yield {**part, **_signed(script)} if n == 0 else part


def _reply(script: Script, parts: list[dict[str, Any]], finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}} if parts else {}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {} if script.usage is None else {"usageMetadata": _usage(script.usage, is_last=finish is not None)}
    return {"candidates": [candidate], **usage, "modelVersion": script.model, "responseId": script.id}


def _usage(usage: Usage, *, is_last: bool) -> dict[str, Any]:
    answer = {"candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens} if is_last else {}
    return {
        "promptTokenCount": usage.input_tokens,
        **answer,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "cachedContentTokenCount": usage.cached_tokens,
        "totalTokenCount": usage.total,
    }


def _parts_in(content: dict[str, Any]) -> Iterator[Seen]:
    role = "assistant" if content.get("role") == "model" else "user"
    for part in content["parts"]:
        match part:
            case {"inlineData": image}:
                yield Seen("image", role, image["data"], mime=image["mimeType"])
            case {"fileData": image}:
                yield Seen("image_url", role, image["fileUri"])
            case {"functionCall": call}:
                yield Seen("call", role, call.get("args", {}), call.get("id", ""), call["name"])
            case {"functionResponse": answer}:
                yield Seen("result", role, answer["response"], answer.get("id", ""), answer["name"])
            case {"text": text, "thought": True}:
                yield Seen("reasoning", role, text)
            case {"text": text}:
                yield Seen("text", role, text)
            case _:
                yield Seen(next(iter(part)), role, part)
