"""The address of Ollama: OLLAMA_HOST in all forms that Ollama itself reads (envconfig.Host in its sources)."""

from __future__ import annotations

import os

from tako.kit.addresses import check_url
from tako.kit.checks import Default, explicit

BASE_URL = Default("http://localhost:11434")
PORT = "11434"
CLOUD = "ollama.com"
WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - read, not bound
"""Addresses that a server listens on, and the ones that a client on the same machine uses."""


def find_host(base_url: str | None, owner: str) -> str:
    """Return the base URL: the argument, OLLAMA_HOST, or the local server's. Raises ConfigurationError."""
    if explicit(base_url) is not None:
        return read_host(explicit(base_url), "base_url", owner)
    text = os.environ.get("OLLAMA_HOST", "")
    return read_host(text, "OLLAMA_HOST", owner) if text.strip() else str(BASE_URL)


def read_host(text: str, option: str, owner: str) -> str:
    """Read ``host``, ``host:port``, ``:port``, ``[v6]:port`` or ``scheme://host[:port]/path``.

    Without a scheme the default port is 11434; with one it's the scheme's. Raises ConfigurationError.
    """
    if not isinstance(text, str):
        return check_url(text, option, owner)  # raises the error
    text = text.strip().strip("\"'").strip()
    if text == CLOUD:
        return f"https://{CLOUD}"
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    authority, slash, path = rest.partition("/")
    if "@" not in authority:  # check_url refuses credentials
        authority = _authority(authority, "" if separator else PORT)
    return check_url(
        f"{scheme}://{authority}{slash}{path}", option, owner, beyond="/api(?:/chat|/generate)?|/v1(?:/.*)?"
    )


def _authority(text: str, port: str) -> str:
    """Add the missing parts of ``host:port``."""
    if text.count(":") > 1 and "[" not in text:
        host = f"[{text}]"
    elif text.startswith("["):
        address, _, tail = text.partition("]")
        host, port = f"{address}]", tail.removeprefix(":") or port
    else:
        host, _, text_port = text.partition(":")
        port = text_port or port
    host = WILDCARDS.get(host, host)
    return f"{host}:{port}" if port else host
