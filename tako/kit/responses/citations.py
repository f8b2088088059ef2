"""Annotations of a text as citations (the types of openai 3.57, ResponseOutputText)."""

from __future__ import annotations

from typing import Any

from tako.json_values import position_of, text_of
from tako.parts import Citation


def citation_of(annotation: dict[str, Any]) -> Citation:
    """Read an annotation: of a page on the web, of a file, or of a file that code has made."""
    start, end = (position_of(annotation.get(name)) for name in ("start_index", "end_index"))
    title = text_of(annotation.get("title")) or text_of(annotation.get("filename"))
    return Citation(text_of(annotation.get("url")), title, "", start, end, text_of(annotation.get("file_id")))
