"""``$ENV:NAME``: a value that stands in an environment variable, named where it is needed instead of written there.

It is the whole value, or it follows one word: ``"$ENV:MY_KEY"``, ``"Bearer $ENV:MY_TOKEN"``. Constructors of providers
resolve it in every option, however deep; requests never do.
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
"""Names under which a value may be a secret: of options, and of keys within them."""


class FromEnvironment(str):
    """A variable's value, after a word if there was one: text, whose repr and pickle show the reference alone."""

    __slots__ = ("prefix", "variable")
    prefix: str
    variable: str

    def __new__(cls, prefix: str, variable: str) -> Self:
        """Read the variable; raises ConfigurationError where it isn't set, as after a pickle has travelled."""
        value = os.environ.get(variable)
        if not value:
            raise ConfigurationError(f"the variable {variable} isn't set, and values don't travel in pickles")
        instance = super().__new__(cls, prefix + value)
        instance.prefix, instance.variable = prefix, variable
        return instance

    @property
    def value(self) -> str:
        """The variable's value alone."""
        return self[len(self.prefix) :]

    def __repr__(self) -> str:
        return repr(f"{self.prefix}{PREFIX}{self.variable}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.prefix, self.variable)

    def __deepcopy__(self, memo: object) -> Self:
        return self


def is_reference(value: Any) -> bool:
    """Whether a value names a variable in place of itself."""
    return isinstance(value, str) and REFERENCE.fullmatch(value) is not None


def resolve_text(text: str, where: str, owner: str) -> str:
    """Return a text, or the ``FromEnvironment`` that it refers to. Raises ConfigurationError as ``resolve`` does."""
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
    """Return an option's value with its references resolved; the same object where it has none.

    What may be a secret, by the names on the way to it, becomes ``FromEnvironment``, all else plain text. ``where`` is
    the option's name. Raises ConfigurationError, which names the variable and never shows a value.
    """
    with suppress(RecursionError):
        return _resolve(value, where, owner)
    raise ConfigurationError(f"{owner}: {where} is nested too deeply, or holds itself")


def resolve_call(
    init: Callable[..., None], args: tuple[Any, ...], options: dict[str, Any], owner: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Resolve what a constructor is called with. Raises as ``resolve`` does."""
    code = getattr(inspect.unwrap(init), "__code__", None)
    names = code.co_varnames if code is not None else ()
    positional = [resolve(value, name, owner) for name, value in zip_longest(names[: len(args)], args, fillvalue="?")]
    return tuple(positional), {name: resolve(value, name, owner) for name, value in options.items()}


def iter_secrets(value: Any) -> Iterator[FromEnvironment]:
    """Iterate over what was resolved as a secret, however deep."""
    if isinstance(value, FromEnvironment):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        container: Mapping[Any, Any] | list[Any] | tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType] - of Any
        for one in container.values() if isinstance(container, Mapping) else container:
            yield from iter_secrets(one)


def _resolve(value: Any, where: str, owner: str) -> Any:
    if isinstance(value, str):
        text = resolve_text(value, where, owner)
        return text if text is value or _SECRET.search(where) else str(text)
    if isinstance(value, Mapping):
        table: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType] - of Any
        resolved = {key: _resolve(one, f"{where}.{key}", owner) for key, one in table.items()}
        return resolved if any(resolved[key] is not one for key, one in table.items()) else table
    if isinstance(value, (list, tuple)):
        items: list[Any] | tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType] - of Any
        resolved_items = [_resolve(one, f"{where}[{i}]", owner) for i, one in enumerate(items)]
        is_changed = any(new is not one for new, one in zip(resolved_items, items, strict=True))
        return (resolved_items if isinstance(items, list) else tuple(resolved_items)) if is_changed else items
    return value
