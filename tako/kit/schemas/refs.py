"""Which definitions of a schema lead back to themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import as_array, as_object
from tako.schema.normal_form import definition_name

if TYPE_CHECKING:
    from tako.schema.normal_form import Schema


def referenced_names(value: Any) -> set[str]:
    """Return what a schema of the plain form refers to anywhere but in its ``$defs``: names of those, or "#"."""
    names: set[str] = set()
    pending: list[Any] = [value]
    while pending:
        current = pending.pop()
        fields = as_object(current)
        if fields is None:
            pending += as_array(current) or ()
            continue
        if isinstance(fields.get("$ref"), str):
            names.add(definition_name(fields["$ref"]) or fields["$ref"])
        pending += [inner for keyword, inner in fields.items() if keyword != "$defs"]
    return names


def reachable_definitions(schema: Schema) -> dict[str, set[str]]:
    """Return, for "#" and each of ``$defs``, what it leads to over any number of references."""
    parts: dict[str, Any] = {"#": schema, **schema.get("$defs", {})}
    direct = {name: referenced_names(part) & parts.keys() for name, part in parts.items()}
    reachable: dict[str, set[str]] = {}
    for name in parts:
        targets: set[str] = set()
        pending = [*direct[name]]
        while pending:
            current = pending.pop()
            if current not in targets:
                targets.add(current)
                pending += direct[current]
        reachable[name] = targets
    return reachable
