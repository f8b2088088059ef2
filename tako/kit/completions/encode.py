"""A ChatRequest as a Chat Completions body."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tako import notices
from tako.kit.completions.dialect import Dialect
from tako.kit.completions.parameters import parameters
from tako.kit.completions.turns import arrange
from tako.kit.encoding import encode, encode_inner, is_foreign, merge, refuse_empty, result_parts
from tako.kit.images import image_address, inline_image, is_data_url
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tako.translator import PartContext, Translator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.types import ChatRequest


def encode_request(
    request: ChatRequest, model: str, translator: Translator, context: PartContext, dialect: Dialect, *, stream: bool
) -> dict[str, Any]:
    """Make the body of a request; what cannot be carried is noted in the context."""
    body: dict[str, Any] = {"model": request.model or model, "messages": arrange(request, translator, context)}
    refuse_empty(body["messages"], context)
    body.update(parameters(request, context, dialect))
    if stream:
        body["stream"] = True
        if dialect.stream_usage:
            body["stream_options"] = {"include_usage": True}
    return merge(body, request.extra) if request.extra else body


def translator_for(decode: Callable[[Any], Part | None], dialect: Dialect | None = None) -> Translator:
    """Make the dialect's translator."""
    return Translator(partial(encode_part, dialect=dialect or Dialect()), decode)


def encode_part(part: Part, context: PartContext, dialect: Dialect) -> Any:
    """Return the block of one part: content, a tool call, or a whole message for a tool result."""
    match part:
        case TextPart():
            return _text(part, context)
        case ImagePart() | ImageUrlPart():
            return _image(part, context)
        case ToolCallPart():
            function = {"name": part.name, "arguments": _arguments(part.args, context)}
            return {"id": part.id, "type": "function", "function": function}
        case ToolResultPart():
            return _result(part, context)
        case ReasoningPart():
            return _reasoning(part, context, dialect)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None


def _arguments(args: Any, context: PartContext) -> str:
    """Return arguments as JSON text; text that is none goes out inside an object, since servers parse it."""
    if not isinstance(args, str):
        return encode(args).decode()
    try:
        msgspec.json.decode(args or "{}")
    except (msgspec.DecodeError, UnicodeError):
        context.notice(notices.CHANGED_PART, "arguments that are not JSON went out inside an object")
        return encode({"arguments": args}).decode()
    return args or "{}"


def _text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    if not part.text:
        context.notice(notices.EMPTY_TEXT, "an empty text was left out")
        return None
    return {"type": "text", "text": part.text}


def _image(part: ImagePart | ImageUrlPart, context: PartContext) -> dict[str, Any] | None:
    if isinstance(part, ImageUrlPart) and not is_data_url(part):
        url = image_address(part, context)
        return {"type": "image_url", "image_url": {"url": url}} if url is not None else None
    inline = inline_image(part, context)
    if inline is None:
        return None
    return {"type": "image_url", "image_url": {"url": f"data:{inline[0]};base64,{inline[1]}"}}


def _result(part: ToolResultPart, context: PartContext) -> dict[str, Any]:
    if part.is_error:
        context.notice(notices.ERROR_FLAG, "the wire has no error mark for tool results; the text went out without it")
    return {"role": "tool", "tool_call_id": part.id, "content": result_text(part, context)}


def result_text(part: ToolResultPart, context: PartContext) -> str:
    """Return a tool result as text, for wires that take nothing else: a str as it is, parts joined, others as JSON."""
    items = result_parts(part)
    if items is None:
        return part.result if isinstance(part.result, str) else encode(part.result).decode()
    blocks = encode_inner(items, context, fits=(TextPart,))
    return "".join([block.get("text", "") for block in blocks])


def _reasoning(part: ReasoningPart, context: PartContext, dialect: Dialect) -> dict[str, Any] | None:
    if is_foreign(part, context):
        return None
    if dialect.reasoning_text is None:
        context.notice(notices.UNSUPPORTED_PART, "reasoning was left out: the wire takes none back")
        return None
    if not part.text:
        context.notice(notices.EMPTY_TEXT, "reasoning without text was left out")
        return None
    return {dialect.reasoning_text: part.text}
