"""JSON of unknown shape, looked at with types."""

from __future__ import annotations

from typing import Any, cast


def as_object(value: Any) -> dict[str, Any] | None:
    """Return a JSON object as one, or None where the value is something else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_array(value: Any) -> list[Any] | None:
    """Return a JSON array as one, or None where the value is something else."""
    return value if isinstance(value, list) else None  # pyright: ignore[reportUnknownVariableType] - items are Any


def text_of(value: Any) -> str:
    """Return a JSON string as one, or "" where the value is something else."""
    return value if isinstance(value, str) else ""


def count_of(value: Any) -> int:
    """Return a count of tokens, 0 where the value is none; some servers write counts as floats."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(value) if 0 < value < 1 << 62 else 0
