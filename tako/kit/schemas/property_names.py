"""Names of a tool's properties that a vendor refuses: others for the wire, and the tool's own in replies.

Only those at the top of a schema are looked at, as by the API.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako.json_values import as_object
from tako.kit.schemas.tool_names import Names, form_of
from tako.parts import ToolCallPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.parts import Part
    from tako.schema.normal_form import Schema

PLAIN = Names(other=re.compile(r"[^a-zA-Z0-9_.-]"), first=re.compile(r"[a-zA-Z0-9_.-]"))
"""What Claude takes: the API says "Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'"."""
Forms = dict[str, str]
"""The names on the wire by the tool's own, or the other way round."""


def property_forms(schema: Schema) -> Forms:
    """Return the names that go out in another form, each with that form."""
    names = list(as_object(schema.get("properties")) or {})
    refused = [name for name in names if not PLAIN.takes(name)]
    taken = {name for name in names if name not in refused}
    forms: Forms = {}
    for name in refused:
        forms[name] = form_of(name, PLAIN, taken)
        taken.add(forms[name])
    return forms


def with_properties(schema: Schema, forms: Forms) -> Schema:
    """Return a schema whose properties at the top have their forms."""
    renamed = {**schema, "properties": with_keys(schema["properties"], forms)}
    if isinstance(schema.get("required"), list):
        renamed["required"] = [forms.get(name, name) for name in schema["required"]]
    return renamed


def with_keys(args: Any, forms: Mapping[str, str]) -> Any:
    """Return arguments with other names; what is no object is returned as it is."""
    fields = as_object(args)
    return args if fields is None else {forms.get(name, name): value for name, value in fields.items()}


def with_own_names_in_text(text: str, own_names: Forms) -> str:
    """Return arguments that are JSON text with the tool's own names; text that isn't JSON stays as it is."""
    try:
        return msgspec.json.encode(with_keys(msgspec.json.decode(text), own_names)).decode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def with_call(part: Part, forms: Mapping[str, Forms]) -> Part:
    """Return a call with other names of its arguments; ``forms`` are those of each tool."""
    if isinstance(part, ToolCallPart) and part.name in forms:
        return replace(part, args=with_keys(part.args, forms[part.name]))
    return part
