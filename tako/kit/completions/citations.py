"""The sources that a reply cites, in the shapes that servers of this wire have for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import as_array, as_object, position_of, text_of
from tako.parts import Citation

if TYPE_CHECKING:
    from tako.kit.completions.blocks import Block


REFERENCES = ("reference", "tool_reference")
"""Types of Mistral's chunks that name sources."""


def annotated_citations(annotations: Any) -> list[Citation]:
    """Read a message's ``annotations``; those that aren't citations of addresses say nothing here."""
    citations = [
        as_object((as_object(annotation) or {}).get("url_citation")) for annotation in as_array(annotations) or []
    ]
    return [
        Citation(
            text_of(one.get("url")),
            text_of(one.get("title")),
            text_of(one.get("content")),
            position_of(one.get("start_index")),
            position_of(one.get("end_index")),
        )
        for one in citations
        if one is not None
    ]


def referenced_citations(chunk: Block) -> list[Citation]:
    """Read a chunk of Mistral's that names the sources of the text before it."""
    if chunk.get("type") == "reference":
        ids = as_array(chunk.get("reference_ids")) or []
        return [Citation(source=str(id)) for id in ids if isinstance(id, (int, str))]
    url, title, text, source = (text_of(chunk.get(name)) for name in ("url", "title", "description", "tool"))
    return [Citation(url, title, text, source=source)]
