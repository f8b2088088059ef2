"""From a refusal to an error class: by code and status, never by the text of a message."""

from __future__ import annotations

import math
import re
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
from tako.json_values import as_array, as_object, text_of
from tako.kit.retry_after import parse_duration, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD_INPUT_CODES = (
    "data_residency_mismatch",
    "empty_image_file",
    "failed_to_download_image",
    "image_file_not_found",
    "image_file_too_large",
    "image_parse_error",
    "image_too_large",
    "image_too_small",
    "invalid_base64_image",
    "invalid_image",
    "invalid_image_format",
    "invalid_image_mode",
    "invalid_image_url",
    "invalid_prompt",
    "unsupported_image_media_type",
)
"""OpenAI's codes of a reply that failed for what was sent (``ResponseError`` of openai 3.57)."""
CODES: Mapping[str, type[ProviderError]] = {
    **dict.fromkeys(BAD_INPUT_CODES, BadRequestError),
    "api_error": ServerError,
    "authentication_error": AuthenticationError,
    "billing_error": PermissionDeniedError,
    "bio_policy": ContentFilterError,
    "content_filter": ContentFilterError,
    "content_policy_violation": ContentFilterError,
    "context_length_exceeded": ContextLengthError,
    "exceed_context_size_error": ContextLengthError,
    "image_content_policy_violation": ContentFilterError,
    "insufficient_quota": RateLimitError,
    "internal_error": ServerError,
    "internal_server_error": ServerError,
    "invalid_api_key": AuthenticationError,
    "invalid_request_error": BadRequestError,
    "misalignment_policy_violation": ContentFilterError,
    "model_not_found": NotFoundError,
    "not_found_error": NotFoundError,
    "overloaded": OverloadedError,
    "overloaded_error": OverloadedError,
    "permission_error": PermissionDeniedError,
    "rate_limit_error": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "server_error": ServerError,
    "server_is_overloaded": OverloadedError,
    "service_unavailable": OverloadedError,
    "service_unavailable_error": OverloadedError,
    "slow_down": RateLimitError,
    "timeout_error": ServerError,
    "tokens": RateLimitError,
    "vector_store_timeout": ServerError,
}
"""Codes and types that several vendors share."""

SPENT_CODES = frozenset(
    (
        "QUOTA_EXCEEDED",
        "RESOURCE_QUOTA_EXCEEDED",
        "ServiceQuotaExceededException",
        "billing_hard_limit_reached",
        "contract_spend_limit_reached",
        "credit_balance_exhausted",
        "enforced_spend_limit_reached",
        "exceeded_current_quota_error",
        "insufficient_balance",
        "insufficient_credits",
        "insufficient_quota",
        "linked_organization_spend_limit_reached",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
        "quota_exceeded",
        "quotaExceeded",
    )
)
"""Codes of spend limits and used-up quotas: a RateLimitError that waiting doesn't cure, whatever the status but 402.

OpenAI's: https://platform.openai.com/docs/guides/error-codes. Anthropic's: ``ErrorDetails`` of anthropic 2.14.
Google's: ``google.api.ErrorReason``. ``exceeded_current_quota_error`` is Moonshot's.
"""
LASTING = SPENT_CODES | {
    "ModelErrorException",
    "UNIMPLEMENTED",
    "billing_error",
    "billing_not_active",
    "linked_organization_billing_unavailable",
}
"""All codes that waiting doesn't cure, whatever their status."""
SPENT_PATTERN = re.compile(
    r"(?i)spend(ing)?[-_ ]?limit|insufficient[-_ ]?(quota|balance|credit|fund)|(quota|credits?)[-_ ]?exceeded"
)
"""What such codes of other vendors have in them (xAI, Moonshot, OpenRouter and those that hand theirs through)."""
LONG_QUOTA = re.compile("PerDay|PerMonth")
"""Google's names of quotas that are full again too late for a retry."""

REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-typhoon-request-id", "cf-ray")
LONGEST_BODY = 4096
LONGEST_MESSAGE = 1500
LONGEST_CODE = 200
"""Characters of a code or a request's id."""
PAYMENT_REQUIRED = 402
NOT_IMPLEMENTED = 501
_STATUS = re.compile(r"[45][0-9]{2}")


class Facts(Struct):
    """What a vendor said of a failure. ``codes`` go from the most to the least specific.

    ``lasting``: a quota is used up, so that it's in vain to ask again soon. ``request_id``: if the body has it.
    """

    message: str = ""
    codes: list[str] = []
    status: int | None = None
    retry_after: float | None = None
    lasting: bool = False
    request_id: str = ""


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
        402: PermissionDeniedError,
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
    vendor_class = next((codes[code] for code in facts.codes if code in codes), None)
    shared = [CODES[code] for code in facts.codes if code in CODES]
    status = facts.status if status is None else status
    if vendor_class is BadRequestError and status == PAYMENT_REQUIRED:
        vendor_class = None  # the status says more
    is_spent = not SPENT_CODES.isdisjoint(facts.codes) or any(map(SPENT_PATTERN.search, facts.codes))
    cls = vendor_class or _matching_class(shared, status) or (by_status(status) if status else ProviderError)
    if is_spent and status != PAYMENT_REQUIRED:
        cls = RateLimitError
    code = next(iter(facts.codes), None)
    message = one_line(facts.message, LONGEST_MESSAGE)
    error = cls(
        message or (f"HTTP {status}" if status else "the vendor reported an error"),
        status_code=status if status is not None else cls.default_status,
        code=one_line(code, LONGEST_CODE) if code is not None else None,
        request_id=request_id(headers) or facts.request_id or None,
        retry_after=facts.retry_after if facts.retry_after is not None else retry_after(headers, status),
        body=body[:LONGEST_BODY],
    )
    if is_spent:
        error.advice = "check the plan and the credit of your account"
    if is_spent or facts.lasting or status == NOT_IMPLEMENTED or not LASTING.isdisjoint(facts.codes):
        error.retryable = False
    should_retry = headers.get("x-should-retry", "").strip().lower()
    if should_retry in ("true", "false"):
        error.retryable = should_retry == "true"
    return error


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the id that the vendor gave a request, None if there isn't one."""
    value = next((headers[name] for name in REQUEST_IDS if name in headers), None)
    return None if value is None else one_line(value, LONGEST_CODE)


