"""What a run asks, kept beside its output, so that old answers never pass for answers to another question."""

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

TRAVEL = frozenset({
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
"""Options that say how a request travels, not what is asked."""
PRICES = "usd_per_"
LONGEST = 60
"""Characters of a value that is shown."""


class Fingerprint(Struct, frozen=True, kw_only=True):
    """What decides the answers of a run. It has no secrets, timeouts and prices; a schema is its hash."""

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
        """Say what is different now, each in a few words."""
        before, after = _facts(self), _facts(now)
        return [
            _change(name, before.get(name), after.get(name))
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        ]


def fingerprint(
    options: Namespace, model: str, provider_options: dict[str, Any], schema: JsonSchema | None, key: str | None
) -> Fingerprint:
    """Take the fingerprint of a run of the command."""
    return Fingerprint(
        model=_whole_id(model),
        options=_options(provider_options),
        prompt=options.prompt,
        system=options.system,
        schema=sha256(_canonical(schema.schema)).hexdigest() if schema is not None else None,
        image_column=options.image_column,
        key=key,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
    )


def read_notes(notes: Path) -> Fingerprint | None:
    """Read what is kept beside an output; None where there is nothing, or nothing that can be understood."""
    try:
        return msgspec.json.decode(notes.read_bytes(), type=Fingerprint)
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def write_notes(notes: Path, now: Fingerprint) -> None:
    """Keep it; the file is there as a whole or not at all. Raises OSError."""
    beside = notes.with_name(f".{notes.name}.new")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(now), indent=2) + b"\n")
    beside.replace(notes)


def _whole_id(id: str) -> str:
    """Add the model that a provider has without one, so that a run without a name for it is the same run."""
    name, _, model = id.partition(":")
    if model:
        return id
    default = signature(PLUGINS.provider_class(name)).parameters.get("model")
    return f"{name}:{default.default}" if default is not None and isinstance(default.default, str) else name


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Keep of the options what is asked, as JSON has it."""
    kept = {name: _set(value) for name, value in sorted(given.items()) if name not in TRAVEL}
    plain: Any = msgspec.json.decode(_canonical(kept))
    known = plain.get("capabilities")
    if is_table(known):
        plain["capabilities"] = {name: value for name, value in known.items() if not name.startswith(PRICES)}
    cleaned: dict[str, Any] = without_secrets(plain)
    return {name: value for name, value in cleaned.items() if value != {}}


def _set(value: Any) -> Any:
    """Return of an option that is an object the fields that were set."""
    if not isinstance(value, Struct):
        return value
    usual, fields = type(value)(), value.__struct_fields__
    return {name: getattr(value, name) for name in fields if getattr(value, name) != getattr(usual, name)}


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str, order="deterministic")


def _facts(one: Fingerprint) -> dict[str, Any]:
    """Return what is compared, by the name that people know it by."""
    facts: dict[str, Any] = msgspec.structs.asdict(one)
    facts |= {f"option {name}": value for name, value in facts.pop("options").items()}
    return facts


def _change(name: str, before: Any, after: Any) -> str:
    if name == "schema" and None not in (before, after):
        return "the schema has other contents"
    named = name if name.startswith("option ") else name.replace("_", "-")
    return f"{named} was {_shown(before, after)}, now {_shown(after, before)}"


def _shown(value: Any, other: Any) -> str:
    """Show a value; of a long text that part where it begins to be another one."""
    if value is None:
        return "not given"
    if not isinstance(value, str) or len(value) <= LONGEST:
        return _clipped(value if isinstance(value, str) else _canonical(value).decode())
    same = next((i for i, (a, b) in enumerate(zip(value, str(other), strict=False)) if a != b), 0)
    begin = max(0, same - LONGEST // 3)
    return ("…" if begin else "") + _clipped(value[begin:])


def _clipped(text: str) -> str:
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "…")
