"""What pieces of a streamed reply say beside text, put together as a whole reply has it."""

from __future__ import annotations

from typing import Any

from tako.loose import as_array, as_object


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
"""Fields that pieces repeat, where others go on."""


def joined(pieces: list[Any], name: str = "") -> Any:
    """Put the pieces of a field together: texts go on, lists grow, objects join by field; of others the last holds."""
    if name not in SAME and all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    objects = [inner for piece in pieces if (inner := as_object(piece)) is not None]
    if len(objects) == len(pieces):
        fields = dict.fromkeys(key for piece in objects for key in piece)
        found = {key: [piece[key] for piece in objects if piece.get(key) is not None] for key in fields}
        return {key: joined(values, key) if values else None for key, values in found.items()}
    lists = [items for piece in pieces if (items := as_array(piece)) is not None]
    return [item for items in lists for item in items] if len(lists) == len(pieces) else pieces[-1]


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
