"""The API's blocks as parts: one table, for whole and streamed replies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.errors import kind_of
from tako.json_values import as_array, as_object, position_of, text_of
from tako.kit.arguments import decode_arguments
from tako.kit.blocks import state_of, vendor_part
from tako.kit.ids import read_id
from tako.parts import Citation, Part, ReasoningPart, TextPart, ToolCallPart
from tako.state import State

if TYPE_CHECKING:
    from tako.translator import PartContext

REDACTED = "redacted_thinking"
NOT_ID = re.compile(r"[^a-zA-Z0-9_-]")
"""A character that no id of a call may have, where the API itself minted it."""
LONGEST_ID = 256


def decode_block(block: Any, context: PartContext) -> Part | None:
    """Return the part that a block of a reply stands for, with its state; None if it holds nothing.

    Blocks without a kind of ours (tools that the vendor runs, their results, whatever is new) are kept as they are.
    """
    fields = as_object(block)
    if fields is None:
        context.notice(notices.LOST_PART, f"a block of the reply was lost: it is {kind_of(block)}, no object")
        return None
    match fields.get("type"):
        case "text" if isinstance(fields.get("text"), str):
            return _text(fields, context)
        case "thinking" if isinstance(fields.get("thinking"), str):
            return _thinking(fields, context)
        case "redacted_thinking":
            return ReasoningPart("", State(context.origin, fields))
        case "tool_use":
            return _call(fields, context)
        case kind:
            return vendor_part(text_of(kind), fields, context) if fields else None


def _text(block: dict[str, Any], context: PartContext) -> TextPart | None:
    state = state_of(block, ("type", "text"), context)
    citations = [read_citation(citation) for citation in as_array(block.get("citations")) or []]
    return TextPart(block["text"], citations, state=state) if block["text"] or state else None


def _thinking(block: dict[str, Any], context: PartContext) -> ReasoningPart | None:
    state = state_of(block, ("type", "thinking"), context)
    return ReasoningPart(block["thinking"], state or State(context.origin)) if block["thinking"] or state else None


def _call(block: dict[str, Any], context: PartContext) -> ToolCallPart:
    """Read a call. One with an id that the API wouldn't mint says who did, so that it goes back there as it is."""
    id, args = read_id(block.get("id")), block.get("input")
    state = state_of(block, ("type", "id", "name", "input"), context)
    if state is None and (NOT_ID.search(id) or len(id) > LONGEST_ID):
        state = State(context.origin)
    return ToolCallPart(id, text_of(block.get("name")), decode_arguments(args), state)


def read_citation(citation: Any) -> Citation:
    """Read a citation of any kind; ``start`` and ``end`` are of the source, so they stay in the state."""
    fields = as_object(citation) or {}
    source = text_of(fields.get("source"))
    url = text_of(fields.get("url")) or (source if source.startswith(("https://", "http://")) else "")
    document_index = fields.get("document_index")
    first_page, end_page = (position_of(fields.get(f"{end}_page_number")) for end in ("start", "end"))
    return Citation(
        url,
        text_of(fields.get("title")) or text_of(fields.get("document_title")),
        text_of(fields.get("cited_text")),
        source=""
        if url
        else source or text_of(fields.get("file_id")) or ("" if document_index is None else str(document_index)),
        page=first_page,
        last_page=None if end_page is None else max(end_page - 1, first_page or 0),  # the end isn't in it
    )
