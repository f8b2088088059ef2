"""Schemas put together: two that hold at once as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import as_array, as_object
from tako.schema.normal_form import allows_null

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.schema.normal_form import Schema

ANNOTATIONS = frozenset(("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"))
"""Words that limit nothing; of two the first is kept."""
TYPES: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
"""How the types of values are called; those of objects and arrays are not among them."""
LIMITS = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
"""Words of numbers, and which of two numbers is the tighter limit."""


def both(one: Schema, two: Schema, lose: Callable[[str], None]) -> Schema:
    """Return a schema for what both of two hold for; ``lose(word)`` hears of words of the second that don't fit in."""
    made = dict(one)
    for word, value in two.items():
        if word not in made:
            made[word] = value
        elif made[word] != value and word not in ANNOTATIONS:
            made[word] = _joined(word, made[word], value, lose)
    if "enum" in made and ("type" in made or "const" in made):
        values = [value for value in made["enum"] if _fits(value, made)]
        if not values:
            lose("enum")
        made["enum"] = values or made["enum"]
    return made


def _fits(value: Any, schema: Schema) -> bool:
    """Whether a value is of the type, and is the constant, that stand beside ``enum``."""
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else as_array(schema.get("type"))
    kind = TYPES.get(type(value), "object")
    of_type = kinds is None or kind in kinds or (kind == "integer" and "number" in kinds)
    return of_type and ("const" not in schema or schema["const"] == value)


def _joined(word: str, one: Any, two: Any, lose: Callable[[str], None]) -> Any:
    items, more = as_array(one), as_array(two)
    fields, others = as_object(one), as_object(two)
    made: Any = None
    if word == "required" and items is not None and more is not None:
        made = list(dict.fromkeys([*items, *more]))
    elif word == "properties" and fields is not None and others is not None:
        shared = {name: both(fields[name], others[name], lose) for name in fields if name in others}
        made = {**fields, **others, **shared}
    elif word == "items" and fields is not None and others is not None:
        made = both(fields, others, lose)
    elif word == "additionalProperties":  # a closed object that is extended is meant to have the other's properties
        made = two if one is True else one
    elif word == "type":
        made = _types(one, two)
    elif word == "enum" and items is not None and more is not None:
        made = [value for value in items if value in more]
    elif word in LIMITS and isinstance(one, int | float) and isinstance(two, int | float):
        made = LIMITS[word](one, two)
    if made is None or made == []:
        lose(word)
        return one
    return made


def _types(one: Any, two: Any) -> Any:
    first, second = ([kind] if isinstance(kind, str) else as_array(kind) or [] for kind in (one, two))
    shared = [kind for kind in first if kind in second]
    if not shared and {*first, *second} >= {"integer", "number"}:
        shared = ["integer"]
    return shared[0] if len(shared) == 1 else shared


def either(schemas: list[Schema]) -> Schema:
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
        rest = {word: value for word, value in schema.items() if word != "const"}
        return {**rest, "type": [kind, "null"], **values}
    inner = {word: value for word, value in schema.items() if word != "description"}
    described = {"description": schema["description"]} if "description" in schema else {}
    return {"anyOf": [inner, {"type": "null"}], **described}
