"""A JSON Schema in place of a type: ``jsonschema`` checks the replies. It's imported on first use."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tako.errors import ConfigurationError
from tako.json_values import DEEPEST, as_object, is_deep
from tako.typed.reading import MismatchError, read_text
from tako.typed.schemas import VALUE
from tako.typed.shapes import shape_of
from tako.types import JsonSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MESSAGE_LENGTH = 300
"""The most characters of a message that quotes a value."""
_ANYTHING = shape_of(Any)
_ROOT_KEYS = ("$defs", "definitions", "$schema", "$id")
"""Keys that stay at the root of a wrapped schema, since references point there."""


class Validator:
    """Checks values against a schema. Raises ConfigurationError if it's invalid, or has a reference to something else.

    Nothing is fetched: a ``$ref`` has to point into the schema itself.
    """

    def __init__(self, schema: JsonSchema) -> None:
        try:
            validators: Any = import_module("jsonschema.validators")
        except ImportError:
            raise ConfigurationError('a JSON Schema needs jsonschema: pip install "tako-core[cli]"') from None
        exceptions: Any = import_module("jsonschema.exceptions")
        if not isinstance(schema.schema.get("$schema", ""), str):
            raise ConfigurationError(f"the schema {schema.name!r} isn't a JSON Schema: $schema isn't text")
        validator_class = validators.validator_for(schema.schema, default=validators.Draft202012Validator)
        try:
            validator_class.check_schema(schema.schema)
            registry = _registry(schema, validator_class.META_SCHEMA)
        except RecursionError as error:
            raise ConfigurationError(f"the schema {schema.name!r} is nested too deeply") from error
        except exceptions.SchemaError as error:
            problem = f"{_shorten(error.message)} at {error.json_path}"
            raise ConfigurationError(f"the schema {schema.name!r} isn't a JSON Schema: {problem}") from error
        self._validator = validator_class(schema.schema, registry=registry)
        self._best_match = exceptions.best_match

    def check(self, value: Any) -> None:
        """Check a value. Raises MismatchError, or RecursionError."""
        if is_deep(value):
            raise MismatchError(f"it is nested deeper than {DEEPEST} levels")
        error = self._best_match(self._validator.iter_errors(value))
        if error is not None:
            raise MismatchError(f"{_shorten(error.message)} at {error.json_path}")


class SchemaReader:
    """The schema and the reader of replies by a JSON Schema, for ``ReplyType``."""

    def __init__(self, schema: JsonSchema) -> None:
        self.name = f"the schema {schema.name!r}"
        self.shape = _ANYTHING
        self._validator = Validator(schema)
        self.is_wrapped = schema.schema.get("type") != "object" and "properties" not in schema.schema
        self.schema = JsonSchema(schema.name, _wrap(schema.schema), schema.strict) if self.is_wrapped else schema

    def read(self, text: str) -> Any:
        """Read a reply's text. Raises MismatchError."""
        value = read_text(self.shape, text, is_wrapped=self.is_wrapped)
        try:
            self._validator.check(value)
        except RecursionError:
            raise MismatchError("it, or the schema, is nested too deeply") from None
        return value


def _wrap(schema: dict[str, Any]) -> dict[str, Any]:
    """Wrap a schema in an object, since vendors' strict modes only take an object at the root."""
    shared = {key: schema[key] for key in _ROOT_KEYS if key in schema}
    inner = {key: value for key, value in schema.items() if key not in shared}
    return {
        **shared,
        "type": "object",
        "properties": {VALUE: json.loads(json.dumps(inner).replace('"$ref": "#"', f'"$ref": "#/properties/{VALUE}"'))},
        "required": [VALUE],
        "additionalProperties": False,
    }


def _registry(schema: JsonSchema, meta: Mapping[str, Any]) -> Any:
    """Return the registry for references. It's empty, so they're only resolved in the schema. Checks all of them."""
    referencing: Any = import_module("referencing")
    dialects: Any = import_module("referencing.jsonschema")
    exceptions: Any = import_module("referencing.exceptions")
    registry = referencing.Registry()
    resource = dialects.specification_with(meta.get("$schema", "")).create_resource(schema.schema)

    def follow(part: Any, resolver: Any) -> None:
        ref = (as_object(part.contents) or {}).get("$ref")
        if isinstance(ref, str):
            try:
                resolver.lookup(ref)
            except exceptions.Unresolvable as error:
                problem = f"refers to {ref!r}, which isn't in it"
                raise ConfigurationError(f"the schema {schema.name!r} {problem}") from error
        for inner in part.subresources():
            follow(inner, resolver.in_subresource(inner))

    follow(resource, registry.resolver_with_root(resource))
    return registry


def _shorten(message: str) -> str:
    message = " ".join(message.split())
    return message if len(message) <= MAX_MESSAGE_LENGTH else f"{message[:MAX_MESSAGE_LENGTH]}…"
