"""The authorization of a request: a signature by botocore, or a check before a bearer key is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tako.errors import ConfigurationError
from tako.kit.wire import HttpHeaders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako_bedrock.credentials import Keys

SERVICE = "bedrock"


def signature(  # noqa: PLR0917 - a worker thread passes arguments by their places
    keys: Keys, region: str, method: str, url: str, body: bytes, headers: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the headers that sign a request (Signature Version 4), made by botocore.

    Signed are ``headers``, the host and the date, and the session token where the credentials have one. These are the
    steps of `SigV4Auth.add_auth`, without its debug log, which would show the session token.
    """
    auth: Any = import_module("botocore.auth")
    request: Any = import_module("botocore.awsrequest").AWSRequest(method, url, headers, body)
    signer = auth.SigV4Auth(keys, SERVICE, region)
    now = auth.get_current_datetime() if hasattr(auth, "get_current_datetime") else datetime.now(UTC)
    request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)  # noqa: SLF001 - see above
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(to_sign, request))  # noqa: SLF001 - see above
    names = ("authorization", "x-amz-date", "x-amz-security-token")
    return HttpHeaders({name: request.headers[name] for name in names if name in request.headers})


def check_bearer(url: str, owner: str) -> None:
    """Raise ConfigurationError if a bearer key would be sent in clear text, except to this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not _loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"{owner}: AWS_BEARER_TOKEN_BEDROCK is never sent over plain http, as to {parts.hostname}: use https"
        )


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
