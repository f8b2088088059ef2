"""Fields of streamed deltas, merged as a full reply has them."""

from __future__ import annotations

from typing import Any

from tako.json_values import as_array, as_object


def merge_delta(fields: dict[str, Any], delta: dict[str, Any], *, texts: bool = False) -> None:
    """Merge a delta into fields: objects merge, lists grow, anything else replaces. Null changes nothing.

    With ``texts``, a text is appended to the text before, as in deltas of a message.
    """
    for name, value in delta.items():
        old = fields.get(name)
        if value is None:
            fields.setdefault(name, None)
        elif (new_fields := as_object(value)) is not None and (old_fields := as_object(old)) is not None:
            merge_delta(old_fields, new_fields, texts=texts)
        elif (items := as_array(value)) is not None and (old_items := as_array(old)) is not None:
            old_items.extend(items)
        elif texts and isinstance(value, str) and isinstance(old, str):
            fields[name] = old + value
        else:
            fields[name] = value


REPEATED = frozenset(("type", "id", "index", "name", "role", "format"))
"""Fields that pieces repeat, where others go on; so do other ids."""
BLOCK_LISTS = ("reasoning_details", "thinking_blocks")
"""Lists of blocks of reasoning, which come in pieces: those of OpenRouter, and LiteLLM's, which have no index."""
TEXT_FIELDS = ("text", "summary", "data", "thinking")
"""What blocks of reasoning consist of."""


def merge_pieces(pieces: list[Any], name: str = "") -> Any:
    """Put the pieces of a field together: texts go on, lists grow, objects join by field; of others the last holds."""
    if not (name in REPEATED or name.endswith("_id")) and all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    objects = [inner for piece in pieces if (inner := as_object(piece)) is not None]
    if len(objects) == len(pieces):
        fields = dict.fromkeys(key for piece in objects for key in piece)
        values_by_name = {key: [piece[key] for piece in objects if piece.get(key) is not None] for key in fields}
        return {key: merge_pieces(values, key) if values else None for key, values in values_by_name.items()}
    lists = [items for piece in pieces if (items := as_array(piece)) is not None]
    if len(lists) < len(pieces):
        return pieces[-1]
    items = [item for items in lists for item in items]
    return merge_blocks(items) if name in BLOCK_LISTS else items


def merge_blocks(pieces: list[Any]) -> list[Any]:
    """Put the pieces of each block of reasoning together: they have its type and its index."""
    blocks: list[list[dict[str, Any]]] = []
    latest: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for piece in pieces:
        fields = as_object(piece) or {"type": piece}
        key = (str(fields.get("type")), str(fields.get("index")))
        if key not in latest or not _continues(latest[key], fields):
            blocks.append([])
            latest[key] = blocks[-1]
        latest[key].append(piece)
    return [merge_pieces(block) for block in blocks]


def _continues(block: list[dict[str, Any]], piece: dict[str, Any]) -> bool:
    """Whether a piece belongs to the block before it. Text after a signature doesn't, nor a piece with another id."""
    if piece.get("index") is None and piece.get("type") != "thinking":
        return False
    id = piece.get("id")
    is_signed = any(earlier.get("signature") for earlier in block)
    has_other_id = id is not None and any(one.get("id") not in (None, id) for one in block)
    return not has_other_id and not (is_signed and any(piece.get(name) for name in TEXT_FIELDS))


class StreamFacts:
    """The facts of a stream that stand in ``End.raw``, up to ``cap`` bytes of what they came in.

    ``lost`` tells that more came, which was not kept.
    """

    def __init__(self, cap: int) -> None:
        self.fields: dict[str, Any] = {}
        self.is_truncated = False
        self._remaining = cap

    def add(self, fields: dict[str, Any], size: int) -> None:
        """Add the fields of one event of that many bytes."""
        self._remaining -= size
        if self._remaining < 0:
            self.is_truncated = True
        else:
            merge_delta(self.fields, fields)
