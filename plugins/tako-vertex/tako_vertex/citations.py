"""Citations of a reply: ``citationMetadata`` and ``groundingMetadata`` of its candidate.

https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/grounding/overview

Indexes of segments count bytes of UTF-8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.json_values import as_array, as_object, count_of, position_of, text_of
from tako.parts import Citation, Part, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterator


def add_citations(parts: list[Part], candidate: dict[str, Any]) -> list[Part]:
    """Return the parts with the reply's citations on the last text, if only signatures follow it."""
    index = next((i for i in range(len(parts) - 1, -1, -1) if getattr(parts[i], "text", "")), None)
    last_text = parts[index] if index is not None else None
    if (
        index is None
        or not isinstance(last_text, TextPart)
        or any(not isinstance(part, TextPart) for part in parts[index:])
    ):
        return parts
    is_only_text = not any(isinstance(part, TextPart) and part.text for part in parts[:index])
    cited_sources = citations(candidate, last_text.text if is_only_text else None)
    return (
        [*parts[:index], replace(last_text, citations=cited_sources), *parts[index + 1 :]] if cited_sources else parts
    )


def citations(candidate: dict[str, Any], text: str | None) -> list[Citation]:
    """List a candidate's citations. ``text`` is its whole text, None if their positions aren't known."""
    return [*_citation_metadata(candidate, text), *_grounding_metadata(candidate, text)]


def _citation_metadata(candidate: dict[str, Any], text: str | None) -> Iterator[Citation]:
    metadata = as_object(candidate.get("citationMetadata")) or {}
    for source in as_array(metadata.get("citations")) or as_array(metadata.get("citationSources")) or ():
        fields = as_object(source) or {}
        start, end = _span(fields, text)
        yield Citation(text_of(fields.get("uri")), text_of(fields.get("title")), "", start, end)


def _grounding_metadata(candidate: dict[str, Any], text: str | None) -> Iterator[Citation]:
    metadata = as_object(candidate.get("groundingMetadata")) or {}
    chunks = as_array(metadata.get("groundingChunks")) or []
    supports = as_array(metadata.get("groundingSupports")) or [{"groundingChunkIndices": range(len(chunks))}]
    for support in supports:
        fields = as_object(support) or {}
        start, end = _span(as_object(fields.get("segment")), text)
        for index in fields.get("groundingChunkIndices") or ():
            source = as_object(chunks[index]) if isinstance(index, int) and 0 <= index < len(chunks) else None
            inner = as_object(next(iter(source.values()), None)) if source else None
            if inner is not None:
                url, title, quote = (text_of(inner.get(name)) for name in ("uri", "title", "text"))
                span = as_object((as_object(inner.get("ragChunk")) or {}).get("pageSpan")) or {}
                page = position_of(span.get("firstPage")) or position_of(inner.get("pageNumber"))
                yield Citation(url, title, quote, start, end, "", page, position_of(span.get("lastPage")) or page)


def _span(segment: dict[str, Any] | None, text: str | None) -> tuple[int | None, int | None]:
    """Convert indexes of bytes to indexes of characters."""
    if segment is None or text is None or "endIndex" not in segment:
        return None, None
    data = text.encode("utf-8", "surrogatepass")
    ends = [count_of(segment.get(name)) for name in ("startIndex", "endIndex")]
    start, end = (len(data[:byte].decode("utf-8", "ignore")) for byte in ends)
    return start, end
