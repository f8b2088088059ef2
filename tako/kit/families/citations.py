"""Citations of documents, which Claude has for all documents of a request or for none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.json_values import as_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tako.translator import PartContext


def note_mixed_citations(documents: Iterable[tuple[dict[str, Any], str]], context: PartContext) -> None:
    """Note documents that don't enable citations where others do; ``documents`` are blocks with their paths.

    https://platform.claude.com/docs/en/build-with-claude/citations: "Citations must be enabled on all or none of the
    documents within a request."
    """
    paths: dict[bool, list[str]] = {True: [], False: []}
    for block, path in documents:
        paths[bool((as_object(block.get("citations")) or {}).get("enabled"))].append(path)
    if paths[True]:
        for path in paths[False]:
            text = "this document has no citations, though others have: Claude wants them for all documents or for none"
            context.notice(notices.MIXED_CITATIONS, text, path)
