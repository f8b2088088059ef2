"""The JSON Schema of a shape."""

from __future__ import annotations

import inspect
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError
from tako.typed.shapes import Checked, Choice, Field, Items, Record, Shape, Table, adapter, name_of
from tako.types import JsonSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]
REF = "#/$defs/"
VALUE = "value"
"""The key of the object around what isn't an object: vendors' strict modes take nothing else at the root."""


def schema_of_arguments(shape: Record) -> Json:
    """Return the schema of a function's arguments."""
    defs = _Definitions()
    defs.schema(shape)
    root = defs.found[str(shape.declared)]
    root.pop("title")
    used = defs.reachable(root)
    schema: Json = _closed({**root, "$defs": used} if used else root)
    return schema


def schema_of(shape: Shape) -> tuple[JsonSchema, bool]:
    """Return the schema that a reply of this shape must satisfy, and whether the value is wrapped in an object."""
    defs = _Definitions()
    schema = defs.schema(shape)
    root: Json = defs.found[schema["$ref"].removeprefix(REF)] if set(schema) == {"$ref"} else schema
    wrapped = root.get("type") != "object"
    if wrapped:
        root = {"type": "object", "properties": {VALUE: schema}, "required": [VALUE], "additionalProperties": False}
    used = defs.reachable(root)
    root, used = _closed(root), _closed(used)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", name_of(shape.declared)).strip("_")[:60] or "reply"
    return JsonSchema(name, {**root, "$defs": used} if used else root), wrapped


class _Definitions:
    """The definitions that the schemas of one type refer to."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.records: dict[int, str] = {}

    def schema(self, shape: Shape) -> Json:
        if shape.native:
            (schema,), defs = msgspec.json.schema_components([shape.declared], ref_template=REF + "{name}")
            return self.taken(schema, defs)
        if isinstance(shape, Checked) or (isinstance(shape, Record) and shape.checked):
            return self.checked(shape.declared)
        if isinstance(shape, Record):
            return self.record(shape)
        if isinstance(shape, Items):
            return {**msgspec.json.schema(shape.frame), "items": self.schema(shape.item)}
        if isinstance(shape, Table):
            return {"type": "object", "additionalProperties": self.schema(shape.value)}
        if isinstance(shape, Choice):
            return {"anyOf": [self.schema(member) for member in shape.members]}
        raise ConfigurationError(f"response_type: {name_of(shape.declared)} has no JSON Schema")

    def checked(self, declared: Any) -> Json:
        try:
            schema: Json = adapter(declared).json_schema(ref_template=REF + "{model}")
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 - what pydantic raises of a type that has no schema
            raise ConfigurationError(f"response_type: {name_of(declared)} has no JSON Schema: {error}") from None
        return self.taken(schema, schema.pop("$defs", {}))

    def record(self, shape: Record) -> Json:
        if id(shape) in self.records:
            return {"$ref": REF + self.records[id(shape)]}
        name = self.records[id(shape)] = self.free(name_of(shape.declared))
        self.found[name] = {}  # taken, since a field may refer to it
        tag: Json = {shape.tag[0]: {"enum": [shape.tag[1]]}} if shape.tag else {}
        self.found[name] = {
            "title": name_of(shape.declared),
            **_description(shape.cls),
            "type": "object",
            "properties": {**tag, **{field.key: self.field(field) for field in shape.fields}},
            "required": [*tag, *(field.key for field in shape.fields if field.default is None)],
        }
        return {"$ref": REF + name}

    def field(self, field: Field) -> Json:
        """Return a field's schema with its description, and its default if JSON has it."""
        schema = self.schema(field.shape)
        more: Json = {"description": field.description} if field.description and "description" not in schema else {}
        with suppress(TypeError, ValueError):
            if field.default is not None and (default := field.default()) is not None:
                more["default"] = msgspec.to_builtins(default)
        if "$ref" in schema and more:
            schema = {"anyOf": [schema]}  # strict modes take no words beside a reference
        return {**schema, **more}

    def taken(self, schema: Json, defs: Mapping[str, Any]) -> Json:
        """Take over definitions; one whose name is another's gets a new name."""
        renamed = {name: self.free(name) for name, one in defs.items() if self.found.get(name, one) != one}
        for name, one in defs.items():
            self.found[renamed.get(name, name)] = _renamed(one, renamed)
        taken: Json = _renamed(schema, renamed)
        return taken

    def free(self, name: str) -> str:
        names = (name, *(f"{name}_{i}" for i in range(2, 1000)))
        return next(one for one in names if one not in self.found)

    def reachable(self, root: Json) -> Json:
        """Keep the definitions that the root refers to."""
        kept: Json = {}
        todo = _refs(root)
        while todo:
            name = todo.pop()
            if name not in kept:
                kept[name] = self.found[name]
                todo += _refs(kept[name])
        return kept


def _description(cls: type) -> Json:
    """Return a class's docstring; the one that dataclasses make up says nothing."""
    text = inspect.cleandoc(cls.__doc__ or "")
    return (
        {"description": text}
        if text and not text.startswith(f"{cls.__name__}(") and cls.__doc__ != dict.__doc__
        else {}
    )


def _renamed(schema: Any, names: dict[str, str]) -> Any:
    if not names:
        return schema
    if isinstance(schema, dict):
        table: Json = schema  # pyright: ignore[reportUnknownVariableType] - any JSON
        return {key: _ref(one, names) if key == "$ref" else _renamed(one, names) for key, one in table.items()}
    if isinstance(schema, list):
        return [_renamed(one, names) for one in schema]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return schema


def _ref(ref: Any, names: dict[str, str]) -> Any:
    name = str(ref).removeprefix(REF)
    return REF + names.get(name, name)


def _closed(schema: Any) -> Any:
    """Say of every object with fields that it has no others, unless its class says something else."""
    if isinstance(schema, dict):
        table: Json = schema  # pyright: ignore[reportUnknownVariableType] - any JSON
        closed = {"additionalProperties": False} if table.get("type") == "object" and "properties" in table else {}
        return {
            **{key: _closed(one) for key, one in table.items()},
            **(closed if "additionalProperties" not in table else {}),
        }
    if isinstance(schema, list):
        return [_closed(one) for one in schema]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return schema


def _refs(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        table: Json = schema  # pyright: ignore[reportUnknownVariableType] - any JSON
        here = [str(table["$ref"]).removeprefix(REF)] if isinstance(table.get("$ref"), str) else []
        return here + [ref for one in table.values() for ref in _refs(one)]
    if isinstance(schema, list):
        return [ref for one in schema for ref in _refs(one)]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return []
