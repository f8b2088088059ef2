"""What a reply rests on, by ``citationMetadata`` and ``groundingMetadata`` of its candidate.

https://cloud.google.com/vertex-ai/generative-ai/docs/grounding/overview; the places of segments count bytes of UTF-8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako.json_values import as_array, as_object, count_of, position_of, text_of
from tako.parts import Citation, Part, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterator


def cited(parts: list[Part], candidate: dict[str, Any]) -> list[Part]:
    """Return the parts with the reply's citations on the last text, if nothing but signatures follows it."""
    place = next((i for i in range(len(parts) - 1, -1, -1) if getattr(parts[i], "text", "")), None)
    last = parts[place] if place is not None else None
    if place is None or not isinstance(last, TextPart) or any(not isinstance(p, TextPart) for p in parts[place:]):
        return parts
    alone = not any(isinstance(part, TextPart) and part.text for part in parts[:place])
    found = citations(candidate, last.text if alone else None)
    return [*parts[:place], replace(last, citations=found), *parts[place + 1 :]] if found else parts


def citations(candidate: dict[str, Any], text: str | None) -> list[Citation]:
    """List a candidate's citations; ``text`` is its whole text, None if their places can't be told."""
    return [*_sources(candidate, text), *_grounding(candidate, text)]


def _sources(candidate: dict[str, Any], text: str | None) -> Iterator[Citation]:
    metadata = as_object(candidate.get("citationMetadata")) or {}
    for source in as_array(metadata.get("citations")) or as_array(metadata.get("citationSources")) or ():
        fields = as_object(source) or {}
        start, end = _place(fields, text)
        yield Citation(text_of(fields.get("uri")), text_of(fields.get("title")), "", start, end)


def _grounding(candidate: dict[str, Any], text: str | None) -> Iterator[Citation]:
    metadata = as_object(candidate.get("groundingMetadata")) or {}
    chunks = as_array(metadata.get("groundingChunks")) or []
    supports = as_array(metadata.get("groundingSupports")) or [{"groundingChunkIndices": range(len(chunks))}]
    for support in supports:
        fields = as_object(support) or {}
        start, end = _place(as_object(fields.get("segment")), text)
        for index in fields.get("groundingChunkIndices") or ():
            source = as_object(chunks[index]) if isinstance(index, int) and 0 <= index < len(chunks) else None
            inner = as_object(next(iter(source.values()), None)) if source else None
            if inner is not None:
                url, title, said = (text_of(inner.get(name)) for name in ("uri", "title", "text"))
                span = as_object((as_object(inner.get("ragChunk")) or {}).get("pageSpan")) or {}
                page = position_of(span.get("firstPage")) or position_of(inner.get("pageNumber"))
                yield Citation(url, title, said, start, end, "", page, position_of(span.get("lastPage")) or page)


def _place(segment: dict[str, Any] | None, text: str | None) -> tuple[int | None, int | None]:
    """Turn places in bytes into places in characters."""
    if segment is None or text is None or "endIndex" not in segment:
        return None, None
    data = text.encode("utf-8", "surrogatepass")
    ends = [count_of(segment.get(name)) for name in ("startIndex", "endIndex")]
    start, end = (len(data[:at].decode("utf-8", "ignore")) for at in ends)
    return start, end
