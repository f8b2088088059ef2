"""Single parts and tools as the API's blocks (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.json_values import as_array, as_object
from tako.kit.arguments import encode_arguments
from tako.kit.encoding import (
    complete,
    encode,
    encode_inner,
    encode_vendor_part,
    is_foreign,
    note_empty,
    result_parts,
)
from tako.kit.files import FETCHING, MEDIA, MediaPart, decoded_text, is_fetched, read_media
from tako.kit.messages.decode import REDACTED
from tako.media import IMAGE_TYPES, canonical_type
from tako.parts import (
    FileIdPart,
    FilePart,
    FileUrlPart,
    ImagePart,
    ImageUrlPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)

if TYPE_CHECKING:
    from tako.kit.files import Media
    from tako.translator import PartContext
    from tako.types import Tool


PDF = "application/pdf"


def encode_part(part: Part, context: PartContext) -> dict[str, Any] | None:
    """Return the content block of one part, or None with a notice."""
    match part:
        case TextPart():
            block = _text(part, context)
        case ImagePart() | ImageUrlPart() | FilePart() | FileUrlPart() | FileIdPart():
            block = _media(part, context)
        case ToolCallPart():
            block = {
                "type": "tool_use",
                "id": part.id,
                "name": part.name,
                "input": encode_arguments(part.args, context),
            }
        case ToolResultPart():
            block = _result(part, context)
        case ReasoningPart():
            return None if is_foreign(part, context) else _reasoning(part, context)
        case VendorPart():
            vendor_block = encode_vendor_part(part, context)
            return None if vendor_block is None else _without_reply_fields(vendor_block)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None
    if block is None:
        return None
    if part.cache:
        block["cache_control"] = cache_control(part.cache)
    block = complete(block, part, context)
    return block if part.state is None else _without_reply_fields(block)


def encode_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool's declaration."""
    description = {"description": tool.description} if tool.description else {}
    block: dict[str, Any] = {"name": tool.name, **description, "input_schema": tool.input_schema}
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


def _media(part: MediaPart, context: PartContext) -> dict[str, Any] | None:
    """Encode an image, or a document: PDF by its bytes, address or id, text by its bytes."""
    media = read_media(part, context, takes=_is_accepted)
    if media is None:
        return None
    is_text = media.kind == "text" and not media.id
    if is_text and media.url:
        return {"type": "text", "text": FETCHING} if is_fetched(media, part, context) else None
    source = _source(media)
    if is_text and not source["data"].strip():
        context.notice(notices.EMPTY_TEXT, "an empty file was left out")
        return None
    if media.kind == "image":
        return {"type": "image", "source": source}
    return {"type": "document", "source": source, **({"title": media.name} if media.name else {})}


def _is_accepted(media: Media) -> bool:
    """Whether the API takes a file of that type. An address or an id that doesn't tell it is taken for a PDF's."""
    mime = canonical_type(media.mime)
    if media.kind == "image":
        return mime in IMAGE_TYPES or not media.data
    return media.kind == "text" or mime == PDF or not (mime or media.data)


def _source(media: Media) -> dict[str, Any]:
    if media.id:
        return {"type": "file", "file_id": media.id}
    if media.url:
        return {"type": "url", "url": media.url}
    if media.kind == "text":
        return {"type": "text", "media_type": "text/plain", "data": decoded_text(media)}
    return {"type": "base64", "media_type": canonical_type(media.mime), "data": media.data}


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
    return encode_inner(parts, context, accepted=(TextPart, *MEDIA, VendorPart))


def _reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    data = part.state.data if part.state is not None else {}
    if not (part.text or data):
        context.notice(notices.EMPTY_TEXT, "an empty reasoning part was left out")
        return None
    is_redacted = data.get("type") == REDACTED
    return complete({} if is_redacted else {"type": "thinking", "thinking": part.text}, part, context)


def _without_reply_fields(block: dict[str, Any]) -> dict[str, Any]:
    """Take off what replies have and requests may not: fields that are null, and the file ids of citations.

    The API answers 400 to fields that its input types don't have, null or not.
    """
    block = {name: value for name, value in block.items() if value is not None}
    if citations := as_array(block.get("citations")):
        block["citations"] = [_without_file(citation) for citation in citations]
    if block.get("type") == "mcp_tool_result" and (content := as_array(block.get("content"))):
        block["content"] = [_without_reply_fields(as_object(inner) or {}) for inner in content]
    return block


def _without_file(citation: Any) -> Any:
    fields = as_object(citation)
    return citation if fields is None else {name: value for name, value in fields.items() if name != "file_id"}
