"""Google's errors: google.rpc.Status (https://google.aip.dev/193), alone or in a list."""

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
"""The error classes for google.rpc.Code, before a stream and within one, and for reasons that are more precise."""


def body_facts(body: bytes) -> Facts:
    """Read an error's body."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return read_facts(body)
    return status_facts(value)


def status_facts(value: Any) -> Facts:
    """Read a decoded error. Its code is the reason in its details, otherwise its status."""
    facts = facts_of(value)
    reasons = [code for code in facts.codes if not code.isdecimal()]
    return replace(facts, codes=reasons or facts.codes)
