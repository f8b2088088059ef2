"""What Converse wants of documents and sounds where they stand: names, a text beside them, no sound in a result.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html and .../API_runtime_Message.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tako import notices
from tako.kit.limits import MB, Limit
from tako.kit.turns import Item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.turns import Turn
    from tako.translator import PartContext

BESIDE = "See the document."
"""What the user is given to have said where a document stands without a text."""
LONGEST_NAME = 200
RESTRICTIONS = "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-api-restrictions.html"
PDF, WORD = "application/pdf", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
OLD_CLAUDE = re.compile(r"claude-(v?[12]\b|instant|3)")
_NOT_NAME = re.compile(r"[^a-zA-Z0-9\s()\[\]-]|\s")


def limits(family: str, model: str) -> tuple[Limit, ...]:
    """Return what Converse takes of documents: five, of 4.5 MB each, but for PDF to newer Claudes and to Nova."""
    exempt: tuple[str, ...] = (PDF, WORD) if family == "nova" else ()
    if family == "claude" and not OLD_CLAUDE.search(model):
        exempt = (PDF,)
    kinds = ("document", "text")
    return (Limit(RESTRICTIONS, kinds, count=5), Limit(RESTRICTIONS, kinds, each=int(4.5 * MB), but=exempt))


def put_beside(turn: Turn, context: PartContext) -> None:
    """Move sounds out of a turn's tool results, behind them, and put a text beside documents that have none."""
    results = [item for item in turn.items if item.kind == "toolResult"]
    moved = [Item(block, "audio", cached=False, path=item.path) for item in results for block in _sounds(item)]
    turn.items[len(results) : len(results)] = moved
    kinds = [item.kind for item in turn.items]
    if turn.role == "user" and "document" in kinds and "text" not in kinds:
        path = turn.items[kinds.index("document")].path
        context.notice(notices.ADDED_TEXT, f"{BESIDE!r} was added beside a document: Converse needs a text there", path)
        turn.items.append(Item({"text": BESIDE}, "text", cached=False, path=path))


def give_names(turns: list[Turn]) -> None:
    """Give the documents names that Converse takes, each its own. They depend on what comes before alone."""
    items = [item for turn in turns for item in turn.items]
    used = {str(item.block["document"].get("name")).lower() for item in items if item.kind == "document" and item.own}
    for document in [document for item in items if not item.own for document in _documents(item)]:
        stem = name = _name(document)
        number = 2
        while name.lower() in used:
            name = f"{stem[: LONGEST_NAME - 6]} {number}"
            number += 1
        used.add(name.lower())
        document["name"] = name


def documents_in(turns: list[Turn]) -> list[tuple[dict[str, Any], str]]:
    """List the documents of a conversation, those in tool results too, each with the path of its part."""
    items = [item for turn in turns for item in turn.items]
    return [(document, item.path) for item in items for document in _documents(item)]


def _name(document: dict[str, Any]) -> str:
    given = str(document.get("name") or "").removesuffix(f".{document.get('format')}")
    return " ".join(_NOT_NAME.sub(" ", given).split())[:LONGEST_NAME].strip() or "document"


def _documents(item: Item) -> Iterator[dict[str, Any]]:
    """Yield the documents of a block, and of a tool result, as copies that may be changed: parts keep their state."""
    if item.kind == "document":
        item.block = {**item.block, "document": {**item.block["document"]}}
        yield item.block["document"]
    if item.kind == "toolResult":
        result = item.block["toolResult"]
        content = [_copied(block) for block in result.get("content") or []]
        item.block = {**item.block, "toolResult": {**result, "content": content}}
        yield from (block["document"] for block in content if "document" in block)


def _copied(block: dict[str, Any]) -> dict[str, Any]:
    return {**block, "document": {**block["document"]}} if "document" in block else block


def _sounds(item: Item) -> list[dict[str, Any]]:
    """Take the sounds out of a tool result."""
    result = item.block["toolResult"]
    content = result.get("content") or []
    sounds = [block for block in content if "audio" in block]
    if sounds:
        rest = [block for block in content if "audio" not in block]
        item.block = {**item.block, "toolResult": {**result, "content": rest}}
    return sounds
