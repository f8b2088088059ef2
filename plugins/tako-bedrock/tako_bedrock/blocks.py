"""Single parts to content blocks and back (https://docs.aws.amazon.com/bedrock/latest/APIReference, "ContentBlock")."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tako import notices
from tako.kit.arguments import as_arguments
from tako.kit.blocks import state_of, vendor_part, without
from tako.kit.encoding import complete, encode, encode_inner, encode_vendor_part, is_foreign, note_empty, result_parts
from tako.kit.families import rules_of
from tako.kit.images import inline_image, is_data_url
from tako.loose import as_array, as_object, text_of
from tako.media import IMAGE_TYPES
from tako.parts import (
    Citation,
    ImagePart,
    ImageUrlPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from tako.state import State
from tako_bedrock.turns import who

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.kit.families import Rules
    from tako.translator import PartContext

REDACTED = "redactedContent"
SERVER_TOOL = "server_tool_use"
"""The type of a call that the vendor's side runs itself."""
FORMATS = {"jpg": "jpeg", **{mime.removeprefix("image/"): mime.removeprefix("image/") for mime in IMAGE_TYPES}}
"""Suffixes of files, and the formats that they stand for."""

_IN_S3 = re.compile(r"s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?")  # the API's own pattern


def encode_part(
    part: Part, context: PartContext, *, fetches: bool = False, rules_for: Callable[[str], Rules] = rules_of
) -> dict[str, Any] | None:
    """Return the content block of one part, or None with a notice.

    With ``fetches`` the place of an image that tako fetches is held by ``{"image": {"url", "path"}}``.
    ``rules_for(model)`` tells what a model takes.
    """
    match part:
        case VendorPart():
            return encode_vendor_part(part, context)
        case TextPart():
            block = _text(part, context)
        case ImagePart() | ImageUrlPart():
            block = _image(part, context, fetches=fetches)
        case ToolCallPart():
            block = {"toolUse": {"toolUseId": part.id, "name": part.name, "input": as_arguments(part.args, context)}}
        case ToolResultPart():
            block = _result(part, rules_for(context.origin.model), context)
        case ReasoningPart():
            block = _reasoning(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None
    return complete(block, part, context) if block is not None else None


def decode_block(block: Any, context: PartContext) -> Part | None:
    """Return the part that a block of a reply stands for. Tools that ran on the vendor's side are kept as they are."""
    fields = as_object(block) or {}
    kind = next((name for name in DECODERS if name in fields), None)
    part = DECODERS[kind](fields, context) if kind is not None else None
    if part is not None or not fields or fields.get("text") == "":
        return part
    return vendor_part(next(iter(fields)), fields, context)


def _decode_text(fields: dict[str, Any], context: PartContext) -> Part | None:
    text = text_of(fields["text"])
    return TextPart(text, state=state_of(fields, ("text",), context)) if text else None


def _decode_call(fields: dict[str, Any], context: PartContext) -> Part | None:
    call = as_object(fields["toolUse"])
    if call is None or call.get("type") == SERVER_TOOL:
        return None
    args = call.get("input")
    state = state_of(without(fields, "toolUse", "toolUseId", "name", "input"), (), context)
    return ToolCallPart(text_of(call.get("toolUseId")), text_of(call.get("name")), {} if args is None else args, state)


def _decode_reasoning(fields: dict[str, Any], context: PartContext) -> Part | None:
    content = as_object(fields["reasoningContent"]) or {}
    text = as_object(content.get("reasoningText"))
    if text is None:
        return ReasoningPart("", State(context.origin, fields)) if content.get(REDACTED) else None
    kept = without(content, "reasoningText", "text")
    data = without({**fields, "reasoningContent": kept}, "reasoningContent")
    return ReasoningPart(text_of(text.get("text")), State(context.origin, data))


def _decode_cited(fields: dict[str, Any], context: PartContext) -> Part | None:
    """Read a text with its citations; they go back in the vendor's shape, around the text."""
    cited = as_object(fields["citationsContent"]) or {}
    pieces = [as_object(piece) or {} for piece in as_array(cited.get("content")) or []]
    text = "".join([text_of(piece.get("text")) for piece in pieces])
    known = ("content",) if [piece.keys() for piece in pieces] == [{"text"}] else ()
    found = [citation_of(as_object(one) or {}) for one in as_array(cited.get("citations")) or []]
    data = {**fields, "citationsContent": {name: value for name, value in cited.items() if name not in known}}
    return TextPart(text, found, state=State(context.origin, data))


def _decode_image(fields: dict[str, Any], context: PartContext) -> Part | None:
    image = as_object(fields["image"]) or {}
    source, mime = as_object(image.get("source")) or {}, f"image/{image.get('format')}"
    place = as_object(source.get("s3Location")) or {}
    data, url = source.get("bytes"), place.get("uri")
    if isinstance(data, str) and data:
        return ImagePart(mime, data, state_of(without(fields, "image", "format", "source"), (), context))
    if not isinstance(url, str) or not url:
        return None
    rest = {**image, "source": without(source, "s3Location", "uri") or None}
    return ImageUrlPart(url, mime, state_of(without({**fields, "image": rest}, "image", "format"), (), context))


DECODERS = {
    "text": _decode_text,
    "toolUse": _decode_call,
    "reasoningContent": _decode_reasoning,
    "citationsContent": _decode_cited,
    "image": _decode_image,
}
"""The kinds of blocks that have a part of ours. Each may find that this one has none."""


def citation_of(citation: dict[str, Any]) -> Citation:
    """Read a citation (CitationLocation of the API reference): where it is from, and what the source says."""
    location = as_object(citation.get("location")) or {}
    place = as_object(next(iter(location.values()), None)) or {}
    said = [text_of((as_object(one) or {}).get("text")) for one in as_array(citation.get("sourceContent")) or []]
    source = text_of(citation.get("source"))
    index = next((str(value) for name, value in place.items() if name.endswith("Index")), "")
    return Citation(
        text_of(place.get("url")) or (source if "://" in source else ""),
        text_of(citation.get("title")),
        "".join(said),
        source=source or index,
    )


def _text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    state = part.state.data if part.state is not None and context.accepts(part, part.state.origin) else {}
    cited = as_object(state.get("citationsContent"))
    if cited is not None:
        return {} if "content" in cited else {"citationsContent": {"content": [{"text": part.text}]}}
    if not part.text.strip():  # blocks of white space are refused, too
        note_empty(part, context)
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


def _result(part: ToolResultPart, rules: Rules, context: PartContext) -> dict[str, Any]:
    result: dict[str, Any] = {"toolUseId": part.id, "content": _result_content(part, context)}
    if part.is_error and rules.converse.status:
        result["status"] = "error"
    elif part.is_error:
        context.notice(notices.ERROR_FLAG, f"the error mark was left out: {who(rules)} takes none in a tool result")
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
    kept = as_object(part.state.data.get("reasoningContent")) if part.state is not None else None
    if kept is not None and REDACTED in kept:
        return {}
    if not part.text and kept is None:
        context.notice(notices.EMPTY_TEXT, "a reasoning without anything was left out")
        return None
    return {"reasoningContent": {"reasoningText": {"text": part.text}}}
