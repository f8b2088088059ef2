"""Why a provider's constructor didn't take what it was given, in plain words."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

IN_THE_ID = ("model", "id")
"""Parameters that come from a provider's id."""
RESERVED = ("id", "self", "cls")
"""Parameters that no option can fill."""


def misfit(cls: type, id: str, options: Mapping[str, Any], error: TypeError) -> str:
    """Explain a TypeError of ``cls.from_id``: Python's own text speaks of positional and keyword arguments."""
    name, _, model = id.partition(":")
    if "model" in options:
        return f"{name}: model isn't an option; it's a part of the id, as in {name}:MODEL"
    reserved = next((option for option in RESERVED if option in options), None)
    if reserved is not None:
        return f"{id}: {cls.__name__} has no option {reserved!r}"
    known = inspect.signature(cls).parameters.values()
    takes = [one.name for one in known if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    missing = [one.name for one in known if one.name in takes and one.default is one.empty and one.name not in options]
    if not model and "model" in missing:
        return f"{name} needs a model, as in {name}:MODEL"
    missing = [option for option in missing if option not in IN_THE_ID]
    if missing:
        return f"{id} needs the option{'s' * (len(missing) > 1)} {_listed(missing)}"
    unknown = next((option for option in options if option not in takes), None)
    if unknown is not None and len(takes) == len(known):
        options_taken = ", ".join(option for option in takes if option not in IN_THE_ID)
        return f"{id}: {cls.__name__} has no option {unknown!r} (its options: {options_taken})"
    return f"{id}: {cls.__name__} failed: {error}"


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
