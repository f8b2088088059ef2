"""The error names of Bedrock and of AWS's front door, and where they stand on the wire.

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
"""Codes that new credentials cure."""
REFUSED = EXPIRED | {
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
"""Codes that others may cure, if the source of the credentials has others by now."""

STATUSES: Mapping[str, int] = {
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ServiceQuotaExceededException": 400,
    "ConflictException": 400,
}
"""Statuses that differ from those that their classes stand for."""


def refusal_facts(headers: Mapping[str, str], body: bytes) -> Facts:
    """Read a refusal before the stream: its name is in ``x-amzn-errortype``, seldom in the body (``__type``)."""
    facts = read_facts(body)
    fields = _fields(body)
    facts.message = facts.message or text_of(fields.get("Message"))
    names = (headers.get("x-amzn-errortype"), fields.get("__type"), fields.get("code"), *facts.codes)
    facts.codes = list(dict.fromkeys(name for name in map(_name, names) if name))
    return facts


def exception_facts(message: EventMessage) -> Facts:
    """Read an exception or an error that comes as a message of the stream."""
    headers = message.headers
    fields = _fields(message.payload)
    name = _name(headers.get(":exception-type") or headers.get(":error-code"))
    name = name[:1].upper() + name[1:]
    text = text_of(fields.get("message") or fields.get("Message") or headers.get(":error-message"))
    original = text_of(fields.get("originalMessage"))
    if original and original not in text:
        text = f"{text}: {original}" if text else original
    # a frame of the type "error" is for what no model of the service foresees: unless its code says more, it failed
    unforeseen = 500 if ":error-code" in headers and name not in CODES else None
    return Facts(text, [name] if name else [], STATUSES.get(name, unforeseen))


def _name(given: Any) -> str:
    """Take the name out of ``Name:http://…`` and of ``namespace#Name``."""
    return given.partition(":")[0].rpartition("#")[2].strip() if isinstance(given, str) else ""


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return as_object(fields) or {}
