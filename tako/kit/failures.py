"""From a vendor's refusal to an error class: by its code and its status, never by the text of its message."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import Struct

from tako.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ResponseError,
    ServerError,
    one_line,
)
from tako.loose import as_array, as_object

if TYPE_CHECKING:
    from collections.abc import Mapping

CODES: Mapping[str, type[ProviderError]] = {
    "api_error": ServerError,
    "authentication_error": AuthenticationError,
    "billing_error": PermissionDeniedError,
    "content_filter": ContentFilterError,
    "content_policy_violation": ContentFilterError,
    "context_length_exceeded": ContextLengthError,
    "insufficient_quota": RateLimitError,
    "internal_error": ServerError,
    "internal_server_error": ServerError,
    "invalid_api_key": AuthenticationError,
    "invalid_request_error": BadRequestError,
    "model_not_found": NotFoundError,
    "not_found_error": NotFoundError,
    "overloaded": OverloadedError,
    "overloaded_error": OverloadedError,
    "permission_error": PermissionDeniedError,
    "rate_limit_error": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "server_error": ServerError,
    "service_unavailable": OverloadedError,
    "timeout_error": ServerError,
    "tokens": RateLimitError,
}
"""Codes and types that several vendors share."""

LASTING = frozenset({"insufficient_quota", "billing_error", "ModelErrorException", "ServiceQuotaExceededException"})
"""Codes that waiting does not cure, whatever their status."""

REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-typhoon-request-id", "cf-ray")
PAUSES = (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0))
"""Headers that say how long to wait, the most exact first, and their units in seconds."""
LONGEST_BODY = 4096
LONGEST_MESSAGE = 1500
LONGEST_WORD = 200
"""Characters of a code or a request's id."""
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_STATUS = re.compile(r"[45][0-9]{2}")


class Facts(Struct):
    """What a vendor said of a failure. ``codes`` go from the most to the least specific."""

    message: str = ""
    codes: list[str] = []
    status: int | None = None
    retry_after: float | None = None


class Reporter(Protocol):
    """What a decoder asks of a provider, over whatever transport: its name, its cap, and its errors."""

    @property
    def name(self) -> str:
        """The id's prefix."""
        ...

    @property
    def max_event_bytes(self) -> int:
        """The cap of one event."""
        ...

    def failure(self, facts: Facts, *, status: int | None = None, body: str = "") -> ProviderError:
        """Make the error for what a vendor reports inside a reply."""
        ...


def by_status(status: int) -> type[ProviderError]:
    """Return the class of an HTTP status."""
    exact: dict[int, type[ProviderError]] = {
        400: BadRequestError,
        401: AuthenticationError,
        403: PermissionDeniedError,
        404: NotFoundError,
        408: ServerError,
        409: ServerError,
        413: BadRequestError,
        422: BadRequestError,
        429: RateLimitError,
        503: OverloadedError,
        529: OverloadedError,
    }
    if status in exact:
        return exact[status]
    if status >= 500:  # noqa: PLR2004 - RFC 9110
        return ServerError
    return BadRequestError if status >= 400 else ResponseError  # noqa: PLR2004 - RFC 9110


def make_error(
    facts: Facts, *, codes: Mapping[str, type[ProviderError]], status: int | None, headers: Mapping[str, str], body: str
) -> ProviderError:
    """Make the error that the facts stand for: by the vendor's own ``codes``, by a shared code, by the status."""
    own = next((codes[code] for code in facts.codes if code in codes), None)
    shared = [CODES[code] for code in facts.codes if code in CODES]
    status = facts.status if status is None else status
    cls = own or _fitting(shared, status) or (by_status(status) if status else ProviderError)
    code = next(iter(facts.codes), None)
    request_id = next((headers[name] for name in REQUEST_IDS if name in headers), None)
    message = one_line(facts.message, LONGEST_MESSAGE)
    error = cls(
        message or (f"HTTP {status}" if status else "the vendor reported an error"),
        status_code=status if status is not None else cls.default_status,
        code=one_line(code, LONGEST_WORD) if code is not None else None,
        request_id=one_line(request_id, LONGEST_WORD) if request_id is not None else None,
        retry_after=facts.retry_after if facts.retry_after is not None else retry_after(headers),
        body=body[:LONGEST_BODY],
    )
    if any(code in LASTING for code in facts.codes):
        error.retryable = False
    return error


