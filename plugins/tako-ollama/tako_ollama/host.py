"""Where Ollama listens: OLLAMA_HOST in all the forms that Ollama itself reads (envconfig.Host in its sources)."""

from __future__ import annotations

import os

from tako.kit.addresses import check_url
from tako.kit.checks import Default, explicit

BASE_URL = Default("http://localhost:11434")
PORT = "11434"
CLOUD = "ollama.com"
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - read, not bound
"""What a server listens on, and where a client on the same machine finds it."""


def find_host(base_url: str | None, owner: str) -> str:
    """Return the base URL: as given, from OLLAMA_HOST, or the local server's. Raises ConfigurationError."""
    if explicit(base_url) is not None:
        return read_host(explicit(base_url), "base_url", owner)
    text = os.environ.get("OLLAMA_HOST", "")
    return read_host(text, "OLLAMA_HOST", owner) if text.strip() else str(BASE_URL)


def read_host(text: str, option: str, owner: str) -> str:
    """Read ``host``, ``host:port``, ``:port``, ``[v6]:port`` or ``scheme://host[:port]/path``.

    Without a scheme the port is 11434 unless it is given; with one it is the scheme's own. Raises ConfigurationError.
    """
    if not isinstance(text, str):
        return check_url(text, option, owner)  # says what is wrong with it
    text = text.strip().strip("\"'").strip()
    if text == CLOUD:
        return f"https://{CLOUD}"
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = "http", text
    authority, slash, path = rest.partition("/")
    if "@" not in authority:  # credentials are for check_url to refuse
        authority = _authority(authority, "" if mark else PORT)
    return check_url(
        f"{scheme}://{authority}{slash}{path}", option, owner, beyond="/api(?:/chat|/generate)?|/v1(?:/.*)?"
    )


def _authority(text: str, port: str) -> str:
    """Put the missing pieces of ``host:port`` in."""
    if text.count(":") > 1 and "[" not in text:
        host = f"[{text}]"
    elif text.startswith("["):
        inner, _, tail = text.partition("]")
        host, port = f"{inner}]", tail.removeprefix(":") or port
    else:
        host, _, given = text.partition(":")
        port = given or port
    host = EVERYWHERE.get(host, host)
    return f"{host}:{port}" if port else host
