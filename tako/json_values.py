"""Typed access to JSON values of unknown shape."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

DEEPEST = 100
"""The most levels of arrays and objects in one value. No vendor reads more (protobuf's JSON stops there), and code that
walks through values needs some of Python's stack for each level."""
MOST_TOKENS = 1 << 62
"""Larger counts are nonsense, whoever sent them."""
NESTING = (dict, list, tuple, Struct)
"""The types of values that hold other values."""


def as_object(value: Any) -> dict[str, Any] | None:
    """Return the value if it's a JSON object, else None."""
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType] - fields are Any


def as_array(value: Any) -> list[Any] | None:
    """Return the value if it's a JSON array, else None."""
    return value if isinstance(value, list) else None  # pyright: ignore[reportUnknownVariableType] - items are Any


def is_deep(value: Any) -> bool:
    """Tell whether a value nests deeper than ``DEEPEST``, or contains itself."""
    with suppress(TypeError, ValueError, OverflowError):  # values that JSON doesn't have
        try:
            encoded = msgspec.json.encode(value)
        except RecursionError:
            return True
        if encoded.count(b"{") + encoded.count(b"[") <= DEEPEST:  # nearly always, and cheaper than walking through it
            return False
    nested = [value]
    for _ in range(DEEPEST):
        # by identity, so that a value that is repeated is visited once
        nested = list({id(inner): inner for parent in nested for inner in _children(parent)}.values())
    return bool(nested)


def _children(value: Any) -> list[Any]:
    """List the arrays and objects directly inside a value."""
    children: Any = value if isinstance(value, (list, tuple)) else ()  # pyright: ignore[reportUnknownVariableType] - any JSON
    if isinstance(value, Struct):
        children = [getattr(value, name) for name in value.__struct_fields__]
    elif isinstance(value, dict):
        children = value.values()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - any JSON
    return [child for child in children if isinstance(child, NESTING)]


def text_of(value: Any) -> str:
    """Return the value if it's a JSON string, else ""."""
    return value if isinstance(value, str) else ""


def position_of(value: Any) -> int | None:
    """Return a position (of a character, a page) if it's a whole number, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def count_of(value: Any) -> int:
    """Return a count of tokens, 0 if the value isn't one. Some servers write counts as floats."""
    if not value:  # most
        return 0
    if value.__class__ is int:
        return value if 0 < value < MOST_TOKENS else 0
    return int(value) if isinstance(value, float) and 0 < value < MOST_TOKENS else 0
