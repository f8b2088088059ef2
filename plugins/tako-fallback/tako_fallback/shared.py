"""What several providers can all do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tako.provider import Provider


def shared_capabilities(members: Sequence[Provider]) -> Capabilities:
    """Return what all members can do, without prices: they're those of who answers."""
    known = [member.capabilities for member in members]
    origins = [member.capability_origins() for member in members]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in Capabilities.__struct_fields__:
        if name == "origins" or "usd" in name or "price" in name:
            continue
        values[name] = _shared(name, [getattr(one, name) for one in known])
        if _is_known(name, known, origins, values[name]):
            sources[name] = f"shared by {', '.join(member.id for member in members)}"
    return Capabilities(**values, origins=sources or {"supports_tools": ""})


def _shared(name: str, values: list[Any]) -> Any:
    if name.startswith("supports_"):
        return all(values)
    if name.startswith("max_"):
        return None if None in values else min(values)
    return values[0] if all(value == values[0] for value in values) else None


def _is_known(name: str, known: list[Capabilities], origins: list[dict[str, str]], value: Any) -> bool:
    """Tell a fact from an assumption: all members know it, or one knows that it can't."""
    told = [bool(origin.get(name)) for origin in origins]
    return all(told) or (
        value is False and any(a and not getattr(one, name) for a, one in zip(told, known, strict=True))
    )
