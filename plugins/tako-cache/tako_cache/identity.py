"""The identity of a provider: providers with the same settings and address may share replies."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tako.provider import Provider

IGNORED_STATE = {
    "_capabilities",
    "_user_capabilities",
    "_handlers",
    "_http_client",
    "_label",
    "_origins",
    "_transport",
    "_transport_arguments",
    "connect_timeout",
    "deadline",
    "defaults",  # they are in the request
    "discovered",
    "idempotency_header",
    "max_event_bytes",
    "max_reply_bytes",
    "max_retries",
    "timeout",
}
"""Parts of a provider's state that don't change its replies."""


def identify(provider: Provider) -> str:
    """Return a digest of a provider: of its class, its id, and its settings with address, headers and keys.

    It uses the state that is pickled, which has no connections. Functions count with their name, code and closure, keys
    with their text, other objects with their class. Nobody can read secrets back from it. If the state can't be
    encoded, the digest is unique.
    """
    state = {name: value for name, value in provider.__getstate__().items() if name not in IGNORED_STATE}
    try:
        description = msgspec.json.encode(
            [_name(type(provider)), provider.id, state], enc_hook=_describe, order="sorted"
        )
    except (TypeError, ValueError, OverflowError, RecursionError):
        description = os.urandom(32)
    return hashlib.sha256(description).hexdigest()


def _describe(value: Any) -> Any:
    """Describe a value that JSON doesn't support."""
    if hasattr(value, "reveal"):  # tako.kit.keys.Secret
        return hashlib.sha256(value.reveal().encode()).hexdigest()
    if hasattr(value, "aclose") and hasattr(value, "capabilities"):  # a provider inside another one
        return identify(value)
    if hasattr(value, "__code__"):
        return _function(value)
    return _name(value if isinstance(value, type) else type(value))


def _function(function: Any) -> list[Any]:
    code = function.__code__
    consts = [
        repr(const) for const in code.co_consts if not hasattr(const, "co_code")
    ]  # the repr of code has its address
    closure = [cell.cell_contents for cell in function.__closure__ or ()]
    owner = getattr(function, "__self__", None)
    return [_name(function), code.co_code, consts, code.co_names, function.__defaults__, closure, owner]


def _name(definition: Any) -> str:
    return f"{definition.__module__}.{definition.__qualname__}"
