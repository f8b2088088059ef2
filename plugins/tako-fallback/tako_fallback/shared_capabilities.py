"""The capabilities that several providers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tako.provider import Provider


def shared_capabilities(members: Sequence[Provider]) -> Capabilities:
    """Return what all members can do, without prices, which depend on the member that answers."""
    capabilities = [member.capabilities for member in members]
    origins = [member.capability_origins() for member in members]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in Capabilities.__struct_fields__:
        if name == "origins" or "usd" in name or "price" in name:
            continue
        values[name] = _shared_value(name, [getattr(each, name) for each in capabilities])
        if _is_known(name, capabilities, origins, values[name]):
            sources[name] = f"shared by {', '.join(member.id for member in members)}"
    return Capabilities(**values, origins=sources or {"supports_tools": ""})


def _shared_value(name: str, values: list[Any]) -> Any:
    if name.startswith("supports_"):
        return all(values)
    if name.startswith("max_"):
        return None if None in values else min(values)
    return values[0] if all(value == values[0] for value in values) else None


def _is_known(name: str, capabilities: list[Capabilities], origins: list[dict[str, str]], value: Any) -> bool:
    """Whether a value is known, not assumed: all members know it, or one knows that it isn't supported."""
    has_origin = [bool(origin.get(name)) for origin in origins]
    return all(has_origin) or (
        value is False
        and any(
            is_known and not getattr(member, name) for is_known, member in zip(has_origin, capabilities, strict=True)
        )
    )
