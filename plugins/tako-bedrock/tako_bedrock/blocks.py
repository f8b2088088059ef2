"""Single parts to content blocks and back (https://docs.aws.amazon.com/bedrock/latest/APIReference, "ContentBlock")."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.json_values import as_array, as_object, position_of, text_of
from tako.kit.arguments import encode_arguments
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
from tako_bedrock.media import KINDS, decode_media, encode_media
from tako_bedrock.turns import model_phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.kit.families import Rules
    from tako.translator import PartContext

REDACTED = "redactedContent"
SERVER_TOOL = "server_tool_use"
"""The type of a call that the vendor runs itself."""


def encode_part(
    part: Part, context: PartContext, *, rules_for: Callable[[str], Rules] = rules_of
) -> dict[str, Any] | None:
    """Return the content block of one part, or None with a notice. ``rules_for(model)`` returns a model's rules."""
    match part:
        case VendorPart():
            return encode_vendor_part(part, context)
        case TextPart():
            block = _encode_text(part, context)
        case ImagePart() | ImageUrlPart() | FilePart() | FileUrlPart() | FileIdPart():
            block = encode_media(part, context)
        case ToolCallPart():
            block = {
                "toolUse": {"toolUseId": part.id, "name": part.name, "input": encode_arguments(part.args, context)}
            }
        case ToolResultPart():
            block = _encode_result(part, rules_for(context.origin.model), context)
        case ReasoningPart():
            block = _encode_reasoning(part, context)
        case _:  # a part of a later version, or of a plugin that wraps the translator
            return None
    return complete(block, part, context) if block is not None else None


def decode_block(block: Any, context: PartContext) -> Part | None:
    """Return the part of a reply's block. Calls of tools that the vendor runs are kept as they are."""
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
    content_left = without(content, "reasoningText", "text")
    data = without({**fields, "reasoningContent": content_left}, "reasoningContent")
    return ReasoningPart(text_of(text.get("text")), State(context.origin, data))


def _decode_cited(fields: dict[str, Any], context: PartContext) -> Part | None:
    """Read a text with its citations; they go back in the vendor's shape, around the text."""
    cited = as_object(fields["citationsContent"]) or {}
    texts = [as_object(block) or {} for block in as_array(cited.get("content")) or []]
    text = "".join([text_of(block.get("text")) for block in texts])
    rebuilt = ("content",) if [block.keys() for block in texts] == [{"text"}] else ()
    citations = [citation_of(as_object(citation) or {}) for citation in as_array(cited.get("citations")) or []]
    data = {**fields, "citationsContent": {name: value for name, value in cited.items() if name not in rebuilt}}
    return TextPart(text, citations, state=State(context.origin, data))


DECODERS: dict[str, Callable[[dict[str, Any], PartContext], Part | None]] = {
    "text": _decode_text,
    "toolUse": _decode_call,
    "reasoningContent": _decode_reasoning,
    "citationsContent": _decode_cited,
    **{kind: partial(decode_media, kind) for kind in KINDS},
}
"""A decoder for each kind of block that tako has a part for. It returns None if this block doesn't fit one."""


def citation_of(citation: dict[str, Any]) -> Citation:
    """Read a citation (CitationLocation of the API reference): its source, and the text that it quotes."""
    location = as_object(citation.get("location")) or {}
    position = as_object(next(iter(location.values()), None)) or {}
    quotes = [text_of((as_object(quote) or {}).get("text")) for quote in as_array(citation.get("sourceContent")) or []]
    source = text_of(citation.get("source"))
    index = next((str(value) for name, value in position.items() if name.endswith("Index")), "")
    return Citation(
        text_of(position.get("url")) or (source if "://" in source else ""),
        text_of(citation.get("title")),
        "".join(quotes),
        source=source or index,
        page=position_of(position.get("start")) if "documentPage" in location else None,
    )


def _encode_text(part: TextPart, context: PartContext) -> dict[str, Any] | None:
    state = part.state.data if part.state is not None and context.accepts(part, part.state.origin) else {}
    cited = as_object(state.get("citationsContent"))
    if cited is not None:
        return {} if "content" in cited else {"citationsContent": {"content": [{"text": part.text}]}}
    if not part.text.strip():  # the API refuses blocks of white space, too
        note_empty(part, context)
        return None
    return {"text": part.text}


def _encode_result(part: ToolResultPart, rules: Rules, context: PartContext) -> dict[str, Any]:
    result: dict[str, Any] = {"toolUseId": part.id, "content": _encode_result_content(part, context)}
    if part.is_error and rules.converse.status:
        result["status"] = "error"
    elif part.is_error:
        context.notice(
            notices.ERROR_FLAG,
            f"the error mark was left out: {model_phrase(rules)} doesn't accept one in a tool result",
        )
    return {"toolResult": result}


def _encode_result_content(part: ToolResultPart, context: PartContext) -> list[dict[str, Any]]:
    """Return a str as text, an object as JSON, parts as blocks. The API takes no other JSON, so that goes as text."""
    if isinstance(part.result, str):
        return [{"text": part.result}] if part.result.strip() else []
    if as_object(part.result) is not None:
        return [{"json": part.result}]
    parts = result_parts(part)
    if parts is None:
        return [{"text": encode(part.result).decode()}]
    return encode_inner(parts, context, accepted=(TextPart, *MEDIA), is_moved=lambda block: "audio" in block)


def _encode_reasoning(part: ReasoningPart, context: PartContext) -> dict[str, Any] | None:
    if is_foreign(part, context):
        return None
    content = as_object(part.state.data.get("reasoningContent")) if part.state is not None else None
    if content is not None and REDACTED in content:
        return {}
    if not part.text and content is None:
        context.notice(notices.EMPTY_TEXT, "an empty reasoning part was left out")
        return None
    return {"reasoningContent": {"reasoningText": {"text": part.text}}}
