"""What vendors answer 400 to, written down apart from the rules in the kit: every part of a schema is looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDERS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains")
MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
STRUCTURE = {"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const"}
STRUCTURE |= {"$ref", "$defs"}
LIMITS = {"pattern", "format", "minItems", "maxItems", "multipleOf", "minimum", "maximum"}
LIMITS |= {"exclusiveMinimum", "exclusiveMaximum"}
OPENAI = STRUCTURE | LIMITS | {"title", "description"}
CLAUDE = STRUCTURE | {"title", "description", "format", "minItems", "allOf", "default"}
OLLAMA = {"type", "properties", "required", "items", "description", "enum", "anyOf"}


def parts(schema: Any) -> Iterator[Any]:
    """Yield a schema and all the schemas in it."""
    yield schema
    for keyword, value in schema.items() if isinstance(schema, dict) else ():
        if keyword in HOLDERS:
            for inner in value.values():
                yield from parts(inner)
        elif keyword in MANY:
            for inner in value:
                yield from parts(inner)
        elif keyword in ONE and not (keyword == "additionalProperties" and isinstance(value, bool)):
            yield from parts(value)


def tool(vendor: str, schema: Any) -> str | None:  # noqa: C901, PLR0911 - a line for each refusal
    """Say why a vendor refuses the schema of a tool, None if it takes it."""
    if vendor == "anything":
        return None
    if schema.get("type") != "object":
        return "the root is no object"
    if {"anyOf", "oneOf", "allOf"} & schema.keys():
        return "a combinator at the top"
    if not all(isinstance(part, dict) for part in parts(schema)):
        return "a schema that is no object"
    if vendor == "nova" and schema.keys() - {"type", "properties", "required"}:
        return "the root has more than three words"
    for part in parts(schema):
        if vendor in ("openai", "azure", "gemini") and _is_array(part) and not {"items", "prefixItems"} & part.keys():
            return "an array without items"
        if vendor == "gemini" and "$ref" in part and len(part) > 1:
            return "something beside a reference"
        if vendor == "ollama" and part.keys() - OLLAMA:
            return "a word that gets lost"
        if isinstance(part.get("exclusiveMinimum"), bool) or isinstance(part.get("required"), bool):
            return "an old draft"
    return _lost_reference(schema)


def strict(vendor: str, schema: Any) -> str | None:  # noqa: C901, PLR0911 - a line for each refusal
    """Say why a vendor refuses a schema in strict mode, None if it takes it."""
    openai = vendor in ("openai", "azure")
    keywords = {"openai": OPENAI, "azure": STRUCTURE | {"title", "description"}, "claude": CLAUDE}.get(vendor)
    if openai and (schema.get("type") != "object" or "anyOf" in schema):
        return "the root is no object"
    for part in parts(schema):
        if keywords is not None and part.keys() - keywords:
            return f"the words {part.keys() - keywords}"
        if keywords is not None and not {"type", "anyOf", "$ref", "enum", "const"} & part.keys():
            return "a place for anything"
        if _is_object(part) and part.get("additionalProperties") is not False:
            return "an open object"
        if openai and "properties" in part and {*part.get("required", ())} != {*part["properties"]}:
            return "an optional property"
        if openai and "$ref" in part and len(part) > 1:
            return "something beside a reference"
        if openai and re.search(r"\(\?[=!<]", str(part.get("pattern"))):
            return "a pattern that looks around"
        if vendor == "claude" and part.get("minItems", 0) > 1:
            return "minItems above 1"
    if vendor == "claude" and _is_recursive(schema):
        return "it is recursive"
    return _lost_reference(schema)


def _is_object(part: Any) -> bool:
    return "properties" in part or "object" in (part.get("type"), *_list(part.get("type")))


def _is_array(part: Any) -> bool:
    return "array" in (part.get("type"), *_list(part.get("type")))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _lost_reference(schema: Any) -> str | None:
    known = {"#", *(f"#/$defs/{name}" for name in schema.get("$defs", ()))}
    lost = [part["$ref"] for part in parts(schema) if "$ref" in part and part["$ref"] not in known]
    return f"the reference {lost[0]} leads nowhere" if lost else None


def _is_recursive(schema: Any) -> bool:
    own = {name: {part.get("$ref") for part in parts(inner)} for name, inner in schema.get("$defs", {}).items()}
    own["#"] = {part.get("$ref") for part in parts({**schema, "$defs": {}})}

    def leads(name: str, seen: frozenset[str]) -> bool:
        following = {ref.removeprefix("#/$defs/") for ref in own.get(name, ()) if ref}
        return any(one in seen or leads(one, seen | {one}) for one in following)

    return any(leads(name, frozenset((name,))) for name in own)
