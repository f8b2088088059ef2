"""Header values from the environment: ``$ENV:NAME`` as everywhere, ``$NAME`` within a text, ``$$`` for a dollar."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tako.environment import FromEnvironment
from tako.errors import ConfigurationError
from tako.kit.keys import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

_DOLLAR = re.compile(r"\$(\$|[A-Za-z_][A-Za-z0-9_]*)?")

Headers = Mapping[str, str] | list[tuple[str, str]] | tuple[tuple[str, str], ...]
"""Headers as pairs, or as a mapping."""


class HeaderTemplate(Secret):
    """A header whose value has ``$NAME`` in it. Its repr hides it, and a pickle has only the template."""

    __slots__ = ("_template", "_values")

    def __init__(self, template: str, values: Mapping[str, str]) -> None:
        text = _DOLLAR.sub(lambda match: "$" if match[1] == "$" else values[match[1]], template)
        super().__init__(text, ", ".join(values))
        self._template = template
        self._values = dict(values)

    def hide(self, text: str) -> str:
        """Return a text with every variable's value hidden."""
        for value in self._values.values():
            text = Secret(value).hide(text)
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._template,)


def read_headers(headers: Headers, owner: str) -> dict[str, str | Secret]:
    """Resolve headers. Raises ConfigurationError with the header's name and the problem, never a value."""
    read: dict[str, str | Secret] = {}
    for name, value in _pairs(headers, owner):
        if name.lower() in read:
            raise ConfigurationError(f"{owner}: the header {name} appears twice")
        read[name.lower()] = _resolve(value, f"{owner}: the header {name}")
    return read


def _pairs(headers: Any, owner: str) -> Iterable[tuple[str, str]]:
    pairs: Any = list(headers.items()) if hasattr(headers, "items") else headers
    try:
        return msgspec.convert(pairs, list[tuple[str, str]])
    except (msgspec.ValidationError, UnicodeError) as error:
        text = f"{owner}: headers are pairs of texts (name, value), or a mapping of them: {error}"
    raise ConfigurationError(text)


def _resolve(value: str, label: str) -> str | Secret:
    if isinstance(value, FromEnvironment):
        return Secret.of(value)
    names = [match[1] for match in _DOLLAR.finditer(value)]
    if None in names:
        raise ConfigurationError(f"{label} has a $ without a name: write $$ for a dollar, $NAME for a variable")
    variables = [name for name in names if name != "$"]
    missing = [name for name in variables if not os.environ.get(name)]
    if missing:
        raise ConfigurationError(f"{label} reads {', '.join(missing)}, which isn't set")
    if variables:
        return HeaderTemplate(value, {name: os.environ[name] for name in variables})
    return value.replace("$$", "$")


def _restore(template: str) -> HeaderTemplate:
    """Read the variables in this process. If one isn't set, sending the header fails."""
    names = {match[1] for match in _DOLLAR.finditer(template)} - {"$"}
    values = {name: os.environ.get(name, "") for name in names}
    return HeaderTemplate(template if all(values.values()) else "", values)
