"""A schema in the plain form, rewritten by the rules of one vendor."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from tako.json_values import DEEPEST, as_array, as_object
from tako.kit.schemas.combine import ANNOTATION_KEYWORDS, TYPES, all_of, any_of, nullable
from tako.kit.schemas.refs import reachable_definitions, referenced_names
from tako.kit.schemas.rules import UnsupportedSchema
from tako.schema.normal_form import LISTS, MAPS, SCHEMA_OR_BOOLEAN, SINGLE, definition_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.schemas.rules import Rules
    from tako.schema.normal_form import Schema

MAX_NODES = 20_000
"""Schemas within one, after its references were followed; more is no schema of a tool, but an attack on memory."""
MAX_DEFINITIONS = 500
NOT_CONSTRAINING = ANNOTATION_KEYWORDS | {
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "discriminator",
    "example",
    "xml",
    "externalDocs",
}
"""Keywords that don't limit what fits: it's no loss if a vendor doesn't accept them."""
OPEN_ENDED = ("additionalProperties", "unevaluatedProperties")
UNSUPPORTED_PATTERN = re.compile(r"\(\?|\\[1-9bBAZ]")
"""What grammars can't do: looking around, back references, boundaries."""
KEYWORDS_OF_TYPE = {
    "object": ("properties", "required", "additionalProperties", "patternProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""Keywords that tell a type where none is given."""


class Rewriter:
    """Rewrites one schema. ``losses`` says what of it was lost, ``changes`` what went out in another form."""

    def __init__(self, schema: Schema, rules: Rules) -> None:
        self.losses: dict[str, None] = {}
        self.changes: dict[str, None] = {}
        self._rules = rules
        self._definitions: dict[str, Schema] = schema.get("$defs", {})
        self._schema = schema
        self._root = {keyword: value for keyword, value in schema.items() if keyword != "$defs"}
        self._definition_name = "#"  # the definition that is written, or the root
        self._followed: list[str] = []  # references that are followed
        self._nodes = self._properties = self._values = self._depth = self._objects = 0

    def schema(self) -> Schema:
        """Return the schema as the vendor takes it. Raises UnsupportedSchema."""
        rules = self._rules
        if len(self._definitions) > MAX_DEFINITIONS:
            raise UnsupportedSchema("it is too large")
        if rules.recursive is False and any(name in leads for name, leads in self._reachable.items()):
            raise UnsupportedSchema("it refers to itself")
        rewritten = self._node(self._object_root(self._root) if rules.object_root else self._checked_root())
        definitions: dict[str, Schema] = {}
        pending = referenced_names(rewritten)
        while pending and not rules.inline:
            name = pending.pop()
            if name in self._definitions and name not in definitions:
                definitions[name] = self._definition(name)
                pending |= referenced_names(definitions[name])
        if definitions:
            rewritten["$defs"] = {name: definitions[name] for name in self._definitions if name in definitions}
        return rewritten

    @cached_property
    def _reachable(self) -> dict[str, set[str]]:
        return reachable_definitions(self._schema)

    def _definition(self, name: str) -> Schema:
        self._definition_name = name
        return self._node(self._definitions[name])

    # The root --------------------------------------------------------------------------------------------------------

    def _object_root(self, schema: Schema) -> Schema:
        """Make the root an object without keywords that it may not have."""
        rules = self._rules
        root = self._flattened(schema)
        kinds = [root["type"]] if isinstance(root.get("type"), str) else as_array(root.get("type")) or []
        if kinds and "object" not in kinds:
            self.losses["the root isn't an object, so it's wrapped in one, as 'arguments'"] = None
            root = {"type": "object", "properties": {"arguments": schema}, "required": ["arguments"]}
        with_properties: Schema = {"properties": {}} if rules.root_properties else {}
        root = {"type": "object", **with_properties, **root, **({"type": "object"} if kinds else {})}
        for keyword in [*root]:
            if keyword in rules.not_in_root or not (rules.root_keywords is None or keyword in rules.root_keywords):
                del root[keyword]
                if keyword not in NOT_CONSTRAINING and keyword not in SCHEMA_OR_BOOLEAN:
                    self.losses[f"{keyword} at its top"] = None
        return root

    def _checked_root(self) -> Schema:
        """Return the root where nothing is made of it: a vendor may want it to be an object, and then it has to be."""
        if not self._rules.only_objects:
            return self._root
        root = self._merged(self._resolved(self._root))
        if not _has_type({"type": "object", **root}, "object") or "anyOf" in root or "oneOf" in root:
            raise UnsupportedSchema("its root isn't an object")
        return {**root, "type": "object"}

    def _flattened(self, schema: Schema) -> Schema:
        """Put the branches of a root into one object that has all of their properties."""
        root = self._merged(self._resolved(schema))
        for keyword in ("anyOf", "oneOf"):
            if isinstance(root.get(keyword), list):
                branches = [self._flattened(branch) for branch in root.pop(keyword)]
                root = self._with_branches(root, branches)
                self.losses[f"{keyword} at its top: the properties of all branches are in one object"] = None
        return root

    def _with_branches(self, root: Schema, branches: list[Schema]) -> Schema:
        objects = [branch for branch in branches if branch.get("type", "object") == "object"]
        holders = [root, *objects]
        properties: dict[str, list[Schema]] = {}
        for holder in holders:
            for name, inner in holder.get("properties", {}).items():
                properties.setdefault(name, []).append(inner)
        required_in_all = [name for name in _required(objects[:1]) if all(name in _required([one]) for one in objects)]
        required = list(dict.fromkeys([*_required([root]), *required_in_all]))
        closed = [one["additionalProperties"] for one in holders if one.get("additionalProperties") is False]
        description = {"description": root["description"]} if "description" in root else {}
        return {
            **{keyword: value for keyword, value in root.items() if keyword not in (*OPEN_ENDED, "required")},
            "type": "object",
            "properties": {name: any_of(alternatives) for name, alternatives in properties.items()},
            **({"required": required} if required else {}),
            **({"additionalProperties": False} if len(closed) >= len(objects) > 0 else {}),
            **description,
        }

    def _resolved(self, schema: Schema) -> Schema:
        """Replace a reference by what it names, together with what stands beside it."""
        visited: set[str] = set()
        while (name := definition_name(schema.get("$ref"))) or schema.get("$ref") == "#":
            if name in visited:
                raise UnsupportedSchema("a reference leads to itself alone")
            visited.add(name)
            other_keywords = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
            schema = all_of(other_keywords, self._definitions.get(name, self._root), self._note_loss)
        return schema

    # Every schema ----------------------------------------------------------------------------------------------------

    def _node(self, schema: Schema) -> Schema:
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES or self._depth > DEEPEST:
            raise UnsupportedSchema("it is too large")
        node = self._refs(schema)
        if self._rules.inline and "$ref" in node:
            node = self._inlined(node, definition_name(node["$ref"]) or "#")
        elif node.keys() != {"$ref"}:
            node = self._within_limits(self._supported_keywords(self._with_known_keywords(self._merged(node))))
            node = self._with_required_keywords({**node, **dict(self._inner(node))})
        self._depth -= 1
        return node

    def _inner(self, node: Schema) -> Iterator[tuple[str, Any]]:
        """Yield the keywords whose values are schemas, rewritten."""
        is_object = isinstance(node.get("properties"), dict)
        self._objects += is_object
        if self._rules.max_depth is not None and self._objects > self._rules.max_depth:
            raise UnsupportedSchema(f"its objects nest deeper than {self._rules.max_depth} levels")
        for keyword, value in node.items():
            if keyword in MAPS:
                yield keyword, {name: self._node(inner) for name, inner in value.items()}
            elif keyword in LISTS and isinstance(value, list):
                yield keyword, [self._node(inner) for inner in as_array(value) or ()]
            elif keyword in (*SINGLE, *SCHEMA_OR_BOOLEAN) and isinstance(value, dict):
                yield keyword, self._node(as_object(value) or {})
        self._objects -= is_object

    def _refs(self, node: Schema) -> Schema:
        """Write a reference as the vendor takes it."""
        ref = node.get("$ref")
        if ref is None:
            return dict(node)
        name = definition_name(ref)
        if not name and ref != "#":
            self.losses[f"the reference {ref!r}, whose target isn't in the schema"] = None
            return {keyword: value for keyword, value in node.items() if keyword != "$ref"}
        other_keywords = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
        if not other_keywords or not self._rules.ref_alone or self._rules.inline:
            return dict(node)
        if other_keywords.keys() <= NOT_CONSTRAINING:
            annotations: Schema = {
                keyword: other_keywords[keyword] for keyword in ("description", "default") if keyword in other_keywords
            }
            return {"anyOf": [{"$ref": ref}], **annotations} if annotations else {"$ref": ref}
        if name in self._reachable.get(name, ()):
            for keyword in other_keywords.keys() - NOT_CONSTRAINING:
                self._note_loss(keyword)
            return {"$ref": ref}
        return self._resolved(node)

    def _inlined(self, node: Schema, name: str) -> Schema:
        other_keywords = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
        if name in self._followed or name == "#":
            self.losses["it refers to itself: the inner one is written as an object of any kind"] = None
            return {"type": "object", **other_keywords}
        self._followed.append(name)
        try:
            return self._node(all_of(other_keywords, self._definitions[name], self._note_loss))
        finally:
            self._followed.remove(name)

    def _merged(self, node: Schema) -> Schema:
        """Put the schemas of ``allOf`` into one, where the vendor doesn't accept ``allOf``."""
        at_top = self._rules.object_root and self._depth == 0
        if "allOf" not in node or (self._rules.accepts("allOf") and not at_top):
            return node
        merged = {keyword: value for keyword, value in node.items() if keyword != "allOf"}
        for part in node["allOf"]:
            merged = all_of(merged, self._merged(self._resolved(part)), self._note_loss)
        if len(merged) > MAX_NODES:
            raise UnsupportedSchema("it is too large")
        return merged

    def _with_known_keywords(self, node: Schema) -> Schema:
        """Write ``oneOf`` as ``anyOf`` and ``const`` as ``enum``, where the vendor knows only those."""
        if "oneOf" in node and not self._rules.accepts("oneOf"):
            branches = node.pop("oneOf")
            node = all_of(node, {"anyOf": branches}, self._note_loss)
        if "const" in node and not self._rules.accepts("const"):
            node["enum"] = [node.pop("const")]
        if self._rules.closed and "anyOf" in node and node.keys() - NOT_CONSTRAINING > {"anyOf"}:
            other_keywords = {
                keyword: value
                for keyword, value in node.items()
                if keyword != "anyOf" and keyword not in NOT_CONSTRAINING
            }
            branches = [all_of(other_keywords, self._resolved(branch), self._note_loss) for branch in node["anyOf"]]
            node = {
                **{keyword: value for keyword, value in node.items() if keyword in NOT_CONSTRAINING},
                **any_of(branches),
            }
        return node

    def _supported_keywords(self, node: Schema) -> Schema:
        """Leave out keywords that the vendor doesn't accept; the description tells the model about them."""
        if self._rules.closed and "patternProperties" in node:
            raise UnsupportedSchema("it has properties of any name")
        hints: list[str] = []
        for keyword in [*node]:
            if self._rules.accepts(keyword) and not self._refuses_value(keyword, node[keyword]):
                continue
            value = node.pop(keyword)
            if keyword == "prefixItems":
                node["items"] = any_of([*value, *([node["items"]] if isinstance(node.get("items"), dict) else [])])
            if keyword not in NOT_CONSTRAINING and not (keyword in SCHEMA_OR_BOOLEAN and value in (True, False, {})):
                self._note_loss(keyword)
            if keyword == "default" or keyword not in NOT_CONSTRAINING | {
                *SCHEMA_OR_BOOLEAN,
                "prefixItems",
                "patternProperties",
            }:
                hints.append(f"{keyword}: {msgspec.json.encode(value).decode()}")
        if hints:
            node["description"] = "\n\n".join(filter(None, [node.get("description"), f"{{{', '.join(hints)}}}"]))
        return node

    def _refuses_value(self, keyword: str, value: Any) -> bool:
        """Whether a vendor accepts a keyword, but not with this value."""
        rules = self._rules
        if keyword == "format":
            return rules.formats is not None and value not in rules.formats
        if keyword == "pattern":
            return rules.closed and isinstance(value, str) and UNSUPPORTED_PATTERN.search(value) is not None
        return keyword == "minItems" and rules.max_min_items is not None and value > rules.max_min_items

    def _within_limits(self, node: Schema) -> Schema:
        """Keep the limits on the size of a schema."""
        rules = self._rules
        self._properties += len(node.get("properties", ()))
        self._values += len(node.get("enum", ()))
        if rules.max_properties is not None and self._properties > rules.max_properties:
            raise UnsupportedSchema(f"it has more than {rules.max_properties} properties")
        if rules.max_enum is not None and self._values > rules.max_enum:
            raise UnsupportedSchema(f"it has more than {rules.max_enum} values in enum")
        return node

    def _with_required_keywords(self, node: Schema) -> Schema:
        """Add what the vendor requires: types, items, required properties, closed objects."""
        rules = self._rules
        if rules.typed:
            node = self._with_type(node)
        if rules.has_items and _has_type(node, "array") and "items" not in node and "prefixItems" not in node:
            if rules.typed:
                raise UnsupportedSchema("it has an array of anything")
            node["items"] = {}
        if rules.closed and (_has_type(node, "object") or "properties" in node):
            node = self._without_other_properties(node)
        if rules.known_required and "properties" in node and "required" in node:
            node["required"] = [name for name in node["required"] if name in node["properties"]]
        if rules.recursive == "optional" and "required" in node:
            node["required"] = [name for name in node["required"] if not self._is_recursive(node, name)]
        return node

    def _is_recursive(self, node: Schema, name: str) -> bool:
        """Whether a required property leads back to the definition that it's in; it's made optional then."""
        targets = referenced_names(node.get("properties", {}).get(name, {}))
        is_recursive = any(
            self._definition_name == target or self._definition_name in self._reachable.get(target, ())
            for target in targets
        )
        if is_recursive:
            self._note_loss("required")
        return is_recursive

    def _with_type(self, node: Schema) -> Schema:
        if "type" in node or "anyOf" in node or "$ref" in node:
            return node
        values = as_array(node.get("enum", [node["const"]] if "const" in node else None))
        if values:
            kinds = list(dict.fromkeys([TYPES.get(type(value), "") for value in values]))
            if "" in kinds:
                raise UnsupportedSchema("enum has values that are arrays or objects")
            return {**node, "type": kinds[0] if len(kinds) == 1 else kinds}
        kind = next(
            (kind for kind, keywords in KEYWORDS_OF_TYPE.items() if any(keyword in node for keyword in keywords)), None
        )
        if kind is None:
            raise UnsupportedSchema("it has a place for anything")
        return {**node, "type": kind}

    def _without_other_properties(self, node: Schema) -> Schema:
        """Close an object; one that is meant to be open can't be."""
        others = node.get("additionalProperties")
        if (isinstance(others, dict) and others) or ("properties" not in node and others is not False):
            raise UnsupportedSchema("it has properties of any name")
        if others is True or others == {}:
            self.changes["no other properties are allowed"] = None
        properties: dict[str, Schema] = node.get("properties", {})
        required = [name for name in node.get("required", []) if name in properties]
        closed: Schema = {**node, "additionalProperties": False}
        if self._rules.all_required:
            optional = [name for name in properties if name not in required]
            if optional:
                self.changes["optional properties may be null instead"] = None
            closed["properties"] = {
                name: nullable(inner) if name in optional else inner for name, inner in properties.items()
            }
            closed["required"] = [*properties]
        elif "required" in closed:
            closed["required"] = required
        return closed

    def _note_loss(self, keyword: str) -> None:
        self.losses[keyword] = None


def _has_type(node: Schema, kind: str) -> bool:
    type_or_types = node.get("type")
    return type_or_types == kind or (isinstance(type_or_types, list) and kind in type_or_types)


def _required(schemas: list[Schema]) -> list[str]:
    return [name for schema in schemas for name in as_array(schema.get("required")) or []]
