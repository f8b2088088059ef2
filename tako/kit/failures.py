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
LONGEST_BODY = 4096
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
LONGEST_MESSAGE = 2000


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
    error = cls(
        facts.message[:LONGEST_MESSAGE] or (f"HTTP {status}" if status else "the vendor reported an error"),
        status_code=status if status is not None else cls.default_status,
        code=code,
        request_id=next((headers[name] for name in REQUEST_IDS if name in headers), None),
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
        text = " ".join(body[:LONGEST_MESSAGE].decode("utf-8", "replace").split())
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
    """Read how many seconds to wait: ``retry-after-ms``, or Retry-After in seconds or as a date (RFC 9110, 10.2.3).

    Nonsense, negative and endless values are None.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        seconds = float(text) * unit if _NUMBER.fullmatch(text.strip()) else _until(text)
        if math.isfinite(seconds):
            return seconds
    return None


def _until(text: str) -> float:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a zone of twenty digits
        return math.nan
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _codes(*found: Any) -> list[str]:
    return [str(code) for code in found if code not in (None, "", False) and isinstance(code, (str, int))]


def _status(*found: Any) -> int | None:
    for code in found:
        number = int(code) if isinstance(code, str) and code.isdecimal() else code
        if isinstance(number, int) and 400 <= number < 600:  # noqa: PLR2004 - RFC 9110
            return number
    return None


def _text(message: Any) -> str:
    if isinstance(message, str):
        return message
    wrapped = as_object(message)
    if wrapped is not None and "detail" in wrapped:  # Mistral wraps what FastAPI says
        return _text(wrapped["detail"])
    items = [item for item in map(as_object, as_array(message) or []) if item is not None]
    if not items:
        return msgspec.json.encode(message).decode()
    return "; ".join(
        [f"{'.'.join(map(str, item.get('loc') or []))}: {item.get('msg', '')}".strip(": ") for item in items]
    )
