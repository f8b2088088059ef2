"""``--schema``: a JSON Schema in a file or in the option itself, a Python type, or fields in a short notation."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tako.cli.imports import SOURCE, find_object
from tako.errors import ConfigurationError
from tako.types import JsonSchema

if TYPE_CHECKING:
    from tako.cli.settings import Reference

TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_FIELD = re.compile(r"([A-Za-z_][\w-]*)(?:\s+(\w+)(\[\])?)?(?:\s*:\s*(.*))?")
EXPECTED = (
    'a file, a type (module:Type), or fields as in "name, age int, tags str[]"; "[name, age int]" is a list of them'
)


def read_schema(reference: Reference) -> Any:
    """Return the schema of replies: a JsonSchema, or a type. Raises ConfigurationError."""
    text = reference.text.strip()
    if text.startswith("{"):
        return JsonSchema("answer", _decode_schema(text, "--schema"))
    if text.endswith(".json"):
        return _schema_from_file(Path(reference.folders[0], os.path.expanduser(text)), text)  # noqa: PTH111 - Path's raises for an unknown user
    if re.fullmatch(rf"[\w./\\~-]+({re.escape(SOURCE)})?:[A-Za-z_][\w.]*", text):
        return find_object(reference, "--schema ", "type")
    return JsonSchema("answer", _schema_from_fields(text))


def _schema_from_file(path: Path, display_path: str) -> JsonSchema:
    try:
        data = path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"--schema {display_path}: {getattr(error, 'strerror', None) or error}") from None
    name = re.sub(r"[^A-Za-z0-9_-]", "_", path.stem) or "answer"
    return JsonSchema(name, _decode_schema(data, f"--schema {display_path}"))


def _decode_schema(text: str, source: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"{source} isn't a JSON Schema: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{source} is nested too deeply") from None


def _schema_from_fields(text: str) -> dict[str, Any]:
    """Read ``name, age int, bio: two sentences``. Commas or lines separate fields; brackets make a list."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    properties: dict[str, Any] = {}
    for piece in re.split(r"\n" if "\n" in inner.strip() else ",", inner):
        if not piece.strip():
            continue
        field = _FIELD.fullmatch(piece.strip())
        kind = TYPES.get((field[2] or "str").lower()) if field is not None else None
        if field is None or kind is None:
            raise ConfigurationError(
                f"--schema {json.dumps(piece.strip())}: expected {EXPECTED}; types: {', '.join(TYPES)}"
            )
        schema: dict[str, Any] = {"type": "array", "items": {"type": kind}} if field[3] else {"type": kind}
        properties[field[1]] = schema | ({"description": field[4]} if field[4] else {})
    if not properties:
        raise ConfigurationError(f"--schema is empty: expected {EXPECTED}")
    record = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "array", "items": record} if inner != text else record
