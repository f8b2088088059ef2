"""Removes nulls from replies. Strict modes turn optional properties into nullable ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import as_array, as_object
from tako.schema.normal_form import allows_null, definition_name, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.schema.normal_form import Schema

CONSTRAINING_KEYWORDS = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "properties", "items", "not")
"""A schema without any of these accepts everything, also null."""


def without_added_nulls(value: Any, schema: Schema) -> Any:
    """Return a reply without the nulls of optional properties that can't be null in the caller's schema.

    Strict modes want every property to be required, so an optional one goes out as one that may be null. Use this
    Strict modes require every property, so an optional one is sent as a nullable one. Use this before you check a reply

        data = without_added_nulls(msgspec.json.decode(response.text), schema)
    """
    root = normalize(schema)
    return _without_nulls(value, [root], root)


def _without_nulls(value: Any, schemas: Iterable[Schema], root: Schema) -> Any:
    fields, items = as_object(value), as_array(value)
    if fields is None and items is None:
        return value
    branches = list(_branches(schemas, root))
    if items is not None:
        inner = [branch["items"] for branch in branches if isinstance(branch.get("items"), dict)]
        return [_without_nulls(item, inner, root) for item in items]
    candidates = [branch for branch in branches if _can_match(branch, fields or {})]
    kept_fields: dict[str, Any] = {}
    for name, field_value in (fields or {}).items():
        declaring = [branch for branch in candidates if name in branch.get("properties", {})]
        inner = [branch["properties"][name] for branch in declaring]
        is_optional = any(name not in branch.get("required", ()) for branch in declaring)
        if field_value is not None or not is_optional or _accepts_null(inner, root):
            kept_fields[name] = _without_nulls(field_value, inner, root)
    return kept_fields


def _can_match(branch: Schema, fields: dict[str, Any]) -> bool:
    """Whether an object may belong to a branch: its constants have the branch's values."""
    fixed = {
        name: inner.get("enum", [inner.get("const")])
        for name, inner in branch.get("properties", {}).items()
        if "const" in inner or "enum" in inner
    }
    return all(fields.get(name) is None or fields[name] in values for name, values in fixed.items())


def _branches(schemas: Iterable[Schema], root: Schema) -> Iterator[Schema]:
    """Iterate over schemas and those that they refer to or consist of, each once."""
    visited: set[int] = set()
    pending = [*schemas]
    while pending:
        schema = pending.pop()
        if id(schema) in visited:
            continue
        visited.add(id(schema))
        yield schema
        for keyword in ("anyOf", "oneOf", "allOf"):
            pending += as_array(schema.get(keyword)) or []
        if "$ref" in schema:
            target = root if schema["$ref"] == "#" else root.get("$defs", {}).get(definition_name(schema["$ref"]))
            pending += [target] if target is not None else []


def _accepts_null(schemas: list[Schema], root: Schema) -> bool:
    """Whether one of the schemas accepts null. A schema without constraints does."""
    return any(
        allows_null(branch) or not any(keyword in branch for keyword in CONSTRAINING_KEYWORDS)
        for branch in _branches(schemas, root)
    )
