"""Single parts to content blocks and back (https://docs.aws.amazon.com/bedrock/latest/APIReference, "ContentBlock")."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tako import notices
from tako.kit.arguments import as_arguments
from tako.kit.completions.decode import mint_id
from tako.kit.encoding import encode, encode_inner, is_foreign, result_parts
from tako.kit.images import inline_image, is_data_url
from tako.loose import as_array, as_object, text_of
from tako.parts import (
    IMAGE_TYPES,
    ImagePart,
    ImageUrlPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

if TYPE_CHECKING:
    from tako.translator import PartContext

REDACTED = "redactedContent"
SERVER_TOOL = "server_tool_use"
"""The type of a call that the vendor's side runs itself."""
FORMATS = {"jpg": "jpeg", **{mime.removeprefix("image/"): mime.removeprefix("image/") for mime in IMAGE_TYPES}}
"""Suffixes of files, and the formats that they stand for."""

_IN_S3 = re.compile(r"s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?")  # the API's own pattern


def encode_part(part: Part, context: PartContext, *, fetches: bool = False) -> dict[str, Any] | None:
    """Return the content block of one part, or None with a notice.

    With ``fetches`` the place of an image that tako fetches is held by ``{"image": {"url", "path"}}``.
    """
    match part:
        case TextPart():
            return _text(part, context)
        case ImagePart() | ImageUrlPart():
            return _image(part, context, fetches=fetches)
        case ToolCallPart():
            return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": as_arguments(part.args, context)}}
        case ToolResultPart():
            return _result(part, context)
        case ReasoningPart():
            return _reasoning(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None


def decode_block(block: Any, provider: str) -> Part | None:
    """Return the part that a block of a reply stands for; calls that the vendor's side ran are none of ours."""
    found = as_object(block) or {}
    match next(iter(found), None):
        case "text":
            return TextPart(text_of(found["text"])) if found["text"] else None
        case "toolUse":
            return _call(as_object(found["toolUse"]) or {})
        case "reasoningContent":
            return _thought(as_object(found["reasoningContent"]) or {}, provider)
        case "citationsContent":
            cited = as_object(found["citationsContent"]) or {}
            pieces = [as_object(piece) or {} for piece in as_array(cited.get("content")) or []]
            text = "".join([text_of(piece.get("text")) for piece in pieces])
            return TextPart(text) if text else None
        case "image":
            image = as_object(found["image"]) or {}
            return _picture(as_object(image.get("source")) or {}, f"image/{image.get('format')}")
        case _:
            return None


def _picture(source: dict[str, Any], mime: str) -> ImagePart | ImageUrlPart | None:
    data, place = text_of(source.get("bytes")), text_of((as_object(source.get("s3Location")) or {}).get("uri"))
    if data:
        return ImagePart(mime, data)
    return ImageUrlPart(place, mime) if place else None


def _call(call: dict[str, Any]) -> ToolCallPart | None:
    if call.get("type") == SERVER_TOOL:
        return None
    args = call.get("input")
    return ToolCallPart(
        text_of(call.get("toolUseId")) or mint_id(), text_of(call.get("name")), {} if args is None else args
    )


def _thought(content: dict[str, Any], provider: str) -> ReasoningPart | None:
    if content.get(REDACTED):
        return ReasoningPart("", None, provider, {REDACTED: content[REDACTED]})
    text = as_object(content.get("reasoningText"))
    if text is None:
        return None
    return ReasoningPart(text_of(text.get("text")), text_of(text.get("signature")) or None, provider)


def _text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    if not part.text.strip():  # blocks of white space are refused, too
        context.notice(notices.EMPTY_TEXT, "an empty text was left out")
        return None
    return {"text": part.text}


def _inline(part: ImagePart | ImageUrlPart, context: PartContext) -> dict[str, Any] | None:
    inline = inline_image(part, context)
    if inline is None:
        return None
    return {"image": {"format": inline[0].removeprefix("image/"), "source": {"bytes": inline[1]}}}


def _image(part: ImagePart | ImageUrlPart, context: PartContext, *, fetches: bool) -> dict[str, Any] | None:
    if isinstance(part, ImagePart) or is_data_url(part):
        return _inline(part, context)
    scheme = part.url.partition(":")[0].lower()
    if _IN_S3.fullmatch(part.url):
        return _in_s3(part, context)
    if scheme in ("https", "http") and fetches:
        return {"image": {"url": part.url, "path": context.path}}
    text = "an image was left out: Bedrock fetches none but from S3"
    hint = "; url_prefetch=True lets tako fetch it" if scheme in ("https", "http") else ""
    context.notice(notices.UNSUPPORTED_URL, text + hint)
    return None


def _in_s3(part: ImageUrlPart, context: PartContext) -> dict[str, Any] | None:
    """Bedrock reads from S3 itself; the format is read from the type, or from the suffix."""
    suffix = PurePosixPath(urlsplit(part.url).path).suffix[1:].lower()
    kind = FORMATS.get((part.mime or f"image/{suffix}").lower().removeprefix("image/"))
    if kind is None:
        context.notice(notices.UNSUPPORTED_MEDIA_TYPE, "an image in S3 was left out: give its mime type")
        return None
    return {"image": {"format": kind, "source": {"s3Location": {"uri": part.url}}}}


def _result(part: ToolResultPart, context: PartContext) -> dict[str, Any]:
    result: dict[str, Any] = {"toolUseId": part.id, "content": _result_content(part, context)}
    if part.is_error:
        result["status"] = "error"
    return {"toolResult": result}


def _result_content(part: ToolResultPart, context: PartContext) -> list[dict[str, Any]]:
    """A str as text, an object as JSON, parts as blocks; the API takes no other JSON, so that goes as text."""
    if isinstance(part.result, str):
        return [{"text": part.result}] if part.result.strip() else []
    if as_object(part.result) is not None:
        return [{"json": part.result}]
    parts = result_parts(part)
    if parts is None:
        return [{"text": encode(part.result).decode()}]
    return encode_inner(parts, context, fits=(TextPart, ImagePart, ImageUrlPart))


def _reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if is_foreign(part, context):
        return None
    if part.data is not None:
        return {"reasoningContent": part.data}
    text: dict[str, Any] = {"text": part.text}
    if part.signature:
        text["signature"] = part.signature
    return {"reasoningContent": {"reasoningText": text}}
