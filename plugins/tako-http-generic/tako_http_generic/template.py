"""Structural templates: JSON in which a string that is a placeholder stands for a value.

A value is never pasted into text, so it can't change the structure around it.
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

NAMES = ("request", "model", "messages", "text", "system", "tools", *PARAMETERS, "stream")
"""The placeholders that a template may have."""

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)


class Absent:
    """The value of a placeholder that the request has no value for."""


ABSENT: Final = Absent()


class Placeholder(Struct, frozen=True):
    """A value to fill in."""

    name: str


class Template:
    """A template, checked and compiled. ``placeholders`` are the names of those in it."""

    def __init__(self, body: Any, option: str) -> None:
        """Compile. Raises ConfigurationError with the path of a value that isn't JSON, or of an unknown placeholder."""
        self.placeholders: set[str] = set()
        if is_deep(body):
            raise ConfigurationError(f"{option} is nested too deeply, or holds itself")
        self._body = self._compile(body, option)

    def render(self, values: dict[str, Any]) -> Any:
        """Fill in values. A key, or an item of an array, is left out if its placeholder has no value."""
        body = _render(self._body, values)
        return None if body is ABSENT else body

    def _compile(self, node: Any, path: str) -> Any:
        if isinstance(node, FromEnvironment):
            _check_json(str(node), path)
            return node
        if isinstance(node, str):
            return self._text(node, path)
        fields = as_object(node)
        if fields is not None:
            return {self._key(key, path): self._compile(value, f"{path}/{key}") for key, value in fields.items()}
        kind = node.__class__
        items: list[Any] | None = [*node] if kind is tuple else as_array(node)
        if items is not None:
            return [self._compile(item, f"{path}/{i}") for i, item in enumerate(items)]
        _check_json(node, path)
        return node

    def _key(self, key: Any, path: str) -> str:
        if not isinstance(key, str):
            raise ConfigurationError(f"{path} has the key {key!r}; keys of JSON objects are text")
        if _PLACEHOLDER.search(key):
            raise ConfigurationError(f"{path} has a placeholder as the key {key!r}; only values can be")
        _check_json(key, path)
        return key

    def _text(self, text: str, path: str) -> str | Placeholder:
        match = _PLACEHOLDER.search(text)
        if match is None:
            _check_json(text, path)
            return text
        name = match[1]
        if name not in NAMES:
            known = ", ".join(NAMES)
            hint = "; for the prompt as text, use {{ text }}" if name in ("prompt", "input", "query") else ""
            raise ConfigurationError(f"{path}: there is no placeholder {match[0]!r} (known: {known}){hint}")
        if match[0] != text.strip():
            raise ConfigurationError(
                f"{path}: {text[:80]!r} has text around its placeholder, which must be the whole value"
            )
        self.placeholders.add(name)
        return Placeholder(name)


def _render(node: Any, values: dict[str, Any]) -> Any:
    if isinstance(node, Placeholder):
        return values.get(node.name, ABSENT)
    if isinstance(node, FromEnvironment):
        return str(node)  # JSON accepts plain text only
    fields, items = as_object(node), as_array(node)
    if fields is not None:
        rendered = {key: _render(value, values) for key, value in fields.items()}
        return {key: value for key, value in rendered.items() if value is not ABSENT}
    if items is not None:
        return [value for item in items if (value := _render(item, values)) is not ABSENT]
    return node


def _check_json(value: Any, path: str) -> None:
    """Raise ConfigurationError for a value that JSON doesn't have."""
    if value is None or isinstance(value, (str, int, float)):
        try:
            msgspec.json.encode(value)
        except (UnicodeError, OverflowError, ValueError, TypeError) as error:
            raise ConfigurationError(f"{path} can't be JSON: {error}") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigurationError(f"{path} is {value!r}, which JSON doesn't have")
        return
    raise ConfigurationError(f"{path} is {kind_of(value)}, which JSON doesn't have")
