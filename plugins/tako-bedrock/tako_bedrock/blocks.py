"""Single parts to content blocks and back (https://docs.aws.amazon.com/bedrock/latest/APIReference, "ContentBlock")."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.json_values import as_array, as_object, position_of, text_of
from tako.kit.arguments import as_arguments
from tako.kit.blocks import state_of, vendor_part, without
from tako.kit.encoding import complete, encode, encode_inner, encode_vendor_part, is_foreign, note_empty, result_parts
from tako.kit.families import rules_of
from tako.kit.files import MEDIA
from tako.parts import (
    Citation,
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
from tako.state import State
from tako_bedrock.files import KINDS, decode_media, encode_media
from tako_bedrock.turns import who

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.kit.families import Rules
    from tako.translator import PartContext

REDACTED = "redactedContent"
SERVER_TOOL = "server_tool_use"
"""The type of a call that the vendor's side runs itself."""


def encode_part(
    part: Part, context: PartContext, *, rules_for: Callable[[str], Rules] = rules_of
) -> dict[str, Any] | None:
    """Return the content block of one part, or None with a notice. ``rules_for(model)`` tells what a model takes."""
    match part:
        case VendorPart():
            return encode_vendor_part(part, context)
        case TextPart():
            block = _text(part, context)
        case ImagePart() | ImageUrlPart() | FilePart() | FileUrlPart() | FileIdPart():
            block = encode_media(part, context)
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


DECODERS: dict[str, Callable[[dict[str, Any], PartContext], Part | None]] = {
    "text": _decode_text,
    "toolUse": _decode_call,
    "reasoningContent": _decode_reasoning,
    "citationsContent": _decode_cited,
    **{kind: partial(decode_media, kind) for kind in KINDS},
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
        page=position_of(place.get("start")) if "documentPage" in location else None,
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


def _result(part: ToolResultPart, rules: Rules, context: PartContext) -> dict[str, Any]:
    result: dict[str, Any] = {"toolUseId": part.id, "content": _result_content(part, context)}
    if part.is_error and rules.converse.status:
        result["status"] = "error"
    elif part.is_error:
        context.notice(
            notices.ERROR_FLAG, f"the error mark was left out: {who(rules)} doesn't accept one in a tool result"
        )
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
    return encode_inner(parts, context, fits=(TextPart, *MEDIA), moved=lambda block: "audio" in block)


def _reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if is_foreign(part, context):
        return None
    kept = as_object(part.state.data.get("reasoningContent")) if part.state is not None else None
    if kept is not None and REDACTED in kept:
        return {}
    if not part.text and kept is None:
        context.notice(notices.EMPTY_TEXT, "an empty reasoning part was left out")
        return None
    return {"reasoningContent": {"reasoningText": {"text": part.text}}}
