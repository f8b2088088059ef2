"""The error names of Bedrock and of AWS's front door, and where a reply has them.

Names and statuses: the API reference of Converse and ConverseStream, and "Common Errors" of the Bedrock reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako import errors
from tako.json_values import as_object, text_of
from tako.kit.failures import Facts, read_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.kit.eventstream import EventMessage

CODES: Mapping[str, type[errors.ProviderError]] = {
    "AccessDeniedException": errors.PermissionDeniedError,
    "ConflictException": errors.ServerError,
    "ExpiredToken": errors.AuthenticationError,
    "ExpiredTokenException": errors.AuthenticationError,
    "IncompleteSignature": errors.AuthenticationError,
    "IncompleteSignatureException": errors.AuthenticationError,
    "InternalError": errors.ServerError,
    "InternalFailure": errors.ServerError,
    "InternalServerException": errors.ServerError,
    "InvalidClientTokenId": errors.AuthenticationError,
    "InvalidSignatureException": errors.AuthenticationError,
    "MissingAuthenticationToken": errors.AuthenticationError,
    "MissingAuthenticationTokenException": errors.AuthenticationError,
    "ModelErrorException": errors.ServerError,
    "ModelNotReadyException": errors.RateLimitError,
    "ModelStreamErrorException": errors.ServerError,
    "ModelTimeoutException": errors.ServerError,
    "NotAuthorized": errors.PermissionDeniedError,
    "OptInRequired": errors.PermissionDeniedError,
    "RequestExpired": errors.AuthenticationError,
    "ResourceNotFoundException": errors.NotFoundError,
    "ServiceQuotaExceededException": errors.RateLimitError,
    "ServiceUnavailable": errors.OverloadedError,
    "ServiceUnavailableException": errors.OverloadedError,
    "SignatureDoesNotMatch": errors.AuthenticationError,
    "ThrottlingException": errors.RateLimitError,
    "TooManyRequestsException": errors.RateLimitError,
    "UnknownOperationException": errors.NotFoundError,
    "UnrecognizedClientException": errors.AuthenticationError,
    "ValidationError": errors.BadRequestError,
    "ValidationException": errors.BadRequestError,
}

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
"""Codes that mean: use new credentials."""
REFUSED = EXPIRED | {
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
"""Codes after which other credentials may work, if the source has others by now."""

STATUSES: Mapping[str, int] = {
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ServiceQuotaExceededException": 400,
    "ConflictException": 400,
}
"""Statuses that differ from those of their error classes."""


def refusal_facts(headers: Mapping[str, str], body: bytes) -> Facts:
    """Read an error before the stream. Its name is in ``x-amzn-errortype``, rarely in the body (``__type``)."""
    facts = read_facts(body)
    fields = _fields(body)
    facts.message = facts.message or text_of(fields.get("Message"))
    names = (headers.get("x-amzn-errortype"), fields.get("__type"), fields.get("code"), *facts.codes)
    facts.codes = list(dict.fromkeys(name for name in map(_name, names) if name))
    return facts


def exception_facts(message: EventMessage) -> Facts:
    """Read an exception or an error that is a message of the stream."""
    headers = message.headers
    fields = _fields(message.payload)
    name = _name(headers.get(":exception-type") or headers.get(":error-code"))
    name = name[:1].upper() + name[1:]
    text = text_of(fields.get("message") or fields.get("Message") or headers.get(":error-message"))
    original = text_of(fields.get("originalMessage"))
    if original and original not in text:
        text = f"{text}: {original}" if text else original
    # a message of the type "error" is for errors that the service's model doesn't have: unknown codes count as 500
    default_status = 500 if ":error-code" in headers and name not in CODES else None
    return Facts(text, [name] if name else [], STATUSES.get(name, default_status))


def _name(value: Any) -> str:
    """Return the name in ``Name:http://…`` and in ``namespace#Name``."""
    return value.partition(":")[0].rpartition("#")[2].strip() if isinstance(value, str) else ""


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return as_object(fields) or {}
