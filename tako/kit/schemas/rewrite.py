"""A schema in the plain form, rewritten by the rules of one vendor."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from tako.json_values import DEEPEST, as_array, as_object
from tako.kit.schemas.combine import ANNOTATIONS, TYPES, both, either, nullable
from tako.kit.schemas.refs import names_in, reached
from tako.kit.schemas.rules import Unfit
from tako.schema.normal_form import LISTS, MAPS, REST, SINGLE, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.schemas.rules import Rules
    from tako.schema.normal_form import Schema

MOST_NODES = 20_000
"""Schemas within one, after its references were followed; more is no schema of a tool, but an attack on memory."""
MOST_DEFINITIONS = 500
SILENT = ANNOTATIONS | {"$schema", "$id", "$anchor", "$comment", "discriminator", "example", "xml", "externalDocs"}
"""Words that say nothing about what fits: it's no loss where a vendor doesn't take them."""
OPEN_ENDED = ("additionalProperties", "unevaluatedProperties")
HARD_PATTERN = re.compile(r"\(\?|\\[1-9bBAZ]")
"""What grammars can't do: looking around, back references, boundaries."""
HINTS = {
    "object": ("properties", "required", "additionalProperties", "patternProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""Words that tell a type where none is given."""


class Rewriter:
    """Rewrites one schema. ``losses`` says what of it was lost, ``changes`` what went out in another form."""

    def __init__(self, schema: Schema, rules: Rules) -> None:
        self.losses: dict[str, None] = {}
        self.changes: dict[str, None] = {}
        self._rules = rules
        self._definitions: dict[str, Schema] = schema.get("$defs", {})
        self._schema = schema
        self._root = {word: value for word, value in schema.items() if word != "$defs"}
        self._part = "#"  # the definition that is written, or the root
        self._open: list[str] = []  # references that are followed
        self._nodes = self._properties = self._values = self._depth = self._objects = 0

    def schema(self) -> Schema:
        """Return the schema as the vendor takes it. Raises Unfit."""
        rules = self._rules
        if len(self._definitions) > MOST_DEFINITIONS:
            raise Unfit("it is too large")
        if rules.recursive is False and any(name in leads for name, leads in self._leads.items()):
            raise Unfit("it refers to itself")
        made = self._node(self._as_root(self._root) if rules.object_root else self._object_alone())
        definitions: dict[str, Schema] = {}
        waiting = names_in(made)
        while waiting and not rules.inline:
            name = waiting.pop()
            if name in self._definitions and name not in definitions:
                definitions[name] = self._definition(name)
                waiting |= names_in(definitions[name])
        if definitions:
            made["$defs"] = {name: definitions[name] for name in self._definitions if name in definitions}
        return made

    @cached_property
    def _leads(self) -> dict[str, set[str]]:
        return reached(self._schema)

    def _definition(self, name: str) -> Schema:
        self._part = name
        return self._node(self._definitions[name])

    # The root --------------------------------------------------------------------------------------------------------

    def _as_root(self, schema: Schema) -> Schema:
        """Make the root an object without words that it may not have."""
        rules = self._rules
        root = self._flat(schema)
        kinds = [root["type"]] if isinstance(root.get("type"), str) else as_array(root.get("type")) or []
        if kinds and "object" not in kinds:
            self.losses["the root isn't an object, so it's wrapped in one, as 'arguments'"] = None
            root = {"type": "object", "properties": {"arguments": schema}, "required": ["arguments"]}
        with_properties: Schema = {"properties": {}} if rules.root_properties else {}
        root = {"type": "object", **with_properties, **root, **({"type": "object"} if kinds else {})}
        for word in [*root]:
            if word in rules.not_root or not (rules.root_words is None or word in rules.root_words):
                del root[word]
                if word not in SILENT and word not in REST:
                    self.losses[f"{word} at its top"] = None
        return root

    def _object_alone(self) -> Schema:
        """Return the root where nothing is made of it: a vendor may want it to be an object, and then it has to be."""
        if not self._rules.only_objects:
            return self._root
        root = self._merged(self._opened(self._root))
        if not _is({"type": "object", **root}, "object") or "anyOf" in root or "oneOf" in root:
            raise Unfit("its root isn't an object")
        return {**root, "type": "object"}

    def _flat(self, schema: Schema) -> Schema:
        """Put the branches of a root into one object that has all of their properties."""
        root = self._merged(self._opened(schema))
        for word in ("anyOf", "oneOf"):
            if isinstance(root.get(word), list):
                branches = [self._flat(branch) for branch in root.pop(word)]
                root = self._with_branches(root, branches)
                self.losses[f"{word} at its top: the properties of all branches are in one object"] = None
        return root

    def _with_branches(self, root: Schema, branches: list[Schema]) -> Schema:
        objects = [branch for branch in branches if branch.get("type", "object") == "object"]
        holders = [root, *objects]
        properties: dict[str, list[Schema]] = {}
        for holder in holders:
            for name, inner in holder.get("properties", {}).items():
                properties.setdefault(name, []).append(inner)
        shared = [name for name in _required(objects[:1]) if all(name in _required([one]) for one in objects)]
        required = list(dict.fromkeys([*_required([root]), *shared]))
        closed = [one["additionalProperties"] for one in holders if one.get("additionalProperties") is False]
        described = {"description": root["description"]} if "description" in root else {}
        return {
            **{word: value for word, value in root.items() if word not in (*OPEN_ENDED, "required")},
            "type": "object",
            "properties": {name: either(found) for name, found in properties.items()},
            **({"required": required} if required else {}),
            **({"additionalProperties": False} if len(closed) >= len(objects) > 0 else {}),
            **described,
        }

    def _opened(self, schema: Schema) -> Schema:
        """Replace a reference by what it names, together with what stands beside it."""
        seen: set[str] = set()
        while (name := name_of(schema.get("$ref"))) or schema.get("$ref") == "#":
            if name in seen:
                raise Unfit("a reference leads to itself alone")
            seen.add(name)
            rest = {word: value for word, value in schema.items() if word != "$ref"}
            schema = both(rest, self._definitions.get(name, self._root), self._lose)
        return schema

    # Every schema ----------------------------------------------------------------------------------------------------

    def _node(self, schema: Schema) -> Schema:
        self._nodes += 1
        self._depth += 1
        if self._nodes > MOST_NODES or self._depth > DEEPEST:
            raise Unfit("it is too large")
        node = self._refs(schema)
        if self._rules.inline and "$ref" in node:
            node = self._inlined(node, name_of(node["$ref"]) or "#")
        elif node.keys() != {"$ref"}:
            node = self._limited(self._words(self._chosen(self._merged(node))))
            node = self._finished({**node, **dict(self._inner(node))})
        self._depth -= 1
        return node

    def _inner(self, node: Schema) -> Iterator[tuple[str, Any]]:
        """Yield the words that hold schemas, rewritten."""
        deeper = isinstance(node.get("properties"), dict)
        self._objects += deeper
        if self._rules.deepest is not None and self._objects > self._rules.deepest:
            raise Unfit(f"its objects nest deeper than {self._rules.deepest} levels")
        for word, value in node.items():
            if word in MAPS:
                yield word, {name: self._node(inner) for name, inner in value.items()}
            elif word in LISTS and isinstance(value, list):
                yield word, [self._node(inner) for inner in as_array(value) or ()]
            elif word in (*SINGLE, *REST) and isinstance(value, dict):
                yield word, self._node(as_object(value) or {})
        self._objects -= deeper

    def _refs(self, node: Schema) -> Schema:
        """Write a reference as the vendor takes it."""
        ref = node.get("$ref")
        if ref is None:
            return dict(node)
        name = name_of(ref)
        if not name and ref != "#":
            self.losses[f"the reference {ref!r}, whose target isn't in the schema"] = None
            return {word: value for word, value in node.items() if word != "$ref"}
        rest = {word: value for word, value in node.items() if word != "$ref"}
        if not rest or not self._rules.ref_alone or self._rules.inline:
            return dict(node)
        if rest.keys() <= SILENT:
            described: Schema = {word: rest[word] for word in ("description", "default") if word in rest}
            return {"anyOf": [{"$ref": ref}], **described} if described else {"$ref": ref}
        if name in self._leads.get(name, ()):
            for word in rest.keys() - SILENT:
                self._lose(word)
            return {"$ref": ref}
        return self._opened(node)

    def _inlined(self, node: Schema, name: str) -> Schema:
        rest = {word: value for word, value in node.items() if word != "$ref"}
        if name in self._open or name == "#":
            self.losses["it refers to itself: the inner one is written as an object of any kind"] = None
            return {"type": "object", **rest}
        self._open.append(name)
        try:
            return self._node(both(rest, self._definitions[name], self._lose))
        finally:
            self._open.remove(name)

    def _merged(self, node: Schema) -> Schema:
        """Put the schemas of ``allOf`` into one, where the vendor takes no such word."""
        at_top = self._rules.object_root and self._depth == 0
        if "allOf" not in node or (self._rules.takes("allOf") and not at_top):
            return node
        merged = {word: value for word, value in node.items() if word != "allOf"}
        for part in node["allOf"]:
            merged = both(merged, self._merged(self._opened(part)), self._lose)
        if len(merged) > MOST_NODES:
            raise Unfit("it is too large")
        return merged

    def _chosen(self, node: Schema) -> Schema:
        """Write ``oneOf`` as ``anyOf`` and ``const`` as ``enum``, where the vendor knows only those."""
        if "oneOf" in node and not self._rules.takes("oneOf"):
            branches = node.pop("oneOf")
            node = both(node, {"anyOf": branches}, self._lose)
        if "const" in node and not self._rules.takes("const"):
            node["enum"] = [node.pop("const")]
        if self._rules.closed and "anyOf" in node and node.keys() - SILENT > {"anyOf"}:
            beside = {word: value for word, value in node.items() if word != "anyOf" and word not in SILENT}
            branches = [both(beside, self._opened(branch), self._lose) for branch in node["anyOf"]]
            node = {**{word: value for word, value in node.items() if word in SILENT}, **either(branches)}
        return node

    def _words(self, node: Schema) -> Schema:
        """Leave out words that the vendor doesn't take; what they say goes into the description, for the model."""
        if self._rules.closed and "patternProperties" in node:
            raise Unfit("it has properties of any name")
        hints: list[str] = []
        for word in [*node]:
            if self._rules.takes(word) and not self._refuses(word, node[word]):
                continue
            value = node.pop(word)
            if word == "prefixItems":
                node["items"] = either([*value, *([node["items"]] if isinstance(node.get("items"), dict) else [])])
            if word not in SILENT and not (word in REST and value in (True, False, {})):
                self._lose(word)
            if word == "default" or word not in SILENT | {*REST, "prefixItems", "patternProperties"}:
                hints.append(f"{word}: {msgspec.json.encode(value).decode()}")
        if hints:
            node["description"] = "\n\n".join(filter(None, [node.get("description"), f"{{{', '.join(hints)}}}"]))
        return node

    def _refuses(self, word: str, value: Any) -> bool:
        """Whether a vendor takes a word, but not with this value."""
        rules = self._rules
        if word == "format":
            return rules.formats is not None and value not in rules.formats
        if word == "pattern":
            return rules.closed and isinstance(value, str) and HARD_PATTERN.search(value) is not None
        return word == "minItems" and rules.most_min_items is not None and value > rules.most_min_items

    def _limited(self, node: Schema) -> Schema:
        """Keep the limits on the size of a schema."""
        rules = self._rules
        self._properties += len(node.get("properties", ()))
        self._values += len(node.get("enum", ()))
        if rules.most_properties is not None and self._properties > rules.most_properties:
            raise Unfit(f"it has more than {rules.most_properties} properties")
        if rules.most_enum is not None and self._values > rules.most_enum:
            raise Unfit(f"it has more than {rules.most_enum} values in enum")
        return node

    def _finished(self, node: Schema) -> Schema:
        """Say what the vendor wants to be said: types, items, required properties, closed objects."""
        rules = self._rules
        if rules.typed:
            node = self._typed(node)
        if rules.has_items and _is(node, "array") and "items" not in node and "prefixItems" not in node:
            if rules.typed:
                raise Unfit("it has an array of anything")
            node["items"] = {}
        if rules.closed and (_is(node, "object") or "properties" in node):
            node = self._closed(node)
        if rules.known_required and "properties" in node and "required" in node:
            node["required"] = [name for name in node["required"] if name in node["properties"]]
        if rules.recursive == "optional" and "required" in node:
            node["required"] = [name for name in node["required"] if not self._leads_back(node, name)]
        return node

    def _leads_back(self, node: Schema, name: str) -> bool:
        """Whether a required property leads back to the definition that it's in; it's made optional then."""
        targets = names_in(node.get("properties", {}).get(name, {}))
        back = any(self._part == one or self._part in self._leads.get(one, ()) for one in targets)
        if back:
            self._lose("required")
        return back

    def _typed(self, node: Schema) -> Schema:
        if "type" in node or "anyOf" in node or "$ref" in node:
            return node
        values = as_array(node.get("enum", [node["const"]] if "const" in node else None))
        if values:
            kinds = list(dict.fromkeys([TYPES.get(type(value), "") for value in values]))
            if "" in kinds:
                raise Unfit("enum has values that are arrays or objects")
            return {**node, "type": kinds[0] if len(kinds) == 1 else kinds}
        kind = next((kind for kind, words in HINTS.items() if any(word in node for word in words)), None)
        if kind is None:
            raise Unfit("it has a place for anything")
        return {**node, "type": kind}

    def _closed(self, node: Schema) -> Schema:
        """Close an object; one that is meant to be open can't be."""
        more = node.get("additionalProperties")
        if (isinstance(more, dict) and more) or ("properties" not in node and more is not False):
            raise Unfit("it has properties of any name")
        if more is True or more == {}:
            self.changes["no other properties are allowed"] = None
        properties: dict[str, Schema] = node.get("properties", {})
        required = [name for name in node.get("required", []) if name in properties]
        made: Schema = {**node, "additionalProperties": False}
        if self._rules.all_required:
            optional = [name for name in properties if name not in required]
            if optional:
                self.changes["optional properties may be null instead"] = None
            made["properties"] = {
                name: nullable(inner) if name in optional else inner for name, inner in properties.items()
            }
            made["required"] = [*properties]
        elif "required" in made:
            made["required"] = required
        return made

    def _lose(self, word: str) -> None:
        self.losses[word] = None


def _is(node: Schema, kind: str) -> bool:
    found = node.get("type")
    return found == kind or (isinstance(found, list) and kind in found)


def _required(schemas: list[Schema]) -> list[str]:
    return [name for schema in schemas for name in as_array(schema.get("required")) or []]
