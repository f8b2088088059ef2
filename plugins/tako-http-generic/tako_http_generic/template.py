"""Structural templates: JSON in which a string that is a placeholder stands for a value.

Nothing is ever pasted into text, so that no value can change the structure around it.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from tako.environment import FromEnvironment
from tako.errors import ConfigurationError, kind_of
from tako.json_values import as_array, as_object, is_deep
from tako.kit.parameters import PARAMETERS

PLACEHOLDERS = ("request", "model", "messages", "system", "tools", *PARAMETERS, "stream")
"""What a template may ask for."""

_MARK = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)


class Absent:
    """What a placeholder stands for when the request has no such thing."""


ABSENT: Final = Absent()


class Slot(Struct, frozen=True):
    """A placeholder's place."""

    name: str


class Template:
    """A template, checked and compiled. ``slots`` are the placeholders in it."""

    def __init__(self, body: Any, where: str) -> None:
        """Compile; raises ConfigurationError with the place where a value is no JSON or a placeholder is unknown."""
        self.slots: set[str] = set()
        if is_deep(body):
            raise ConfigurationError(f"{where} is nested too deeply, or holds itself")
        self._body = self._compile(body, where)

    def render(self, values: dict[str, Any]) -> Any:
        """Put values in; a key, or an item of an array, whose placeholder has no value is left out."""
        made = _render(self._body, values)
        return None if made is ABSENT else made

    def _compile(self, node: Any, where: str) -> Any:
        if isinstance(node, FromEnvironment):
            _check_json(str(node), where)
            return node
        if isinstance(node, str):
            return self._text(node, where)
        fields = as_object(node)
        if fields is not None:
            return {self._key(key, where): self._compile(value, f"{where}/{key}") for key, value in fields.items()}
        kind = node.__class__
        items: list[Any] | None = [*node] if kind is tuple else as_array(node)
        if items is not None:
            return [self._compile(item, f"{where}/{i}") for i, item in enumerate(items)]
        _check_json(node, where)
        return node

    def _key(self, key: Any, where: str) -> str:
        if not isinstance(key, str):
            raise ConfigurationError(f"{where} has the key {key!r}; keys of JSON objects are text")
        if _MARK.search(key):
            raise ConfigurationError(f"{where} has a placeholder as the key {key!r}; only values can be")
        _check_json(key, where)
        return key

    def _text(self, text: str, where: str) -> str | Slot:
        mark = _MARK.search(text)
        if mark is None:
            _check_json(text, where)
            return text
        name = mark[1]
        if name not in PLACEHOLDERS:
            known = ", ".join(PLACEHOLDERS)
            raise ConfigurationError(f"{where}: there is no placeholder {mark[0]!r} (known: {known})")
        if mark[0] != text.strip():
            raise ConfigurationError(
                f"{where}: {text[:80]!r} has text around its placeholder, which must be the whole value"
            )
        self.slots.add(name)
        return Slot(name)


def _render(node: Any, values: dict[str, Any]) -> Any:
    if isinstance(node, Slot):
        return values.get(node.name, ABSENT)
    if isinstance(node, FromEnvironment):
        return str(node)  # JSON takes plain text alone
    fields, items = as_object(node), as_array(node)
    if fields is not None:
        made = {key: _render(value, values) for key, value in fields.items()}
        return {key: value for key, value in made.items() if value is not ABSENT}
    if items is not None:
        return [value for item in items if (value := _render(item, values)) is not ABSENT]
    return node


def _check_json(value: Any, where: str) -> None:
    """Refuse what JSON does not have."""
    if value is None or isinstance(value, (str, int, float)):
        try:
            msgspec.json.encode(value)
        except (UnicodeError, OverflowError, ValueError, TypeError) as error:
            raise ConfigurationError(f"{where} can't be JSON: {error}") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigurationError(f"{where} is {value!r}, which JSON doesn't have")
        return
    raise ConfigurationError(f"{where} is {kind_of(value)}, which JSON doesn't have")
