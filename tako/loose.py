"""JSON of unknown shape, looked at with types."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

DEEPEST = 100
"""Levels of arrays and objects in one value. No vendor reads more (protobuf's JSON stops there), and what walks through
values needs some of Python's stack for each."""
MOST_TOKENS = 1 << 62
"""A count that no server counts."""
NESTING = (dict, list, tuple, Struct)
"""The types of values that hold other values."""


def as_object(value: Any) -> dict[str, Any] | None:
    """Return a JSON object as one, or None where the value is something else."""
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType] - fields are Any


def as_array(value: Any) -> list[Any] | None:
    """Return a JSON array as one, or None where the value is something else."""
    return value if isinstance(value, list) else None  # pyright: ignore[reportUnknownVariableType] - items are Any


def is_deep(value: Any) -> bool:
    """Tell whether a value nests deeper than ``DEEPEST``, or without end since it holds itself."""
    with suppress(TypeError, ValueError, OverflowError):  # what JSON doesn't have
        try:
            encoded = msgspec.json.encode(value)
        except RecursionError:
            return True
        if encoded.count(b"{") + encoded.count(b"[") <= DEEPEST:  # nearly always, and cheaper than to look
            return False
    level = [value]
    for _ in range(DEEPEST):
        # by identity, so that what is there many times is looked at once
        level = list({id(inner): inner for one in level for inner in _inside(one)}.values())
    return bool(level)


def _inside(value: Any) -> list[Any]:
    """List the arrays and objects right inside of a value."""
    inner: Any = value if isinstance(value, (list, tuple)) else ()  # pyright: ignore[reportUnknownVariableType] - any JSON
    if isinstance(value, Struct):
        inner = [getattr(value, name) for name in value.__struct_fields__]
    elif isinstance(value, dict):
        inner = value.values()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - any JSON
    return [one for one in inner if isinstance(one, NESTING)]


def text_of(value: Any) -> str:
    """Return a JSON string as one, or "" where the value is something else."""
    return value if isinstance(value, str) else ""


def place_of(value: Any) -> int | None:
    """Return a place (of a character, a page) as a whole number, None where the value is something else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def count_of(value: Any) -> int:
    """Return a count of tokens, 0 where the value is none; some servers write counts as floats."""
    if value.__class__ is int or isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return int(value) if 0 < value < MOST_TOKENS else 0
    return 0
