"""The JSON Schema of a shape."""

from __future__ import annotations

import inspect
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError
from tako.typed.shapes import Choice, Field, Items, PydanticShape, Record, Shape, Table, adapter, name_of
from tako.types import JsonSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]
REF = "#/$defs/"
VALUE = "value"
"""The key of the object around other values, since vendors' strict modes only take an object at the root."""


def schema_of_arguments(shape: Record) -> Json:
    """Return the schema of a function's arguments."""
    defs = _Definitions()
    defs.schema(shape)
    root = defs.schemas[str(shape.declared)]
    root.pop("title")
    definitions = defs.reachable(root)
    schema: Json = _close_objects({**root, "$defs": definitions} if definitions else root)
    return schema


def schema_of(shape: Shape) -> tuple[JsonSchema, bool]:
    """Return the schema that a reply of this shape must satisfy, and whether the value is wrapped in an object."""
    defs = _Definitions()
    schema = defs.schema(shape)
    root: Json = defs.schemas[schema["$ref"].removeprefix(REF)] if set(schema) == {"$ref"} else schema
    is_wrapped = root.get("type") != "object"
    if is_wrapped:
        root = {"type": "object", "properties": {VALUE: schema}, "required": [VALUE], "additionalProperties": False}
    definitions = defs.reachable(root)
    root, definitions = _close_objects(root), _close_objects(definitions)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", name_of(shape.declared)).strip("_")[:60] or "reply"
    return JsonSchema(name, {**root, "$defs": definitions} if definitions else root), is_wrapped


class _Definitions:
    """The definitions that the schemas of one type refer to."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}
        self.record_names: dict[int, str] = {}

    def schema(self, shape: Shape) -> Json:
        if shape.is_native:
            (schema,), defs = msgspec.json.schema_components([shape.declared], ref_template=REF + "{name}")
            return self.add_definitions(schema, defs)
        if isinstance(shape, PydanticShape) or (isinstance(shape, Record) and shape.is_checked):
            return self.pydantic_schema(shape.declared)
        if isinstance(shape, Record):
            return self.record_schema(shape)
        if isinstance(shape, Items):
            return {**msgspec.json.schema(shape.frame), "items": self.schema(shape.item)}
        if isinstance(shape, Table):
            return {"type": "object", "additionalProperties": self.schema(shape.value)}
        if isinstance(shape, Choice):
            return {"anyOf": [self.schema(member) for member in shape.members]}
        raise ConfigurationError(f"response_type: {name_of(shape.declared)} has no JSON Schema")

    def pydantic_schema(self, declared: Any) -> Json:
        try:
            schema: Json = adapter(declared).json_schema(ref_template=REF + "{model}")
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 - pydantic raises various errors for types without a schema
            raise ConfigurationError(f"response_type: {name_of(declared)} has no JSON Schema: {error}") from None
        return self.add_definitions(schema, schema.pop("$defs", {}))

    def record_schema(self, shape: Record) -> Json:
        if id(shape) in self.record_names:
            return {"$ref": REF + self.record_names[id(shape)]}
        name = self.record_names[id(shape)] = self.unused_name(name_of(shape.declared))
        self.schemas[name] = {}  # reserved, since a field may refer to it
        tag: Json = {shape.tag[0]: {"enum": [shape.tag[1]]}} if shape.tag else {}
        self.schemas[name] = {
            "title": name_of(shape.declared),
            **_description(shape.cls),
            "type": "object",
            "properties": {**tag, **{field.key: self.field_schema(field) for field in shape.fields}},
            "required": [*tag, *(field.key for field in shape.fields if field.default is None)],
        }
        return {"$ref": REF + name}

    def field_schema(self, field: Field) -> Json:
        """Return a field's schema with its description, and its default if JSON has it."""
        schema = self.schema(field.shape)
        keywords: Json = {"description": field.description} if field.description and "description" not in schema else {}
        with suppress(TypeError, ValueError):
            if field.default is not None and (default := field.default()) is not None:
                keywords["default"] = msgspec.to_builtins(default)
        if "$ref" in schema and keywords:
            schema = {"anyOf": [schema]}  # strict modes don't take other keywords beside a reference
        return {**schema, **keywords}

    def add_definitions(self, schema: Json, defs: Mapping[str, Any]) -> Json:
        """Add definitions. If a name is already used for another one, the definition gets a new name."""
        new_names = {name: self.unused_name(name) for name in defs if self.schemas.get(name, defs[name]) != defs[name]}
        for name, definition in defs.items():
            self.schemas[new_names.get(name, name)] = _rename_refs(definition, new_names)
        with_new_refs: Json = _rename_refs(schema, new_names)
        return with_new_refs

    def unused_name(self, name: str) -> str:
        names = (name, *(f"{name}_{i}" for i in range(2, 1000)))
        return next(candidate for candidate in names if candidate not in self.schemas)

    def reachable(self, root: Json) -> Json:
        """Return the definitions that the root needs."""
        definitions: Json = {}
        pending = _refs(root)
        while pending:
            name = pending.pop()
            if name not in definitions:
                definitions[name] = self.schemas[name]
                pending += _refs(definitions[name])
        return definitions


def _description(cls: type) -> Json:
    """Return a class's docstring, unless dataclasses generated it."""
    text = inspect.cleandoc(cls.__doc__ or "")
    return (
        {"description": text}
        if text and not text.startswith(f"{cls.__name__}(") and cls.__doc__ != dict.__doc__
        else {}
    )


def _rename_refs(schema: Any, names: dict[str, str]) -> Any:
    if not names:
        return schema
    if isinstance(schema, dict):
        table: Json = schema  # pyright: ignore[reportUnknownVariableType] - any JSON
        return {
            key: _ref(inner, names) if key == "$ref" else _rename_refs(inner, names) for key, inner in table.items()
        }
    if isinstance(schema, list):
        return [_rename_refs(inner, names) for inner in schema]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return schema


def _ref(ref: Any, names: dict[str, str]) -> Any:
    name = str(ref).removeprefix(REF)
    return REF + names.get(name, name)


def _close_objects(schema: Any) -> Any:
    """Set ``additionalProperties`` to False in every object with fields, unless its class has set it."""
    if isinstance(schema, dict):
        table: Json = schema  # pyright: ignore[reportUnknownVariableType] - any JSON
        closing = {"additionalProperties": False} if table.get("type") == "object" and "properties" in table else {}
        return {
            **{key: _close_objects(inner) for key, inner in table.items()},
            **(closing if "additionalProperties" not in table else {}),
        }
    if isinstance(schema, list):
        return [_close_objects(inner) for inner in schema]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return schema


def _refs(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        table: Json = schema  # pyright: ignore[reportUnknownVariableType] - any JSON
        refs = [str(table["$ref"]).removeprefix(REF)] if isinstance(table.get("$ref"), str) else []
        return refs + [ref for inner in table.values() for ref in _refs(inner)]
    if isinstance(schema, list):
        return [ref for inner in schema for ref in _refs(inner)]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return []
