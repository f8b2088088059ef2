"""Secrets: read once, and never shown."""

from __future__ import annotations

import os
import re
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tako.environment import FromEnvironment, resolve_text
from tako.errors import AuthenticationError, ConfigurationError, MissingKeyError, ProviderError, TakoError, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SHORTEST = 4
"""Characters that a text needs to be a secret. Shorter ones stand in other words by chance."""
HIDDEN = "***"
SHORTEST_PART = 8
"""Characters of a secret that tell it. This many of its beginning are hidden where a text was cut in the middle."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BREAKS = re.compile(r"[\s;,=]+")


class Secret:
    """A key that repr, logs, tracebacks with locals, and pickles do not show. ``reveal()`` is the only way to it.

    Pickled, it becomes the way to find it again: the name of its environment variable, never the text.
    """

    __slots__ = ("_prefix", "_text", "_variable", "source")

    def __init__(self, text: str, variable: str | None = None, prefix: str = "", source: str = "") -> None:
        self._text = text
        self._variable = variable
        self._prefix = prefix
        self.source = source
        """The variable or the option that it was read from, as in "api_key="; "" if that isn't known."""

    @classmethod
    def of(cls, text: str) -> Secret:
        """Return a text as a secret; one from the environment remembers its variable."""
        if isinstance(text, FromEnvironment):
            return cls(text.value, text.variable, text.prefix, text.variable)
        return cls(text)

    def reveal(self) -> str:
        """Return the text itself, after its prefix; keep it out of locals of frames that may raise.

        Raises ConfigurationError where the secret was unpickled and the environment here has no such key.
        """
        if not self._text:
            raise ConfigurationError(f"a key never travels in a pickle: set {self._variable or 'it'} here too")
        return self._prefix + self._text

    def prefixed(self, prefix: str) -> Secret:
        """Return the same secret as a header wants it, as in ``prefixed("Bearer ")``."""
        return Secret(self._text, self._variable, prefix, self.source)

    def hide(self, text: str) -> str:
        """Return a text with this secret taken out, in any case: as it is, escaped for URLs, JSON or HTML, or cut."""
        if len(self._text) < SHORTEST:
            return text
        tokens = [token for token in _BREAKS.split(self._text) if len(token) >= SHORTEST_PART]  # as in "Bearer KEY"
        forms = [form for secret in (self._text, *tokens) for form in _spellings(secret)]
        heads = re.compile("|".join({re.escape(form[:SHORTEST_PART]) for form in forms}), re.IGNORECASE)
        position = 0
        while head := heads.search(text, position):
            position = head.start()
            length = max(_common_length(form, text[position : position + len(form)]) for form in forms)
            text = f"{text[:position]}{HIDDEN}{text[position + length :]}"
            position += len(HIDDEN)
        return text

    @property
    def variable(self) -> str | None:
        """The environment variable that has it, where it was read from one."""
        return self._variable

    @property
    def problem(self) -> str | None:
        """Say why no header can carry it, without showing it; None where one can."""
        if not self._text.strip():
            return "is empty"
        if _CONTROL.search(self._text):
            return "contains a line break or another control character"
        return None if self._text.isascii() else "contains characters that a header can't carry (not ASCII)"

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_environment, (self._variable, self._prefix)


def read_key(given: str | Secret | None, variable: str, owner: str) -> Secret:
    """Read a key: as given, from ``$ENV:NAME``, or from the vendor's usual environment variable.

    Raises MissingKeyError, which names the variable, and ConfigurationError for a key that can't be in a header.
    """
    secret = find_key(given, variable, owner)
    if secret is None:
        raise MissingKeyError(f"{owner} has no key: set {variable}")
    return secret


def find_key(given: str | Secret | None, variable: str, owner: str, *, option: str = "api_key") -> Secret | None:
    """Read a key like ``read_key``, but return None where neither an argument nor the environment has one.

    ``option`` names the argument in errors.
    """
    if isinstance(given, Secret):
        return given
    if given is not None and not isinstance(given, str):
        kind = kind_of(given)
        given = None  # a traceback with locals shows this frame
        raise ConfigurationError(f"{owner}: {option} is {kind}, not a str")
    source = option
    if given is None:
        source, secret = variable, Secret(os.environ.get(variable, ""), variable, source=variable)
        if secret.problem == "is empty":
            return None
    elif isinstance(given := resolve_text(given, option, owner), FromEnvironment):
        source, secret = given.variable, Secret.of(given)
    else:
        secret = Secret(given, variable, source=f"{option}=")
    given = None  # a traceback with locals shows this frame
    if secret.problem is not None:
        raise ConfigurationError(f"{owner}: {source} {secret.problem}")
    return secret


def with_key_source(error: ProviderError, secrets: Iterable[Secret]) -> ProviderError:
    """Let the error of a refused key say where the key came from, and return it."""
    sources = " and ".join(dict.fromkeys(secret.source for secret in secrets if secret.source))
    if isinstance(error, AuthenticationError) and sources:
        error.advice = f"check the key from {sources}"
    return error


def _from_environment(variable: str | None, prefix: str) -> Secret:
    return Secret(os.environ.get(variable, "") if variable else "", variable, prefix, variable or "")


def _spellings(secret: str) -> set[str]:
    """List the ways in which a secret is written: as it is, and escaped for URLs, JSON and HTML."""
    return {secret, quote(secret, safe=""), secret.replace("/", "\\/"), escape(secret)}


def _common_length(first: str, second: str) -> int:
    """Count the characters that two texts begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (char, other) in pairs if char.lower() != other.lower()), min(len(first), len(second)))


def scrub(error: BaseException, hide: Callable[[str], str]) -> None:
    """Take secrets out of an error and of all errors behind it, and their frames, whose locals may hold them.

    ``hide`` returns a text without its secrets.
    """
    visited: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or any(current is other for other in visited):
            continue
        visited.append(current)
        current.args = tuple([_hide_in(value, hide) for value in current.args])
        current.__traceback__ = None
        for name in (*vars(current), *_OS_ERROR_FIELDS):
            value = getattr(current, name, None)
            is_ours = isinstance(current, TakoError) and not isinstance(
                value, str
            )  # a reply as far as it came, notices
            if not is_ours and (hidden := _hide_in(value, hide)) is not value:
                setattr(current, name, hidden)
        for attribute in ("__cause__", "__context__"):
            chained = getattr(current, attribute)
            if isinstance(chained, BaseExceptionGroup):
                setattr(current, attribute, _hide_in_group(chained, hide))  # pyright: ignore[reportUnknownArgumentType] - of anything
        pending += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]


def _hide_in_group(error: Any, hide: Callable[[str], str]) -> Any:
    """Return a group like this one with another message: a group's own can't be changed."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    return BaseExceptionGroup(hide(error.message), [_hide_in_group(inner, hide) for inner in error.exceptions])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType, reportUnknownMemberType] - of anything


_OS_ERROR_FIELDS = ("strerror", "filename", "filename2")
"""What an OSError has beside its arguments."""


def _hide_in(value: Any, hide: Callable[[str], str]) -> Any:
    """Return a text without secrets; what holds one, or headers, gives way to the name of its type."""
    if isinstance(value, str):
        return hide(value)
    if value is None or isinstance(value, (int, float)):
        return value
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - anything may ride on an exception
        text = ""
    is_clean = text and hide(text) == text and not hasattr(value, "headers")
    return value if is_clean else f"<{type(value).__name__}>"
