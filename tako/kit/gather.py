"""What the pieces of a streamed reply have beside text, put together as in a whole reply."""

from __future__ import annotations

from typing import Any

from tako.json_values import as_array, as_object


def gather(known: dict[str, Any], piece: dict[str, Any], *, texts: bool = False) -> None:
    """Add a piece's fields to what is known: objects merge, lists grow, anything else replaces; null says nothing.

    With ``texts``, a piece's text goes on with the text before, as in deltas of a message.
    """
    for name, value in piece.items():
        old = known.get(name)
        if value is None:
            known.setdefault(name, None)
        elif (inner := as_object(value)) is not None and (before := as_object(old)) is not None:
            gather(before, inner, texts=texts)
        elif (items := as_array(value)) is not None and (start := as_array(old)) is not None:
            start.extend(items)
        elif texts and isinstance(value, str) and isinstance(old, str):
            known[name] = old + value
        else:
            known[name] = value


SAME = frozenset(("type", "id", "index", "name", "role", "format"))
"""Fields that pieces repeat, where others go on; so do other ids."""
BLOCKS = ("reasoning_details", "thinking_blocks")
"""Lists of blocks of reasoning, which come in pieces: those of OpenRouter, and LiteLLM's, which have no index."""
TEXTS = ("text", "summary", "data", "thinking")
"""What blocks of reasoning consist of."""


def joined(pieces: list[Any], name: str = "") -> Any:
    """Put the pieces of a field together: texts go on, lists grow, objects join by field; of others the last holds."""
    if not (name in SAME or name.endswith("_id")) and all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    objects = [inner for piece in pieces if (inner := as_object(piece)) is not None]
    if len(objects) == len(pieces):
        fields = dict.fromkeys(key for piece in objects for key in piece)
        found = {key: [piece[key] for piece in objects if piece.get(key) is not None] for key in fields}
        return {key: joined(values, key) if values else None for key, values in found.items()}
    lists = [items for piece in pieces if (items := as_array(piece)) is not None]
    if len(lists) < len(pieces):
        return pieces[-1]
    items = [item for items in lists for item in items]
    return whole_blocks(items) if name in BLOCKS else items


def whole_blocks(pieces: list[Any]) -> list[Any]:
    """Put the pieces of each block of reasoning together: they have its type and its index."""
    blocks: list[list[dict[str, Any]]] = []
    latest: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for piece in pieces:
        fields = as_object(piece) or {"type": piece}
        key = (str(fields.get("type")), str(fields.get("index")))
        if key not in latest or not _goes_on(latest[key], fields):
            blocks.append([])
            latest[key] = blocks[-1]
        latest[key].append(piece)
    return [joined(block) for block in blocks]


def _goes_on(block: list[dict[str, Any]], piece: dict[str, Any]) -> bool:
    """Whether a piece belongs to the block before it. Text after a signature doesn't, nor does another block's id."""
    if piece.get("index") is None and piece.get("type") != "thinking":
        return False
    id = piece.get("id")
    is_signed = any(one.get("signature") for one in block)
    is_others = id is not None and any(one.get("id") not in (None, id) for one in block)
    return not is_others and not (is_signed and any(piece.get(name) for name in TEXTS))


class Gathered:
    """The facts of a stream that stand in ``End.raw``, up to ``cap`` bytes of what they came in.

    ``lost`` tells that more came, which was not kept.
    """

    def __init__(self, cap: int) -> None:
        self.fields: dict[str, Any] = {}
        self.lost = False
        self._room = cap

    def add(self, fields: dict[str, Any], size: int) -> None:
        """Add the fields of one event of that many bytes."""
        self._room -= size
        if self._room < 0:
            self.lost = True
        else:
            gather(self.fields, fields)
