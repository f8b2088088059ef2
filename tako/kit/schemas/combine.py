"""Schemas put together: two that hold at once as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import as_array, as_object
from tako.schema.normal_form import allows_null

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.schema.normal_form import Schema

ANNOTATION_KEYWORDS = frozenset(("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"))
"""Keywords that limit nothing; of two values the first is kept."""
TYPES: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
"""How the types of values are called; those of objects and arrays are not among them."""
TIGHTER_LIMIT = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
"""Keywords of numbers, and which of two numbers is the tighter limit."""


def all_of(first: Schema, second: Schema, note_loss: Callable[[str], None]) -> Schema:
    """Return a schema for what fits two; ``note_loss(keyword)`` gets keywords of the second that can't be kept."""
    combined = dict(first)
    for keyword, value in second.items():
        if keyword not in combined:
            combined[keyword] = value
        elif combined[keyword] != value and keyword not in ANNOTATION_KEYWORDS:
            combined[keyword] = _combine(keyword, combined[keyword], value, note_loss)
    if "enum" in combined and ("type" in combined or "const" in combined):
        values = [value for value in combined["enum"] if is_allowed(value, combined)]
        if not values:
            note_loss("enum")
        combined["enum"] = values or combined["enum"]
    return combined


def is_allowed(value: Any, schema: Schema) -> bool:
    """Whether a value is of the type, and is the constant, that stand beside ``enum``."""
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else as_array(schema.get("type"))
    kind = TYPES.get(type(value), "object")
    has_type = kinds is None or kind in kinds or (kind == "integer" and "number" in kinds)
    return has_type and ("const" not in schema or schema["const"] == value)


def _combine(keyword: str, first: Any, second: Any, note_loss: Callable[[str], None]) -> Any:
    items, other_items = as_array(first), as_array(second)
    fields, other_fields = as_object(first), as_object(second)
    combined: Any = None
    if keyword == "required" and items is not None and other_items is not None:
        combined = list(dict.fromkeys([*items, *other_items]))
    elif keyword == "properties" and fields is not None and other_fields is not None:
        shared = {name: all_of(fields[name], other_fields[name], note_loss) for name in fields if name in other_fields}
        combined = {**fields, **other_fields, **shared}
    elif keyword == "items" and fields is not None and other_fields is not None:
        combined = all_of(fields, other_fields, note_loss)
    elif keyword == "additionalProperties":  # a closed object that is extended is meant to have the other's properties
        combined = second if first is True else first
    elif keyword == "type":
        combined = _types(first, second)
    elif keyword == "enum" and items is not None and other_items is not None:
        combined = [value for value in items if value in other_items]
    elif keyword in TIGHTER_LIMIT and isinstance(first, int | float) and isinstance(second, int | float):
        combined = TIGHTER_LIMIT[keyword](first, second)
    if combined is None or combined == []:
        note_loss(keyword)
        return first
    return combined


def _types(first: Any, second: Any) -> Any:
    first_types, second_types = ([kind] if isinstance(kind, str) else as_array(kind) or [] for kind in (first, second))
    shared = [kind for kind in first_types if kind in second_types]
    if not shared and {*first_types, *second_types} >= {"integer", "number"}:
        shared = ["integer"]
    return shared[0] if len(shared) == 1 else shared


def any_of(schemas: list[Schema]) -> Schema:
    """Return a schema for what one of several holds for; equal ones count once."""
    different: list[Schema] = []
    for schema in schemas:
        if schema not in different:
            different.append(schema)
    return different[0] if len(different) == 1 else {"anyOf": different}


def nullable(schema: Schema) -> Schema:
    """Return a schema that null fits as well."""
    if allows_null(schema):
        return schema
    kind = schema.get("type")
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if isinstance(kind, str) and kind not in ("object", "array"):
        values = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        if "const" in schema:
            values = {"enum": [schema["const"], None]}
        others = {keyword: value for keyword, value in schema.items() if keyword != "const"}
        return {**others, "type": [kind, "null"], **values}
    inner = {keyword: value for keyword, value in schema.items() if keyword != "description"}
    description = {"description": schema["description"]} if "description" in schema else {}
    return {"anyOf": [inner, {"type": "null"}], **description}
