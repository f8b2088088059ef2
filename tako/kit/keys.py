"""Secrets: read once, shown nowhere."""

from __future__ import annotations

import os
import re
from typing import Any

from tako.errors import ConfigurationError

ENVIRONMENT = "$ENV:"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Secret:
    """A key that repr, logs, tracebacks with locals, and pickles do not show. ``reveal()`` is the only way to it.

    Pickled, it becomes the way to find it again: the name of its environment variable, never the text.
    """

    __slots__ = ("_prefix", "_text", "_variable")

    def __init__(self, text: str, variable: str | None = None, prefix: str = "") -> None:
        self._text = text
        self._variable = variable
        self._prefix = prefix

    def reveal(self) -> str:
        """Return the text itself, after its prefix; keep it out of locals of frames that may raise.

        Raises ConfigurationError where the secret was unpickled and the environment here has no such key.
        """
        if not self._text:
            raise ConfigurationError(f"a key never travels in a pickle: set {self._variable or 'it'} here too")
        return self._prefix + self._text

    def prefixed(self, prefix: str) -> Secret:
        """Return the same secret as a header wants it, as in ``prefixed("Bearer ")``."""
        return Secret(self._text, self._variable, prefix)

    def hide(self, text: str) -> str:
        """Return a text with this secret taken out."""
        return text.replace(self._text, "***") if len(self._text) > 3 else text  # noqa: PLR2004 - too short to be one

    @property
    def problem(self) -> str | None:
        """Say why no header can carry it, without showing it; None where one can."""
        if not self._text.strip():
            return "is empty"
        if _CONTROL.search(self._text):
            return "holds a line break or another control character"
        return None if self._text.isascii() else "holds characters that no key has (not ASCII)"

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self._variable, self._prefix)


def read_key(given: str | Secret | None, variable: str, owner: str) -> Secret:
    """Read a key: as given, from ``$ENV:NAME``, or from the vendor's usual environment variable.

    Raises ConfigurationError, naming the variable, where there is none or where it cannot stand in a header.
    """
    secret = find_key(given, variable, owner)
    if secret is None:
        raise ConfigurationError(f"{owner} has no key: set {variable}, or pass api_key=")
    return secret


def find_key(given: str | Secret | None, variable: str, owner: str, *, option: str = "api_key") -> Secret | None:
    """Read a key like ``read_key``, but return None where neither an argument nor the environment has one.

    ``option`` names the argument in errors.
    """
    if isinstance(given, Secret):
        return given
    if given is not None and not isinstance(given, str):
        kind = type(given).__name__
        given = None  # a traceback with locals shows this frame
        raise ConfigurationError(f"{owner}: {option} is a {kind}, not a str")
    if given is not None and given.startswith(ENVIRONMENT):
        variable, given = given.removeprefix(ENVIRONMENT), None
        if not variable:
            raise ConfigurationError(f"{owner}: {option} is {ENVIRONMENT!r} without the name of a variable after it")
        if not os.environ.get(variable):
            raise ConfigurationError(f"{owner} reads its key from {variable}, which is not set")
    source = option if given is not None else variable
    secret = Secret(given if given is not None else os.environ.get(variable, ""), variable)
    if given is None and secret.problem == "is empty":
        return None
    given = None  # a traceback with locals shows this frame
    if secret.problem is not None:
        raise ConfigurationError(f"{owner}: {source} {secret.problem}")
    return secret


def _again(variable: str | None, prefix: str) -> Secret:
    return Secret(os.environ.get(variable, "") if variable else "", variable, prefix)
