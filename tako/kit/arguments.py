"""Arguments of tool calls, for wires that require an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako import notices
from tako.fold import parse_arguments
from tako.json_values import as_object

if TYPE_CHECKING:
    from tako.translator import PartContext


def encode_arguments(args: Any, context: PartContext) -> dict[str, Any]:
    """Return arguments as an object; what is none is wrapped, so that nothing of it is lost."""
    fields = as_object(args)
    if fields is not None:
        return fields
    if args is None or args == "":
        return {}
    context.notice(notices.CHANGED_PART, "the arguments aren't a JSON object, so they were sent inside one")
    return {"arguments": args}


def decode_arguments(args: Any) -> Any:
    """Return the arguments of a call on a wire that has them as an object; some servers write JSON text, or null."""
    return {} if args is None else parse_arguments(args) if isinstance(args, str) else args
