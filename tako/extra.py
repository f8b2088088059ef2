"""How a request's ``extra`` merges: into a vendor's body, and into another ``extra``."""

from __future__ import annotations

from typing import Any

from tako.json_values import as_array, as_object

APPENDED = ("tools", "include", "betas")
"""The lists that a request's ``extra`` adds to."""


def merge(body: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Merge ``extra`` into a block, last: objects into objects, anything else replaces."""
    merged = body.copy()
    for key, value in extra.items():
        old, new = as_object(merged.get(key)), as_object(value)
        merged[key] = merge(old, new) if old is not None and new is not None else value
    return merged


def merge_extra(body: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Merge a request's ``extra`` into its body, last; the lists in ``APPENDED`` grow, other lists are replaced."""
    if not extra:
        return body
    lists = {
        key: [*old, *new] for key in APPENDED if (old := as_array(body.get(key))) and (new := as_array(extra.get(key)))
    }
    return {**merge(body, extra), **lists}
