"""What Google says of a failure: google.rpc.Status (https://google.aip.dev/193), alone or in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako import errors
from tako.kit.failures import Facts, facts_of, read_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

CODES: Mapping[str, type[errors.ProviderError]] = {
    "ABORTED": errors.ServerError,
    "ACCESS_TOKEN_EXPIRED": errors.AuthenticationError,
    "ALREADY_EXISTS": errors.ServerError,
    "API_KEY_INVALID": errors.AuthenticationError,
    "CANCELLED": errors.BadRequestError,
    "DATA_LOSS": errors.ServerError,
    "DEADLINE_EXCEEDED": errors.ServerError,
    "FAILED_PRECONDITION": errors.BadRequestError,
    "INTERNAL": errors.ServerError,
    "INVALID_ARGUMENT": errors.BadRequestError,
    "NOT_FOUND": errors.NotFoundError,
    "OUT_OF_RANGE": errors.BadRequestError,
    "PERMISSION_DENIED": errors.PermissionDeniedError,
    "RESOURCE_EXHAUSTED": errors.RateLimitError,
    "UNAUTHENTICATED": errors.AuthenticationError,
    "UNAVAILABLE": errors.OverloadedError,
    "UNIMPLEMENTED": errors.ServerError,
    "UNKNOWN": errors.ServerError,
}
"""The classes of google.rpc.Code, the same before a stream and within one; and reasons that say more than it."""


def google_facts(body: bytes) -> Facts:
    """Read an error's body."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return read_facts(body)
    return facts_in(value)


def facts_in(value: Any) -> Facts:
    """Read an error that is JSON already: its code is the reason of its details, else its status word."""
    facts = facts_of(value)
    words = [code for code in facts.codes if not code.isdecimal()]
    return replace(facts, codes=words or facts.codes)
