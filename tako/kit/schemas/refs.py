"""Which definitions of a schema lead back to themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.json_values import as_array, as_object
from tako.schema.normal_form import name_of

if TYPE_CHECKING:
    from tako.schema.normal_form import Schema


def names_in(value: Any) -> set[str]:
    """Return what a schema of the plain form refers to anywhere but in its ``$defs``: names of those, or "#"."""
    found: set[str] = set()
    waiting: list[Any] = [value]
    while waiting:
        here = waiting.pop()
        fields = as_object(here)
        if fields is None:
            waiting += as_array(here) or ()
            continue
        if isinstance(fields.get("$ref"), str):
            found.add(name_of(fields["$ref"]) or fields["$ref"])
        waiting += [inner for word, inner in fields.items() if word != "$defs"]
    return found


def reached(schema: Schema) -> dict[str, set[str]]:
    """Return, for "#" and each of ``$defs``, what it leads to over any number of references."""
    parts: dict[str, Any] = {"#": schema, **schema.get("$defs", {})}
    direct = {name: names_in(part) & parts.keys() for name, part in parts.items()}
    leads: dict[str, set[str]] = {}
    for name in parts:
        found: set[str] = set()
        waiting = [*direct[name]]
        while waiting:
            here = waiting.pop()
            if here not in found:
                found.add(here)
                waiting += direct[here]
        leads[name] = found
    return leads
