"""Single parts as content blocks (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.arguments import as_arguments
from tako.kit.encoding import encode, encode_inner, is_foreign, result_parts
from tako.kit.images import image_address, inline_image, is_data_url
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from tako.translator import PartContext
    from tako.types import Tool

EPHEMERAL = {"type": "ephemeral"}


def encode_part(part: Part, context: PartContext) -> dict[str, Any] | None:
    """Return the content block of one part, or None with a notice."""
    match part:
        case TextPart():
            block = _text(part, context)
        case ImagePart() | ImageUrlPart():
            block = _image(part, context)
        case ToolCallPart():
            block = {"type": "tool_use", "id": part.id, "name": part.name, "input": as_arguments(part.args, context)}
        case ToolResultPart():
            block = _result(part, context)
        case ReasoningPart():
            return _reasoning(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None
    if block is not None and part.cache:
        block["cache_control"] = EPHEMERAL
    return block


def encode_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool's declaration; the API wants the schema of an object."""
    described = {"description": tool.description} if tool.description else {}
    schema = tool.input_schema if "type" in tool.input_schema else {"type": "object", **tool.input_schema}
    return {"name": tool.name, **described, "input_schema": schema}


def _text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    if not part.text.strip():  # the API refuses blocks of white space, too
        context.notice(notices.EMPTY_TEXT, "an empty text was left out")
        return None
    return {"type": "text", "text": part.text}


def _image(part: ImagePart | ImageUrlPart, context: PartContext) -> dict[str, Any] | None:
    if isinstance(part, ImageUrlPart) and not is_data_url(part):
        url = image_address(part, context)
        return {"type": "image", "source": {"type": "url", "url": url}} if url is not None else None
    inline = inline_image(part, context)
    if inline is None:
        return None
    return {"type": "image", "source": {"type": "base64", "media_type": inline[0], "data": inline[1]}}


def _result(part: ToolResultPart, context: PartContext) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.id}
    content = _result_content(part, context)
    if content:
        block["content"] = content
    if part.is_error:
        block["is_error"] = True
    return block


def _result_content(part: ToolResultPart, context: PartContext) -> str | list[dict[str, Any]]:
    """A str as it is, parts as blocks, any other value as JSON."""
    if isinstance(part.result, str):
        return part.result
    parts = result_parts(part)
    if parts is None:
        return encode(part.result).decode()
    return encode_inner(parts, context, fits=(TextPart, ImagePart, ImageUrlPart))


def _reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if is_foreign(part, context):
        return None
    if part.data is not None:
        return part.data
    if not part.signature:  # "" comes from thinking that was cut, and from servers that sign nothing
        context.notice(notices.UNSUPPORTED_PART, "reasoning was left out: without its signature it is not taken back")
        return None
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}
