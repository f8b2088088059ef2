"""Headers to send: checked for what HTTP allows, and for which of them are secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tako.environment import resolve_text
from tako.errors import ConfigurationError, kind_of
from tako.kit.keys import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SENSITIVE = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


FRAMING = frozenset(("connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"))
"""Headers that say where a body ends and a connection goes on: the transport's own (RFC 9112)."""


def checked(
    headers: Mapping[str, str | Secret], owner: str, *, of_request: bool = False
) -> Iterator[tuple[str, str | Secret]]:
    """Iterate over names in lower case and values, of which those that may be keys are secrets.

    ``$ENV:NAME`` is read, but not of a request (``of_request``), which may come from anywhere. Raises
    ConfigurationError, which never shows such a value.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigurationError(f"{owner}: {name!r} isn't the name of a header")
        if name.lower() in FRAMING or (of_request and name.lower() == "host"):
            raise ConfigurationError(f"{owner}: the header {name} can't be set, since tako sends its own")
        if not isinstance(value, (str, Secret)):
            raise ConfigurationError(f"{owner}: the header {name} is {kind_of(value)}, not a str")
        secret = (
            value
            if isinstance(value, Secret)
            else Secret.of(value if of_request else resolve_text(value, f"the header {name}", owner))
        )
        hidden = secret is value or secret.variable is not None or is_sensitive(name)
        if secret.problem is not None and (hidden or secret.problem != "is empty"):
            problem = secret.problem
            del value, headers  # a traceback with locals shows this frame
            raise ConfigurationError(f"{owner}: the header {name} {problem}")
        yield name.lower(), secret if hidden else value


def is_sensitive(name: str) -> bool:
    """Whether a header of this name may hold a key."""
    return _SENSITIVE.search(name) is not None


def hiding(headers: Mapping[str, str] | None, hide: Callable[[str], str]) -> Callable[[str], str]:
    """Return what takes the secrets among these headers out of a text, and does what ``hide`` does."""
    secrets = [Secret(value) for name, value in headers.items() if is_sensitive(name)] if headers else []
    if not secrets:
        return hide

    def hide_all(text: str) -> str:
        for secret in secrets:
            text = secret.hide(text)
        return hide(text)

    return hide_all
