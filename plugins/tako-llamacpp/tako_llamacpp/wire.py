"""What llama.cpp's in-process server takes and gives: Chat Completions, as Python values."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako import notices
from tako.kit.completions import Dialect, encode_request, translator_for
from tako.kit.completions.decode import decode_block
from tako.kit.exchange import Exchange
from tako.parts import ImagePart, ImageUrlPart
from tako.translator import PartContext, Translator

if TYPE_CHECKING:
    from tako.parts import Part
    from tako.types import ChatRequest
    from tako_llamacpp.gguf import Header


def dialect(header: Header) -> Dialect:
    """Return how llama.cpp differs; a template that knows reasoning takes it back."""
    field = "reasoning_content"
    return Dialect(metadata=False, reasoning_effort=None, reasoning_text=field if field in header.template else None)


def takes_tools(header: Header) -> bool:
    """Whether the model's chat template has a place for tools: without one llama.cpp leaves them out in silence."""
    return "tools" in header.template


def translator(name: str, header: Header) -> Translator:
    """Make the translator: the dialect's, with images left out, since a second file would be needed to see them."""
    inner = translator_for(partial(decode_block, provider=name), dialect(header))

    def encode(part: Part, context: PartContext) -> Any:
        if isinstance(part, (ImagePart, ImageUrlPart)):
            context.notice(notices.UNSUPPORTED_PART, "an image was left out: models in process see none")
            return None
        return inner.encode(part, context)

    return Translator(encode, inner.decode)


def encode(request: ChatRequest, model: str, translator: Translator, name: str, header: Header) -> Exchange:
    """Encode a request; what this model cannot do is left out with a notice."""
    context = PartContext(name, request)
    if request.model not in (None, model):
        context.notice(
            notices.UNSUPPORTED_PARAMETER, f"model={request.model!r} was left out: {model} is loaded", "model"
        )
    if request.tools and not takes_tools(header):
        context.notice(
            notices.UNSUPPORTED_PARAMETER, "tools were left out: the model's chat template has none", "tools"
        )
        request = replace(request, tools=[], tool_choice=None)
    body = encode_request(replace(request, model=None), model, translator, context, dialect(header), stream=True)
    return Exchange("", msgspec.to_builtins(body), context.notices)


def event(chunk: dict[str, Any]) -> bytes:
    """Frame a chunk as the dialect's decoder reads it."""
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def joined(chunks: list[dict[str, Any]]) -> bytes:
    """Put chunks together to the whole reply that they are pieces of, or to the error that is among them."""
    failed = next((chunk for chunk in chunks if "error" in chunk), None)
    if failed is not None:
        return msgspec.json.encode(failed)
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    calls: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {"object": "chat.completion"}
    reason = None
    for chunk in chunks:
        whole.update({key: value for key, value in chunk.items() if key not in ("object", "choices")})
        for choice in chunk.get("choices", []):
            reason = choice.get("finish_reason") or reason
            _add(choice.get("delta", {}), message, calls)
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    whole["choices"] = [{"index": 0, "message": message, "finish_reason": reason}]
    return msgspec.json.encode(whole)


def _add(delta: dict[str, Any], message: dict[str, Any], calls: dict[int, dict[str, Any]]) -> None:
    for field in ("content", "reasoning_content"):
        if delta.get(field):
            message[field] = message.get(field, "") + delta[field]
    pieces: list[dict[str, Any]] = delta.get("tool_calls") or []
    for piece in pieces:
        function: dict[str, Any] = piece.get("function") or {}
        call = calls.setdefault(
            piece.get("index", 0), {"type": "function", "id": "", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = call["id"] or piece.get("id") or ""
        call["function"]["name"] = call["function"]["name"] or function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""
