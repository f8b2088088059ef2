"""Documents and audio as Converse requires them: documents with names and a text beside them, no audio in tool results.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html and .../API_runtime_Message.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.file_limits import MB, Limit
from tako.kit.turns import Item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.turns import Turn
    from tako.translator import PartContext

ADDED_TEXT = "See the document."
"""The text that goes with a document if the user sends none."""
MAX_NAME_LENGTH = 200
RESTRICTIONS = "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-api-restrictions.html"
PDF, DOCX = "application/pdf", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
OLD_CLAUDE = re.compile(r"claude-(v?[12]\b|instant|3)")
_NOT_NAME = re.compile(r"[^a-zA-Z0-9\s()\[\]-]|\s")


def document_limits(family: str, model: str) -> tuple[Limit, ...]:
    """Return how many documents Converse takes: five, of 4.5 MB each. PDF has no limit on newer Claudes and Nova."""
    exempt: tuple[str, ...] = (PDF, DOCX) if family == "nova" else ()
    if family == "claude" and not OLD_CLAUDE.search(model):
        exempt = (PDF,)
    kinds = ("document", "text")
    return (Limit(RESTRICTIONS, kinds, count=5), Limit(RESTRICTIONS, kinds, each=int(4.5 * MB), exempt=exempt))


def arrange_media(turn: Turn, context: PartContext) -> None:
    """Move audio out of a turn's tool results, after them, and add a text if a turn has documents but no text."""
    results = [item for item in turn.items if item.kind == "toolResult"]
    audio = [Item(block, "audio", cached=False, path=item.path) for item in results for block in _take_audio(item)]
    turn.items[len(results) : len(results)] = audio
    kinds = [item.kind for item in turn.items]
    if turn.role == "user" and "document" in kinds and "text" not in kinds:
        path = turn.items[kinds.index("document")].path
        context.notice(
            notices.ADDED_TEXT, f"{ADDED_TEXT!r} was added beside a document: Converse needs a text there", path
        )
        turn.items.append(Item({"text": ADDED_TEXT}, "text", cached=False, path=path))


def name_documents(turns: list[Turn]) -> None:
    """Give the documents unique names that Converse accepts. A name depends only on the documents before it."""
    items = [item for turn in turns for item in turn.items]
    used_names = {
        str(item.block["document"].get("name")).lower() for item in items if item.kind == "document" and item.is_own
    }
    for document in [document for item in items if not item.is_own for document in _documents(item)]:
        base = name = _valid_name(document)
        number = 2
        while name.lower() in used_names:
            name = f"{base[: MAX_NAME_LENGTH - 6]} {number}"
            number += 1
        used_names.add(name.lower())
        document["name"] = name


def documents_in(turns: list[Turn]) -> list[tuple[dict[str, Any], str]]:
    """List the documents of a conversation, also those in tool results, each with the path of its part."""
    items = [item for turn in turns for item in turn.items]
    return [(document, item.path) for item in items for document in _documents(item)]


def _valid_name(document: dict[str, Any]) -> str:
    name = str(document.get("name") or "").removesuffix(f".{document.get('format')}")
    return " ".join(_NOT_NAME.sub(" ", name).split())[:MAX_NAME_LENGTH].strip() or "document"


def _documents(item: Item) -> Iterator[dict[str, Any]]:
    """Yield copies of the documents in a block or a tool result. They may be changed without changing parts."""
    if item.kind == "document":
        item.block = {**item.block, "document": {**item.block["document"]}}
        yield item.block["document"]
    if item.kind == "toolResult":
        result = item.block["toolResult"]
        content = [_copy(block) for block in result.get("content") or []]
        item.block = {**item.block, "toolResult": {**result, "content": content}}
        yield from (block["document"] for block in content if "document" in block)


def _copy(block: dict[str, Any]) -> dict[str, Any]:
    return {**block, "document": {**block["document"]}} if "document" in block else block


def _take_audio(item: Item) -> list[dict[str, Any]]:
    """Remove the audio from a tool result, and return it."""
    result = item.block["toolResult"]
    content = result.get("content") or []
    audio = [block for block in content if "audio" in block]
    if audio:
        others = [block for block in content if "audio" not in block]
        item.block = {**item.block, "toolResult": {**result, "content": others}}
    return audio
