"""The normal form of a JSON Schema of any draft: as in 2020-12, with every definition in the root's ``$defs``.

It has the same meaning. Boolean schemas become objects, ``definitions`` become ``$defs``, tuples in
``items`` become ``prefixItems``, and a ``$ref`` names one of ``$defs`` or the root ("#"). A ``$ref`` whose target isn't
in the schema stays as it is.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from tako.json_values import as_array, as_object

Schema = dict[str, Any]

MAPS = ("properties", "patternProperties", "dependentSchemas")
"""Keywords whose values are schemas by name."""
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
"""Keywords whose values are lists of schemas."""
SINGLE = ("items", "contains", "not", "if", "then", "else", "propertyNames")
"""Keywords whose values are one schema."""
SCHEMA_OR_BOOLEAN = ("additionalProperties", "unevaluatedProperties", "unevaluatedItems")
"""Keywords whose values are one schema, or True or False."""
DEFINITIONS = ("$defs", "definitions")
REF_PREFIX = "#/$defs/"
"""The prefix of a ``$ref`` in the normal form, unless it's "#"."""


def normalize(schema: Schema) -> Schema:
    """Return the normal form of a schema, which itself isn't changed."""
    return _Normalizer(schema).schema()


def definition_name(ref: Any) -> str:
    """Return the name in ``$defs`` of a ``$ref`` in the normal form, "" if it doesn't have one."""
    return ref.removeprefix(REF_PREFIX) if isinstance(ref, str) and ref.startswith(REF_PREFIX) else ""


def allows_null(schema: Schema) -> bool:
    """Whether a schema itself accepts null."""
    kind = schema.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind):
        return "enum" not in schema or None in schema["enum"]
    return any(allows_null(inner) for keyword in ("anyOf", "oneOf") for inner in schema.get(keyword, ()))


class _Normalizer:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._names: dict[int, str] = {}  # by the identity of the definition
        self._pending: list[tuple[str, Any, tuple[Schema, ...]]] = []

    def schema(self) -> Schema:
        """Convert the root, then the definitions that it needs, then those that they need."""
        root = self._node(self._root, ())
        definitions: Schema = {}
        while self._pending:
            name, target, scopes = self._pending.pop(0)
            definitions[name] = self._node(target, scopes)
        return {**root, "$defs": definitions} if definitions else root

    def _node(self, schema: Any, scopes: tuple[Schema, ...]) -> Schema:
        if schema is False:
            return {"not": {}}
        fields = as_object(schema) or {}
        definitions = [inner for keyword in DEFINITIONS if (inner := as_object(fields.get(keyword)))]
        scopes = (*scopes, *definitions)
        node = {key: self._value(key, value, scopes) for key, value in fields.items() if _is_kept(key, value)}
        if isinstance(node.get("$ref"), str):
            node["$ref"] = self._ref(node["$ref"], scopes)
        return _with_required_list(fields, _modernize(node))

    def _value(self, keyword: str, value: Any, scopes: tuple[Schema, ...]) -> Any:
        items = as_array(value)
        if keyword in MAPS:
            return {name: self._node(inner, scopes) for name, inner in (as_object(value) or {}).items()}
        if items is not None and (keyword in LISTS or keyword == "items"):
            return [self._node(inner, scopes) for inner in items]
        if keyword in SINGLE or (keyword in SCHEMA_OR_BOOLEAN and not isinstance(value, bool)):
            return self._node(value, scopes)
        return value

    def _ref(self, ref: str, scopes: tuple[Schema, ...]) -> str:
        """Return the new reference. Nested definitions work, too, since some generators don't move them to the root."""
        if not ref.startswith("#/"):
            return ref
        steps = [unquote(step).replace("~1", "/").replace("~0", "~") for step in ref[2:].split("/")]
        target = _follow_pointer(self._root, steps)
        if target is None and len(steps) == 2 and steps[0] in DEFINITIONS:  # noqa: PLR2004 - the keyword and the name
            target = next((scope[steps[1]] for scope in reversed(scopes) if steps[1] in scope), None)
        if target is None:
            return ref
        if id(target) not in self._names:
            name = stem = steps[-1].replace("/", "_") or "root"
            number = 2
            while name in self._names.values():
                name, number = f"{stem}_{number}", number + 1
            self._names[id(target)] = name
            self._pending.append((name, target, scopes))
        return REF_PREFIX + self._names[id(target)]


def _is_kept(keyword: str, value: Any) -> bool:
    """Whether a keyword is kept. Definitions move to the root, and invalid values are dropped."""
    return keyword not in DEFINITIONS and not (keyword in (*LISTS, "enum") and not isinstance(value, list))


def _follow_pointer(root: Schema, steps: list[str]) -> Any:
    """Follow a JSON pointer. None if it leads nowhere."""
    value: Any = root
    for step in steps:
        items, fields = as_array(value), as_object(value)
        if items is not None and step.isdecimal() and int(step[:9]) < len(items):
            value = items[int(step[:9])]
        elif fields is not None and step in fields:
            value = fields[step]
        else:
            return None
    return value if isinstance(value, dict) or value in (True, False) else None  # pyright: ignore[reportUnknownVariableType] - any JSON


def _modernize(node: Schema) -> Schema:
    """Convert keywords of older drafts and OpenAPI to 2020-12."""
    if isinstance(node.get("items"), list):
        node["prefixItems"] = node.pop("items")
        additional_items = node.pop("additionalItems", None)
        if isinstance(additional_items, dict):
            node["items"] = additional_items
    for limit in ("minimum", "maximum"):
        exclusive = f"exclusive{limit.capitalize()}"
        if node.get(exclusive) is True and limit in node:
            node[exclusive] = node.pop(limit)
        elif isinstance(node.get(exclusive), bool):
            del node[exclusive]
    nullable = node.pop("nullable", None) if isinstance(node.get("nullable"), bool) else None
    if nullable and isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
        if "enum" in node and None not in node["enum"]:
            node["enum"] = [*node["enum"], None]
    return node


def _with_required_list(fields: Schema, node: Schema) -> Schema:
    """Convert ``required: true`` of properties, as in draft 3, to a list in their object."""
    if not isinstance(node.get("required", []), list):
        del node["required"]
    properties = as_object(fields.get("properties")) or {}
    required = [name for name, inner in properties.items() if (as_object(inner) or {}).get("required") is True]
    if required:
        node["required"] = list(dict.fromkeys([*node.get("required", []), *required]))
    return node
