"""``$ENV:NAME``: a reference to an environment variable, in place of a value.

It's the whole value, or it follows one word: ``"$ENV:MY_KEY"``, ``"Bearer $ENV:MY_TOKEN"``. Constructors of providers
resolve it in every option, at any depth. It's never resolved in requests.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Self

from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREFIX = "$ENV:"
REFERENCE = re.compile(r"(?P<prefix>[^\s$]+ )?\$ENV:(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
USAGE = f"write {PREFIX}NAME as the whole value, or after one word, as in Bearer {PREFIX}NAME"
_SECRET = re.compile(r"auth|key|token|secret|cookie|passw|credential|headers|query|url|proxy|template", re.IGNORECASE)
"""Names of options, and of keys inside them, whose values may be secrets."""


class FromEnvironment(str):
    """A variable's value, after a word if there was one. Its repr and pickle only have the reference."""

    __slots__ = ("prefix", "variable")
    prefix: str
    variable: str

    def __new__(cls, prefix: str, variable: str) -> Self:
        """Read the variable. Raises ConfigurationError if it isn't set, perhaps after unpickling elsewhere."""
        value = os.environ.get(variable)
        if not value:
            raise ConfigurationError(f"the variable {variable} isn't set, and values don't travel in pickles")
        instance = super().__new__(cls, prefix + value)
        instance.prefix, instance.variable = prefix, variable
        return instance

    @property
    def value(self) -> str:
        """The variable's value, without the word before it."""
        return self[len(self.prefix) :]

    def __repr__(self) -> str:
        return repr(f"{self.prefix}{PREFIX}{self.variable}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.prefix, self.variable)

    def __deepcopy__(self, memo: object) -> Self:
        return self


def is_reference(value: Any) -> bool:
    """Whether a value is a reference."""
    return isinstance(value, str) and REFERENCE.fullmatch(value) is not None


def resolve_text(text: str, where: str, owner: str) -> str:
    """Return a text, or the ``FromEnvironment`` that it refers to. Raises ConfigurationError like ``resolve``."""
    if PREFIX not in text or isinstance(text, FromEnvironment):
        return text
    if text == PREFIX:
        raise ConfigurationError(f"{owner}: {where} is {PREFIX!r} without the name of a variable after it")
    reference = REFERENCE.fullmatch(text)
    if reference is None:
        raise ConfigurationError(f"{owner}: {where} holds {PREFIX} in the middle of a text; {USAGE}")
    if not os.environ.get(reference["name"]):
        raise ConfigurationError(f"{owner}: {where} names the variable {reference['name']}, which isn't set")
    return FromEnvironment(reference["prefix"] or "", reference["name"])


def resolve(value: Any, where: str, owner: str) -> Any:
    """Return an option's value with its references resolved, the same object if it doesn't have one.

    Values that may be secrets, by the names on the path to them, become ``FromEnvironment``, all others plain text.
    ``where`` is the option's name. Raises ConfigurationError, which names the variable and never shows a value.
    """
    with suppress(RecursionError):
        return _resolve(value, where, owner)
    raise ConfigurationError(f"{owner}: {where} is nested too deeply, or holds itself")


def resolve_call(
    init: Callable[..., None], args: tuple[Any, ...], options: dict[str, Any], owner: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Resolve the arguments of a constructor. Raises like ``resolve``."""
    code = getattr(inspect.unwrap(init), "__code__", None)
    names = code.co_varnames if code is not None else ()
    positional = [resolve(value, name, owner) for name, value in zip_longest(names[: len(args)], args, fillvalue="?")]
    return tuple(positional), {name: resolve(value, name, owner) for name, value in options.items()}


def iter_secrets(value: Any) -> Iterator[FromEnvironment]:
    """Iterate over the values that were resolved as secrets, at any depth."""
    if isinstance(value, FromEnvironment):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        container: Mapping[Any, Any] | list[Any] | tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType] - of Any
        for item in container.values() if isinstance(container, Mapping) else container:
            yield from iter_secrets(item)


def _resolve(value: Any, where: str, owner: str) -> Any:
    if isinstance(value, str):
        text = resolve_text(value, where, owner)
        return text if text is value or _SECRET.search(where) else str(text)
    if isinstance(value, Mapping):
        table: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType] - of Any
        resolved = {key: _resolve(item, f"{where}.{key}", owner) for key, item in table.items()}
        return resolved if any(resolved[key] is not item for key, item in table.items()) else table
    if isinstance(value, (list, tuple)):
        items: list[Any] | tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType] - of Any
        resolved_items = [_resolve(item, f"{where}[{i}]", owner) for i, item in enumerate(items)]
        is_changed = any(new is not item for new, item in zip(resolved_items, items, strict=True))
        return (resolved_items if isinstance(items, list) else tuple(resolved_items)) if is_changed else items
    return value
