"""Taking secrets out of what is written down.

Of a request's headers only the harmless ones keep their values; of its URL, parameters named like secrets lose theirs.
From all text go the provider's own secrets, the values of JSON fields that hold credentials, and whatever looks like a
key of a vendor. A reply keeps its length and its pieces: what is hidden there becomes as many asterisks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import msgspec

from tako_record.entries import Asked, Base64

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tako.kit.keys import Secret
    from tako.kit.wire import HttpRequest

HIDDEN = "***"
HARMLESS = {"accept", "accept-encoding", "content-type", "user-agent", "anthropic-version", "anthropic-beta"}
"""Headers of requests whose values are written down."""
SENSITIVE_HEADER = re.compile(r"auth|api-?key|secret|cookie|password|credential|session|security|organization|project")
CREDENTIAL_HEADER = re.compile(r"auth|key|token|secret|cookie|password|credential")
"""Headers of requests whose values are secrets wherever else they stand, those of short-lived tokens, too."""
SENSITIVE_PARAMETER = re.compile(r"key|token|secret|sig|auth|credential|password|^x-amz-|^x-goog-", re.IGNORECASE)
FIELDS = (
    "access_token|refresh_token|id_token|session_token|security_token|client_secret|private_key|secret_access_key|"
    "api_key|apikey|password|authorization|accessToken|refreshToken|idToken|sessionToken|clientSecret|privateKey|"
    "secretAccessKey|apiKey|SecretAccessKey|SessionToken|AccessKeyId"
)
FIELD = re.compile(rf'"(?:{FIELDS})"\s*:\s*"((?:[^"\\]|\\.)*)')
"""JSON fields that hold credentials, whoever sends them."""
LOOKS = re.compile(
    r"Bearer\s+([A-Za-z0-9._~+/=-]{8,})"
    r"|\b((?:sk|rk|pk)-[A-Za-z0-9_-]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9._-]+"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|xox[abpr]-[A-Za-z0-9-]{10,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})"
)
"""Keys and tokens by their looks: OpenAI and Anthropic, AWS, Google, GitHub, Hugging Face, Slack, JSON Web Tokens."""


class Scrubber:
    """Scrubs what one provider sends and receives; ``headers`` are those of the request."""

    def __init__(self, secrets: Iterable[Secret], headers: Mapping[str, str] | None = None) -> None:
        sent = [value for name, value in (headers or {}).items() if CREDENTIAL_HEADER.search(name.lower())]
        given = [*sent, *(secret.reveal() for secret in secrets)]
        texts = sorted({text.removeprefix("Bearer ") for text in given}, key=len, reverse=True)
        known = [re.escape(text) for text in texts if len(text) > 3]  # noqa: PLR2004 - too short to be one
        self._known = re.compile("|".join(known)) if known else None

    def asked(self, request: HttpRequest) -> Asked:
        """Describe a request without its secrets."""
        shown = {name.lower(): value for name, value in request.headers.items()}
        headers = {name: self.hide(value) if name in HARMLESS else HIDDEN for name, value in sorted(shown.items())}
        url = self._url(request.url)
        if not isinstance(request.body, bytes):  # a file that is uploaded: its name and its size
            return Asked(request.method, url, headers, text=self.hide(repr(request.body)))
        try:
            text = self.hide(request.body.decode())
        except UnicodeDecodeError:
            return Asked(request.method, url, headers, base64=request.body)
        try:
            return Asked(request.method, url, headers, json=msgspec.json.decode(text))
        except (msgspec.DecodeError, RecursionError):
            return Asked(request.method, url, headers, text=text or None)

    def reply_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a reply without secrets and cookies."""
        return {name: HIDDEN if SENSITIVE_HEADER.search(name) else self.hide(value) for name, value in headers.items()}

    def pieces(self, pieces: list[bytes]) -> list[str | Base64]:
        """Return the pieces of a body, in the same places; a secret may lie across several."""
        whole = b"".join(pieces).decode("latin-1")  # a character for a byte
        for start, end in self._places(whole):
            whole = whole[:start] + "*" * (end - start) + whole[end:]
        clean = whole.encode("latin-1")
        made: list[str | Base64] = []
        at = 0
        for piece in pieces:
            made.append(_shown(clean[at : at + len(piece)]))
            at += len(piece)
        return made

    def hide(self, text: str) -> str:
        """Take all secrets out of a text."""
        for start, end in reversed(self._places(text)):
            text = text[:start] + HIDDEN + text[end:]
        return text

    def _url(self, url: str) -> str:
        parts = urlsplit(url)
        fields = [field.partition("=") for field in parts.query.split("&")] if parts.query else []
        query = "&".join(
            f"{name}{equals}{HIDDEN if SENSITIVE_PARAMETER.search(name) else value}" for name, equals, value in fields
        )
        return self.hide(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, "")))

    def _places(self, text: str) -> list[tuple[int, int]]:
        """Find secrets: where each begins and ends, in order and apart from one another."""
        found = [match.span() for match in self._known.finditer(text)] if self._known else []
        for pattern in (FIELD, LOOKS):
            found += [match.span(match.lastindex or 0) for match in pattern.finditer(text)]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if merged and start < merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            elif end > start:
                merged.append((start, end))
        return merged


def _shown(piece: bytes) -> str | Base64:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return Base64(piece)