def _fitting(known: list[type[ProviderError]], status: int | None) -> type[ProviderError] | None:
    """Pick the first class by code that refines the status, or contradicts a status that says nothing."""
    if status is None or status < 400:  # noqa: PLR2004 - RFC 9110
        return known[0] if known else None
    general = by_status(status)
    for cls in known:
        plain = general is BadRequestError and status == 400  # noqa: PLR2004 - RFC 9110
        if plain or issubclass(cls, general) or cls is ContentFilterError:
            return cls
    return None


def read_facts(body: bytes) -> Facts:
    """Read an error's body in any of the shapes that vendors and their proxies use; plain text is the message.

    Known shapes: ``{"error": {"message", "type", "code"}}`` (OpenAI, Anthropic, Google), a list of one of those,
    ``{"error": "text", "code"}`` (xAI, Ollama), ``{"message", "type", "code"}`` (Mistral, AWS), ``{"detail": "text"}``
    and ``{"detail": [{"loc", "msg"}]}`` (FastAPI), ``{"statusCode", "message"}`` (Azure's gateway), HTML.
    """
    try:
        return facts_of(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        text = body[: 2 * LONGEST_BODY].decode("utf-8", "replace").strip()
        return Facts("the reply is an HTML page" if text[:15].lower().startswith(("<!doctype", "<html")) else text)


def facts_of(value: Any) -> Facts:
    """Read an error that is JSON already."""
    while array := as_array(value):
        value = array[0]
    outer = as_object(value)
    if outer is None:
        return Facts(str(value) if value else "")
    inner = outer.get("error", outer)
    if isinstance(inner, str):
        return Facts(inner, _codes(outer.get("code"), outer.get("type")), _status(outer.get("code")))
    said = as_object(inner) or outer
    said = as_object(said.get("error")) or said  # a gateway wraps what its vendor said
    words = [found.get(name) for found in (said, outer) for name in ("message", "Message", "msg", "detail", "title")]
    message = next(filter(None, words), None) or (outer if any(outer.values()) else "")  # unknown shapes say it all
    deeper = as_object(said.get("innererror")) or {}  # Azure puts the reason of a content filter one level down
    codes = _codes(said.get("code"), said.get("type"), said.get("status"), deeper.get("code"))
    status = _status(*(said.get(name) for name in ("code", "status_code", "statusCode", "raw_status_code")))
    return Facts(_text(message), codes, status)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds to wait, from one of ``PAUSES``: a number, or a date in Retry-After (RFC 9110, 10.2.3).

    Nonsense, negative and endless values are None.
    """
    for name, unit in PAUSES:
        text = headers.get(name, "").strip(" \t")
        seconds = float(text) * unit if _NUMBER.fullmatch(text) else _until(text)
        if math.isfinite(seconds):
            return seconds
    return None


def _until(text: str) -> float:
    """Return the seconds until a date; NaN where the text isn't one."""
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError, TypeError, IndexError):  # whatever the parser makes of odd bytes
        return math.nan


def _codes(*found: Any) -> list[str]:
    """Keep what may be a code; a number of more digits than these is none."""
    return [str(code) for code in found if code and (isinstance(code, str) or (type(code) is int and code < 1 << 64))]


def _status(*found: Any) -> int | None:
    for code in found:
        number = int(code) if isinstance(code, str) and _STATUS.fullmatch(code) else code
        if isinstance(number, int) and 400 <= number < 600:  # noqa: PLR2004 - RFC 9110
            return number
    return None


def _text(message: Any) -> str:
    """Write a message of any shape as text."""
    while (wrapped := as_object(message)) is not None and "detail" in wrapped:  # Mistral wraps what FastAPI says
        message = wrapped["detail"]
    if isinstance(message, str):
        return message
    items = [item for item in map(as_object, as_array(message) or []) if item is not None]
    try:
        if not items:
            return msgspec.json.encode(message).decode()
        return "; ".join(
            [f"{'.'.join(map(str, item.get('loc') or []))}: {item.get('msg', '')}".strip(": ") for item in items]
        )
    except (RecursionError, TypeError):  # nested without end, or a `loc` that isn't a list
        return "the error has a shape that can't be read; see .body"
