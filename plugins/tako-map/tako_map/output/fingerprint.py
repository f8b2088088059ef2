"""The prompt, model and options of a run, stored with its output, so that old answers aren't served for new ones."""

from __future__ import annotations

from hashlib import sha256
from inspect import signature
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako.hooks import PLUGINS
from tako.options import is_table, without_secrets

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from tako.types import JsonSchema

TRANSPORT = frozenset({
    "connect_timeout",
    "deadline",
    "http_client",
    "idempotency_header",
    "label",
    "max_connections",
    "max_event_bytes",
    "max_reply_bytes",
    "max_retries",
    "places",
    "proxy",
    "timeout",
    "transport",
    "trust_env",
})  # fmt: skip
"""Options that say how a request is sent, not what's in it."""
PRICES = "usd_per_"
MAX_LENGTH = 60
"""Characters of a value in a message."""


class Fingerprint(Struct, frozen=True, kw_only=True):
    """What the answers of a run depend on. It has no secrets, timeouts and prices, and the hash of a schema."""

    model: str
    options: dict[str, Any] = {}
    prompt: str | None = None
    system: str | None = None
    schema: str | None = None
    image_column: str | None = None
    key: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None

    def changes(self, now: Fingerprint) -> list[str]:
        """Describe each difference in a few words."""
        old, new = _fields(self), _fields(now)
        return [
            _change(name, old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)
        ]


def take_fingerprint(
    options: Namespace, model: str, provider_options: dict[str, Any], schema: JsonSchema | None, key: str | None
) -> Fingerprint:
    """Return the fingerprint of a run of the command."""
    return Fingerprint(
        model=_full_id(model),
        options=_options(provider_options),
        prompt=options.prompt,
        system=options.system,
        schema=sha256(_canonical(schema.schema)).hexdigest() if schema is not None else None,
        image_column=options.image_column,
        key=key,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
    )


def read_fingerprint(path: Path) -> Fingerprint | None:
    """Read an output's fingerprint; None if there isn't one, or if it can't be decoded."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Fingerprint)
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def write_fingerprint(path: Path, fingerprint: Fingerprint) -> None:
    """Write an output's fingerprint; it replaces an old one when it's complete. Raises OSError."""
    new_path = path.with_name(f".{path.name}.new")
    new_path.write_bytes(msgspec.json.format(msgspec.json.encode(fingerprint), indent=2) + b"\n")
    new_path.replace(path)


def _full_id(id: str) -> str:
    """Add the default model to an id without one, so that both ids have the same fingerprint."""
    name, _, model = id.partition(":")
    if model:
        return id
    default = signature(PLUGINS.provider_class(name)).parameters.get("model")
    return f"{name}:{default.default}" if default is not None and isinstance(default.default, str) else name


def _options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that answers depend on, as JSON values."""
    relevant = {name: _non_defaults(value) for name, value in sorted(options.items()) if name not in TRANSPORT}
    plain: Any = msgspec.json.decode(_canonical(relevant))
    capabilities = plain.get("capabilities")
    if is_table(capabilities):
        plain["capabilities"] = {name: value for name, value in capabilities.items() if not name.startswith(PRICES)}
    cleaned: dict[str, Any] = without_secrets(plain)
    return {name: value for name, value in cleaned.items() if value != {}}


def _non_defaults(value: Any) -> Any:
    """Return an option's value; if it's an object, its fields that aren't the defaults."""
    if not isinstance(value, Struct):
        return value
    default, fields = type(value)(), value.__struct_fields__
    return {name: getattr(value, name) for name in fields if getattr(value, name) != getattr(default, name)}


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str, order="deterministic")


def _fields(fingerprint: Fingerprint) -> dict[str, Any]:
    """Return the fields to compare, with each option as a field."""
    fields: dict[str, Any] = msgspec.structs.asdict(fingerprint)
    fields |= {f"option {name}": value for name, value in fields.pop("options").items()}
    return fields


def _change(name: str, old: Any, new: Any) -> str:
    if name == "schema" and None not in (old, new):
        return "the schema has other contents"
    label = name if name.startswith("option ") else name.replace("_", "-")
    return f"{label} was {_display(old, new)}, now {_display(new, old)}"


def _display(value: Any, other: Any) -> str:
    """Return a value as a message has it; a long text from shortly before the first difference."""
    if value is None:
        return "not given"
    if not isinstance(value, str) or len(value) <= MAX_LENGTH:
        return _clip(value if isinstance(value, str) else _canonical(value).decode())
    difference = next((i for i, (a, b) in enumerate(zip(value, str(other), strict=False)) if a != b), 0)
    begin = max(0, difference - MAX_LENGTH // 3)
    return ("…" if begin else "") + _clip(value[begin:])


def _clip(text: str) -> str:
    return repr(text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH] + "…")
