"""Answers that have to match a JSON Schema. Vendors promise it at best; here it is looked at."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError
from tako.loose import DEEPEST, is_deep
from tako.options import is_table
from tako.types import ChatResponse, FinishReason, JsonSchema
from tako_map.values import AnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 300
"""Characters of a message that quotes an answer."""
ENDINGS = {
    FinishReason.LENGTH: "it was cut at the limit of tokens",
    FinishReason.CONTENT_FILTER: "the vendor's filter stopped it",
}


class Answers:
    """Reads answers by a schema. Raises ConfigurationError for one that isn't valid, or refers to something outside it.

    Nothing is fetched: a ``$ref`` leads to a place in the schema itself.
    """

    def __init__(self, schema: JsonSchema) -> None:
        validators: Any = import_module("jsonschema.validators")  # on first use: it takes its time
        exceptions: Any = import_module("jsonschema.exceptions")
        if not isinstance(schema.schema.get("$schema", ""), str):
            raise ConfigurationError(f"the schema {schema.name!r} isn't a JSON Schema: $schema isn't text")
        kind = validators.validator_for(schema.schema, default=validators.Draft202012Validator)
        try:
            kind.check_schema(schema.schema)
            registry = _registry(schema, kind.META_SCHEMA)
        except RecursionError as error:
            raise ConfigurationError(f"the schema {schema.name!r} is nested too deeply") from error
        except exceptions.SchemaError as error:
            what = f"{_cut(error.message)} at {error.json_path}"
            raise ConfigurationError(f"the schema {schema.name!r} isn't a JSON Schema: {what}") from error
        self._validator = kind(schema.schema, registry=registry)
        self._best = exceptions.best_match

    def read(self, response: ChatResponse) -> Any:
        """Return the answer as JSON values. Raises AnswerError."""
        try:
            data = msgspec.json.decode(response.text)
            if is_deep(data):
                raise AnswerError(f"the answer is nested deeper than {DEEPEST} levels", response=response)
            wrong = self._best(self._validator.iter_errors(data))
        except (msgspec.DecodeError, UnicodeError) as error:
            what = ENDINGS.get(response.finish_reason, str(error))
            raise AnswerError(f"the answer isn't JSON: {what}", response=response) from error
        except RecursionError as error:
            raise AnswerError("the answer, or the schema, is nested too deeply", response=response) from error
        if wrong is not None:
            what = f"{_cut(wrong.message)} at {wrong.json_path}"
            raise AnswerError(f"the answer doesn't fit the schema: {what}", response=response)
        return data


def _registry(schema: JsonSchema, meta: Mapping[str, Any]) -> Any:
    """Return what references are looked up in, which is nothing but the schema, once all of them lead somewhere."""
    referencing: Any = import_module("referencing")
    dialects: Any = import_module("referencing.jsonschema")
    exceptions: Any = import_module("referencing.exceptions")
    registry = referencing.Registry()
    resource = dialects.specification_with(meta.get("$schema", "")).create_resource(schema.schema)

    def follow(part: Any, resolver: Any) -> None:
        contents: Any = part.contents
        refers: Any = contents.get("$ref") if is_table(contents) else None
        if isinstance(refers, str):
            try:
                resolver.lookup(refers)
            except exceptions.Unresolvable as error:
                what = f"refers to {refers!r}, which is not in it"
                raise ConfigurationError(f"the schema {schema.name!r} {what}") from error
        for inner in part.subresources():
            follow(inner, resolver.in_subresource(inner))

    follow(resource, registry.resolver_with_root(resource))
    return registry


def _cut(message: str) -> str:
    message = " ".join(message.split())
    return message if len(message) <= LONGEST else f"{message[:LONGEST]}…"
