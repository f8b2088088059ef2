"""How much of strict schemas a model takes in one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.json_values import as_array, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tako.kit.families import Strict
    from tako.schema.normal_form import Schema


class Budget:
    """What is left for strict schemas in one request: of the reply first, then of the tools in their order."""

    def __init__(self, limits: Strict | None) -> None:
        self._limits = limits
        self._tools: int = 0
        self._optional: int = 0
        self._unions: int = 0

    def refusal(self, schema: Schema, *, tool: bool = True) -> str:
        """Count a schema; if there's no room for it, it isn't counted, and the text says why. "" if there is."""
        limits = self._limits
        if limits is None:
            return ""
        nodes = list(_nodes(schema))
        optional = sum([len(node.get("properties", {}).keys() - {*node.get("required", ())}) for node in nodes])
        unions = len([node for node in nodes if "anyOf" in node or isinstance(node.get("type"), list)])
        counts = (self._tools + tool, self._optional + optional, self._unions + unions)
        for count, limit, subject in zip(
            counts,
            (limits.tools, limits.optional, limits.unions),
            ("strict tools", "optional properties in all strict schemas", "unions of types in all strict schemas"),
            strict=True,
        ):
            if count > limit:
                return f"the model takes at most {limit} {subject}"
        self._tools, self._optional, self._unions = counts
        return ""


def _nodes(value: Any) -> Iterator[Schema]:
    """Yield all schemas within a schema, each where it stands."""
    pending = [value]
    while pending:
        value = pending.pop()
        node = as_object(value)
        if node is None:
            pending += as_array(value) or []
            continue
        yield node
        for keyword, inner in node.items():
            if keyword in ("properties", "$defs"):
                pending += (as_object(inner) or {}).values()
            elif keyword in ("items", "anyOf", "additionalProperties"):
                pending.append(inner)
