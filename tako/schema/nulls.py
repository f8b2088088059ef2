"""Nulls in replies where strict modes made optional properties ones that may be null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import as_array, as_object
from tako.schema.normal_form import allows_null, name_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tako.schema.normal_form import Schema

TYPING = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "properties", "items", "not")
"""Words without which anything fits, null too."""


def without_added_nulls(value: Any, schema: Schema) -> Any:
    """Return a reply without the nulls of optional properties where the caller's schema doesn't take null.

    Strict modes want every property to be required, so an optional one goes out as one that may be null. Use this
    before you check a reply against the schema that you were given::

        data = without_added_nulls(msgspec.json.decode(response.text), schema)
    """
    root = plain(schema)
    return _cleared(value, [root], root)


def _cleared(value: Any, schemas: Iterable[Schema], root: Schema) -> Any:
    fields, items = as_object(value), as_array(value)
    if fields is None and items is None:
        return value
    branches = list(_branches(schemas, root))
    if items is not None:
        inner = [branch["items"] for branch in branches if isinstance(branch.get("items"), dict)]
        return [_cleared(item, inner, root) for item in items]
    meant = [branch for branch in branches if _may_be(branch, fields or {})]
    made: dict[str, Any] = {}
    for name, held in (fields or {}).items():
        holders = [branch for branch in meant if name in branch.get("properties", {})]
        inner = [branch["properties"][name] for branch in holders]
        optional = any(name not in branch.get("required", ()) for branch in holders)
        if held is not None or not optional or _takes_null(inner, root):
            made[name] = _cleared(held, inner, root)
    return made


def _may_be(branch: Schema, fields: dict[str, Any]) -> bool:
    """Whether an object may be of a branch: the properties that tell branches apart have the values that it says."""
    fixed = {
        name: inner.get("enum", [inner.get("const")])
        for name, inner in branch.get("properties", {}).items()
        if "const" in inner or "enum" in inner
    }
    return all(fields.get(name) is None or fields[name] in values for name, values in fixed.items())


def _branches(schemas: Iterable[Schema], root: Schema) -> Iterator[Schema]:
    """List schemas with all that they refer to or are made of, each once."""
    seen: set[int] = set()
    waiting = [*schemas]
    while waiting:
        schema = waiting.pop()
        if id(schema) in seen:
            continue
        seen.add(id(schema))
        yield schema
        for word in ("anyOf", "oneOf", "allOf"):
            waiting += as_array(schema.get(word)) or []
        if "$ref" in schema:
            target = root if schema["$ref"] == "#" else root.get("$defs", {}).get(name_of(schema["$ref"]))
            waiting += [target] if target is not None else []


def _takes_null(schemas: list[Schema], root: Schema) -> bool:
    """Whether null fits one of them; it fits what says nothing, too."""
    return any(allows_null(one) or not any(word in one for word in TYPING) for one in _branches(schemas, root))