def name_request(error: BaseException, headers: Mapping[str, str]) -> None:
    """Give an error about a reply the id of its request, unless it has one."""
    if isinstance(error, ProviderError) and error.request_id is None:
        error.request_id = request_id(headers)


def _matching_class(classes: list[type[ProviderError]], status: int | None) -> type[ProviderError] | None:
    """Pick the first class by code that refines the status, or contradicts a status that says nothing."""
    if status is None or status < 400:  # noqa: PLR2004 - RFC 9110
        return classes[0] if classes else None
    general = by_status(status)
    for cls in classes:
        is_unspecific = general is BadRequestError and status == 400  # noqa: PLR2004 - RFC 9110
        if is_unspecific or issubclass(cls, general) or cls is ContentFilterError:
            return cls
    return None


def read_facts(body: bytes) -> Facts:
    """Read an error's body in any of the shapes that vendors and their proxies use; plain text is the message.

    Known shapes: ``{"error": {"message", "type", "code"}}`` (OpenAI, Anthropic, Google), a list of one of those,
    ``{"error": "text", "code"}`` (xAI, Ollama), ``{"message", "type", "code"}`` (Mistral, AWS), ``{"detail": "text"}``
    and ``{"detail": [{"loc", "msg"}]}`` (FastAPI), ``{"statusCode", "message"}`` (Azure's gateway), ``{"errors": […]}``
    (Cloudflare), HTML.
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
    inner = error_in(outer) or outer.get("error", outer)
    if isinstance(inner, str):
        return Facts(inner, _codes(outer.get("code"), outer.get("type")), _status(outer.get("code")))
    error = as_object(inner) or outer
    error = as_object(error.get("error")) or error  # a gateway wraps what its vendor said
    messages = [
        fields.get(name) for fields in (error, outer) for name in ("message", "Message", "msg", "detail", "title")
    ]
    message = next(filter(None, messages), None) or (outer if any(outer.values()) else "")  # unknown shapes say it all
    inner_error = as_object(error.get("innererror")) or {}  # Azure puts the reason of a content filter one level down
    status = _status(*(error.get(name) for name in ("code", "status_code", "statusCode", "raw_status_code")))
    facts = Facts(_text(message), [], status, request_id=text_of(outer.get("request_id")))
    reasons = _details(error.get("details"), facts)
    facts.codes = _codes(*reasons, error.get("code"), error.get("type"), error.get("status"), inner_error.get("code"))
    return facts


def error_in(document: Mapping[str, Any]) -> Any:
    """Return the error that a JSON object reports under ``error``, or under ``errors`` the first; None if none."""
    error = document.get("error") or document.get("errors")
    while array := as_array(error):
        error = array[0]
    return error or None


def _details(details: Any, facts: Facts) -> list[str]:
    """Return what is more exact than an error's code: Anthropic's ``error_code``, the reasons of google.rpc.ErrorInfo.

    Puts what else Google says into ``facts``: the pause of a RetryInfo, and whether a quota is used up.
    """
    fields = as_object(details)
    if fields is not None:
        return [text_of(fields.get("error_code"))]
    reasons: list[str] = []
    for detail in map(as_object, as_array(details) or ()):
        kind = text_of((detail or {}).get("@type")).rpartition(".")[2]
        if detail is None or not kind:
            continue
        if kind == "ErrorInfo":
            reasons.append(text_of(detail.get("reason")))
            limit = text_of((as_object(detail.get("metadata")) or {}).get("quota_limit"))
            facts.lasting = facts.lasting or bool(LONG_QUOTA.search(limit))
        elif kind == "RetryInfo":
            pause = parse_duration(text_of(detail.get("retryDelay")))
            facts.retry_after = pause if math.isfinite(pause) else facts.retry_after
        elif kind == "QuotaFailure":
            quotas = [
                text_of(one.get("quotaId")) for one in map(as_object, as_array(detail.get("violations")) or ()) if one
            ]
            facts.lasting = facts.lasting or any(map(LONG_QUOTA.search, quotas))
    return reasons


def _codes(*values: Any) -> list[str]:
    """Keep what may be a code, statuses last; a number of more digits than these is none."""
    codes = [str(code) for code in values if code and (isinstance(code, str) or (type(code) is int and code < 1 << 64))]
    return sorted(codes, key=lambda code: bool(_STATUS.fullmatch(code)))


def _status(*values: Any) -> int | None:
    for code in values:
        number = int(code) if isinstance(code, str) and _STATUS.fullmatch(code) else code
        if isinstance(number, int) and 400 <= number < 600:  # noqa: PLR2004 - RFC 9110
            return number
    return None


def _text(message: Any) -> str:
    """Write a message of any shape as text."""
    while (fields := as_object(message)) is not None and "detail" in fields:  # Mistral wraps what FastAPI says
        message = fields["detail"]
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
