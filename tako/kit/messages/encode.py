"""Single parts and tools as the API's blocks (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.arguments import as_arguments
from tako.kit.encoding import (
    complete,
    encode,
    encode_inner,
    encode_vendor_part,
    is_foreign,
    note_empty,
    result_parts,
)
from tako.kit.images import image_address, inline_image, is_data_url
from tako.kit.messages.decode import REDACTED
from tako.loose import as_array, as_object
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, VendorPart

if TYPE_CHECKING:
    from tako.translator import PartContext
    from tako.types import Tool


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
            return None if is_foreign(part, context) else _reasoning(part, context)
        case VendorPart():
            vendors = encode_vendor_part(part, context)
            return None if vendors is None else _as_input(vendors)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None
    if block is None:
        return None
    if part.cache:
        block["cache_control"] = cache_control(part.cache)
    block = complete(block, part, context)
    return block if part.state is None else _as_input(block)


def encode_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool's declaration; the API wants the schema of an object."""
    described = {"description": tool.description} if tool.description else {}
    schema = tool.input_schema if "type" in tool.input_schema else {"type": "object", **tool.input_schema}
    block: dict[str, Any] = {"name": tool.name, **described, "input_schema": schema}
    if tool.strict is not None:
        block["strict"] = tool.strict
    if tool.cache:
        block["cache_control"] = cache_control(tool.cache)
    return block


def cache_control(cache: bool | str) -> dict[str, str]:
    """Return a cache mark; a str says how long it lasts."""
    return {"type": "ephemeral", "ttl": cache} if isinstance(cache, str) else {"type": "ephemeral"}


def _text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    if not part.text.strip():  # the API refuses blocks of white space, too
        note_empty(part, context)
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
    return encode_inner(parts, context, fits=(TextPart, ImagePart, ImageUrlPart, VendorPart))


def _reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    data = part.state.data if part.state is not None else {}
    if not (part.text or data):
        context.notice(notices.EMPTY_TEXT, "a reasoning without anything was left out")
        return None
    redacted = data.get("type") == REDACTED
    return complete({} if redacted else {"type": "thinking", "thinking": part.text}, part, context)


def _as_input(block: dict[str, Any]) -> dict[str, Any]:
    """Take off what replies have and requests may not: fields that are null, and the file ids of citations.

    The API answers 400 to fields that its input types don't have, null or not.
    """
    block = {name: value for name, value in block.items() if value is not None}
    if citations := as_array(block.get("citations")):
        block["citations"] = [_without_file(citation) for citation in citations]
    if block.get("type") == "mcp_tool_result" and (content := as_array(block.get("content"))):
        block["content"] = [_as_input(as_object(inner) or {}) for inner in content]
    return block


def _without_file(citation: Any) -> Any:
    fields = as_object(citation)
    return citation if fields is None else {name: value for name, value in fields.items() if name != "file_id"}
