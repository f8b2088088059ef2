"""Blocks of a reply as parts: what all vendors have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.json_values import as_object
from tako.parts import Part, ToolCallPart, VendorPart
from tako.state import State

if TYPE_CHECKING:
    from collections.abc import Collection

    from tako.translator import PartContext


def state_of(block: dict[str, Any], known: Collection[str], context: PartContext) -> State | None:
    """Return the fields of a block that its part's own fields don't say (all but ``known``), or None if there are none.

    Fields that are null are left out: vendors take a missing field for the same.
    """
    other_fields = {name: value for name, value in block.items() if name not in known and value is not None}
    return State(context.origin, other_fields) if other_fields else None


def is_own(part: Part, context: PartContext) -> bool:
    """Whether the vendor that gets the request made a part."""
    return part.state is not None and context.accepts(part, part.state.origin)


def own_data(part: Part, context: PartContext) -> dict[str, Any]:
    """Return the data of a part's state if the vendor that gets the request made it, else {}."""
    return part.state.data if part.state is not None and is_own(part, context) else {}


def is_spelled_differently(text: str, args: Any) -> bool:
    """Whether a call's arguments came as other text than tako would write, or aren't JSON."""
    return bool(text) and (isinstance(args, str) or msgspec.json.encode(args).decode() != text)


def has_only_spelling(part: Part) -> bool:
    """Whether a call's state has only the text of its arguments. Every vendor gets their value anyway."""
    data = part.state.data if part.state is not None else {}
    call = as_object(data.get("function")) if data.keys() == {"function"} else data
    return isinstance(part, ToolCallPart) and call is not None and call.keys() - {"type"} == {"arguments"}


def without(block: dict[str, Any], kind: str, *known: str) -> dict[str, Any]:
    """Return a block without the known fields of the object under ``kind``, and without that if nothing of it is left.

    Fields of it that are null are left out, too.
    """
    inner = {name: value for name, value in block[kind].items() if name not in known and value is not None}
    other_fields = {name: value for name, value in block.items() if name != kind}
    return {**other_fields, kind: inner} if inner else other_fields


def vendor_part(kind: str, block: dict[str, Any], context: PartContext) -> VendorPart:
    """Keep a block that tako has no kind for as it is."""
    return VendorPart(kind, State(context.origin, block))
