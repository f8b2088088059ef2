"""Addresses of servers: checked, and only shown without passwords and keys."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tako.errors import ConfigurationError, kind_of

_TELLING = re.compile(
    r"([a-z]+://([\w. -]*|\[[0-9a-f:.]*\])|localhost|[a-z0-9-]+(\.[a-z0-9-]+)+)(:\d{0,5})?(/.*)?", re.DOTALL
)
"""What looks like an address."""
LONGEST_SHOWN = 200
"""Characters of an address in an error."""


def check_url(url: str, option: str, owner: str, *, beyond: str = "") -> str:
    """Check a base URL and return it without a slash at its end; raises ConfigurationError.

    ``beyond``: a pattern of the paths that go after the base. They are cut off, since people paste whole addresses.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"{owner}: {option} isn't a base URL: it is {kind_of(url)}, not a str")
    problem = _url_problem(url)
    if problem:
        shown = shown_url(url)
        del url  # a traceback with locals shows this frame
        raise ConfigurationError(f"{owner}: {option}{shown} isn't a base URL: {problem}")
    return re.sub(rf"(?:{beyond})/*$", "", url).rstrip("/")


def _url_problem(url: str) -> str:
    """Say why an address is no base URL, or "" where it is one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "its host or its port can't be read"
    if parts.username is not None or parts.password is not None:
        return "it mustn't contain credentials"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "give one like https://api.example.com/v1"
    if parts.query or parts.fragment or re.search(r"[\s\x00-\x1f\x7f]", url):
        return "it must end with the path, without spaces"
    return ""


def shown_url(url: str) -> str:
    """Write an address that is wrong as ``='…'``; "" where it may hold a password, or be a key.

    It's cut at its query, and at white space and control characters: a key may have been pasted behind them.
    """
    start = re.split(r"[?#\s\x00-\x1f\x7f-\x9f]", url, maxsplit=1)[0]
    return f"={start!r}" if "@" not in url and _TELLING.fullmatch(start) and len(start) < LONGEST_SHOWN else ""


def server_of(url: str) -> str:
    """Return the scheme, host and port of an address, without a default port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default) else "")
