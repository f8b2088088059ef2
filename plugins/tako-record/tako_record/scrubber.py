"""Remove secrets from everything that is recorded.

Only harmless request headers keep their values. Parameters in URLs lose their values if their names look like secrets.
All text loses the provider's own secrets, the values of JSON fields for credentials, and texts that look like keys. A
reply keeps its length and its pieces: each character of a secret becomes an asterisk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import msgspec

from tako_record.entries import Base64, TapeRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tako.kit.keys import Secret
    from tako.kit.wire import HttpRequest

HIDDEN = "***"
SAFE_HEADERS = {"accept", "accept-encoding", "content-type", "user-agent", "anthropic-version", "anthropic-beta"}
"""Request headers whose values are recorded."""
SENSITIVE_HEADER = re.compile(r"auth|api-?key|secret|cookie|password|credential|session|security|organization|project")
CREDENTIAL_HEADER = re.compile(r"auth|key|token|secret|cookie|password|credential")
"""Request headers whose values are secrets, also in other places. Values of short-lived tokens are among them."""
SENSITIVE_PARAMETER = re.compile(r"key|token|secret|sig|auth|credential|password|^x-amz-|^x-goog-", re.IGNORECASE)
CREDENTIAL_FIELDS = (
    "access_token|refresh_token|id_token|session_token|security_token|client_secret|private_key|secret_access_key|"
    "api_key|apikey|password|authorization|accessToken|refreshToken|idToken|sessionToken|clientSecret|privateKey|"
    "secretAccessKey|apiKey|SecretAccessKey|SessionToken|AccessKeyId"
)
CREDENTIAL_FIELD = re.compile(rf'"(?:{CREDENTIAL_FIELDS})"\s*:\s*"((?:[^"\\]|\\.)*)')
"""JSON fields that contain credentials, in requests and replies."""
KEY_PATTERN = re.compile(
    r"Bearer\s+([A-Za-z0-9._~+/=-]{8,})"
    r"|\b((?:sk|rk|pk)-[A-Za-z0-9_-]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9._-]+"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|xox[abpr]-[A-Za-z0-9-]{10,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})"
)
"""Texts that look like keys: OpenAI and Anthropic, AWS, Google, GitHub, Hugging Face, Slack, JSON Web Tokens."""


class Scrubber:
    """Removes secrets from what one provider sends and receives. ``headers`` are those of the request."""

    def __init__(self, secrets: Iterable[Secret], headers: Mapping[str, str] | None = None) -> None:
        header_values = [value for name, value in (headers or {}).items() if CREDENTIAL_HEADER.search(name.lower())]
        values = [*header_values, *(secret.reveal() for secret in secrets)]
        texts = sorted({text.removeprefix("Bearer ") for text in values}, key=len, reverse=True)
        patterns = [re.escape(text) for text in texts if len(text) > 3]  # noqa: PLR2004 - too short for a secret
        self._secret_pattern = re.compile("|".join(patterns)) if patterns else None

    def request_entry(self, request: HttpRequest) -> TapeRequest:
        """Return the entry for a request, without secrets."""
        lower_headers = {name.lower(): value for name, value in request.headers.items()}
        headers = {
            name: self.hide(value) if name in SAFE_HEADERS else HIDDEN for name, value in sorted(lower_headers.items())
        }
        url = self._url(request.url)
        if not isinstance(request.body, bytes):  # a file that is uploaded: its name and its size
            return TapeRequest(request.method, url, headers, text=self.hide(repr(request.body)))
        try:
            text = self.hide(request.body.decode())
        except UnicodeDecodeError:
            return TapeRequest(request.method, url, headers, base64=request.body)
        try:
            return TapeRequest(request.method, url, headers, json=msgspec.json.decode(text))
        except (msgspec.DecodeError, RecursionError):
            return TapeRequest(request.method, url, headers, text=text or None)

    def reply_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a reply without secrets and cookies."""
        return {name: HIDDEN if SENSITIVE_HEADER.search(name) else self.hide(value) for name, value in headers.items()}

    def pieces(self, pieces: list[bytes]) -> list[str | Base64]:
        """Return the pieces of a body, with the same lengths. A secret may be spread over several pieces."""
        body = b"".join(pieces).decode("latin-1")  # one character per byte
        for start, end in self._secret_spans(body):
            body = body[:start] + "*" * (end - start) + body[end:]
        scrubbed = body.encode("latin-1")
        scrubbed_pieces: list[str | Base64] = []
        offset = 0
        for piece in pieces:
            scrubbed_pieces.append(_text_or_base64(scrubbed[offset : offset + len(piece)]))
            offset += len(piece)
        return scrubbed_pieces

    def hide(self, text: str) -> str:
        """Remove all secrets from a text."""
        for start, end in reversed(self._secret_spans(text)):
            text = text[:start] + HIDDEN + text[end:]
        return text

    def _url(self, url: str) -> str:
        parts = urlsplit(url)
        fields = [field.partition("=") for field in parts.query.split("&")] if parts.query else []
        query = "&".join(
            f"{name}{equals}{HIDDEN if SENSITIVE_PARAMETER.search(name) else value}" for name, equals, value in fields
        )
        return self.hide(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, "")))

    def _secret_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the start and the end of each secret, in order and without overlaps."""
        spans = [match.span() for match in self._secret_pattern.finditer(text)] if self._secret_pattern else []
        for pattern in (CREDENTIAL_FIELD, KEY_PATTERN):
            spans += [match.span(match.lastindex or 0) for match in pattern.finditer(text)]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if merged and start < merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            elif end > start:
                merged.append((start, end))
        return merged


def _text_or_base64(piece: bytes) -> str | Base64:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return Base64(piece)
