"""Which providers may share replies: those that would ask the same place in the same way."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tako.provider import Provider

IRRELEVANT = {
    "_capabilities",
    "_given_capabilities",
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
"""What of a provider's state says how it asks and not what: it changes no reply."""


def identify(provider: Provider) -> str:
    """Return a digest of a provider: its class, its id, and its settings, address, headers and keys among them.

    The state is the one that is pickled, which leaves out connections. Values count by value, functions by name, code
    and what they close over, keys by their text, other objects by their class. Nothing can be read back from it. Where
    it cannot be told, the digest is one that nobody else has.
    """
    state = {name: value for name, value in provider.__getstate__().items() if name not in IRRELEVANT}
    try:
        described = msgspec.json.encode([_name(type(provider)), provider.id, state], enc_hook=_describe, order="sorted")
    except (TypeError, ValueError, OverflowError, RecursionError):
        described = os.urandom(32)
    return hashlib.sha256(described).hexdigest()


def _describe(value: Any) -> Any:
    """Describe what JSON has no form for."""
    if hasattr(value, "reveal"):  # tako.kit.keys.Secret
        return hashlib.sha256(value.reveal().encode()).hexdigest()
    if hasattr(value, "aclose") and hasattr(value, "capabilities"):  # a provider that another one is made of
        return identify(value)
    if hasattr(value, "__code__"):
        return _function(value)
    return _name(value if isinstance(value, type) else type(value))


def _function(function: Any) -> list[Any]:
    code = function.__code__
    consts = [repr(const) for const in code.co_consts if not hasattr(const, "co_code")]  # code shows its address
    inside = [cell.cell_contents for cell in function.__closure__ or ()]
    owner = getattr(function, "__self__", None)
    return [_name(function), code.co_code, consts, code.co_names, function.__defaults__, inside, owner]


def _name(named: Any) -> str:
    return f"{named.__module__}.{named.__qualname__}"
