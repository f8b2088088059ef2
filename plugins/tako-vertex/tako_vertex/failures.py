"""What Google says of a failure: google.rpc.Status (https://google.aip.dev/193), alone or in a list."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from tako import errors
from tako.kit.failures import Facts, facts_of, read_facts
from tako.loose import as_array, as_object, text_of

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

TELLING = frozenset({"API_KEY_INVALID"})
"""Reasons that come under a status that says something else (400 for a wrong key)."""


def google_facts(body: bytes) -> Facts:
    """Read an error's body."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return read_facts(body)
    return facts_in(value)


def facts_in(value: Any) -> Facts:
    """Read an error that is JSON already; the status word is its code, RetryInfo its ``retry_after``."""
    items = as_array(value)
    facts = facts_of(value)
    error = as_object((as_object(items[0] if items else value) or {}).get("error")) or {}
    words = [code for code in facts.codes if not code.isdecimal()]
    pause = facts.retry_after
    for detail in map(as_object, as_array(error.get("details")) or []):
        kind = text_of((detail or {}).get("@type")).rpartition(".")[2]
        if detail is not None and kind == "ErrorInfo" and (reason := text_of(detail.get("reason"))):
            words = [reason, *words] if reason in TELLING else [*words, reason]
        elif detail is not None and kind == "RetryInfo":
            pause = _seconds(text_of(detail.get("retryDelay")), pause)
    return Facts(facts.message, words or facts.codes, facts.status, pause)


def _seconds(duration: str, other: float | None) -> float | None:
    """Read a protobuf duration, as in "48s" or "0.5s"; nonsense is ``other``."""
    with suppress(ValueError):
        seconds = float(duration.removesuffix("s"))
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return other
