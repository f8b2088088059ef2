"""The wire of llama.cpp's in-process server: Chat Completions, as Python values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako import notices
from tako.kit.completions import Dialect, encode_request, translator_for
from tako.kit.exchange import Exchange
from tako.kit.schemas import PLAIN
from tako.parts import ImagePart, ImageUrlPart
from tako.state import Origin
from tako.translator import PartContext, Translator

if TYPE_CHECKING:
    from tako.parts import Part
    from tako.types import ChatRequest
    from tako_llamacpp.gguf import Header


def dialect(header: Header) -> Dialect:
    """Return llama.cpp's dialect. If the template supports reasoning, reasoning is sent back."""
    supports_reasoning = "reasoning_content" in header.template
    return Dialect(
        wire=PLAIN,
        metadata=False,
        reasoning_effort=None,
        reasoning_text=None if supports_reasoning else "",
        file=lambda _: None,
    )


def supports_tools(header: Header) -> bool:
    """Whether the model's chat template supports tools. If it doesn't, llama.cpp silently leaves them out."""
    return "tools" in header.template


def translator(header: Header) -> Translator:
    """Make the dialect's translator, without images, because they would need a second model file.

    Of files, only text goes to the model.
    """
    inner = translator_for(dialect(header))

    def encode(part: Part, context: PartContext) -> Any:
        if isinstance(part, (ImagePart, ImageUrlPart)):
            context.notice(notices.UNSUPPORTED_PART, "an image was left out: models in this process can't see images")
            return None
        return inner.encode(part, context)

    return Translator(encode, inner.decode)


def encode(request: ChatRequest, model: str, translator: Translator, name: str, header: Header) -> Exchange:
    """Encode a request. What the model doesn't support is left out, with a notice."""
    context = PartContext(Origin(name, model), request)
    if request.model not in (None, model):
        context.notice(
            notices.UNSUPPORTED_PARAMETER, f"model={request.model!r} was left out: {model} is loaded", "model"
        )
    if request.tools and not supports_tools(header):
        context.notice(
            notices.UNSUPPORTED_PARAMETER,
            "tools were left out: the model's chat template doesn't support them",
            "tools",
        )
        request = replace(request, tools=[], tool_choice=None)
    body = encode_request(replace(request, model=None), model, translator, context, dialect(header), stream=True)
    return Exchange("", msgspec.to_builtins(body), context)


def event(chunk: dict[str, Any]) -> bytes:
    """Frame a chunk as the dialect's decoder reads it."""
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
