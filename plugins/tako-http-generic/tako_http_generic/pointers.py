"""JSON pointers (RFC 6901), compiled once.

The jsonpointer library reads them; what they point to is looked up here, since that happens for every chunk of a
stream: several pointers are followed in one walk, and a step costs one dictionary access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonpointer import JsonPointer, JsonPointerException  # pyright: ignore[reportMissingTypeStubs] - it has stubs of its own

from tako.errors import ConfigurationError, kind_of
from tako.json_values import as_array, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Pointers = str | list[str]
"""A pointer, or several of which the first that leads to something counts."""


class Path:
    """One pointer."""

    __slots__ = ("steps", "text")

    def __init__(self, text: str, where: str) -> None:
        """Compile a pointer; raises ConfigurationError, naming the option ``where``, if it is none."""
        try:
            parts: list[str] = JsonPointer(text).parts
        except (JsonPointerException, TypeError, AttributeError) as error:
            raise ConfigurationError(f"{where}={text!r} isn't a JSON pointer: {error} (example: /choices/0)") from None
        self.text = text
        self.steps: list[tuple[str, int | None]] = [(part, _index(part)) for part in parts]

    def get(self, doc: Any) -> Any:
        """Return what the pointer leads to, or None where it leads nowhere (or to null)."""
        for key, index in self.steps:
            kind = doc.__class__
            if kind is dict:
                doc = doc.get(key)
            elif kind is list and index is not None:
                doc = doc[index] if index < len(doc) else None
            else:
                return None
        return doc

    def problem(self, doc: Any) -> str | None:
        """Say where a pointer that leads nowhere breaks off, and what is there; None where it leads somewhere."""
        so_far = ""
        for key, index in self.steps:
            kind = doc.__class__
            if kind is dict and key in doc:
                doc = doc[key]
            elif kind is list and index is not None and index < len(doc):
                doc = doc[index]
            else:
                return f"{self.text} leads nowhere: {_place(so_far)} is {describe(doc)}"
            so_far += "/" + key.replace("~", "~0").replace("/", "~1")
        return None


class Paths:
    """A pointer or several, tried in order."""

    __slots__ = ("paths",)

    def __init__(self, given: Pointers, where: str) -> None:
        if not isinstance(given, (str, list, tuple)):
            raise ConfigurationError(f"{where} is {kind_of(given)}, not a JSON pointer or a list of them")
        texts = [given] if isinstance(given, str) else list(given)
        if not texts:
            raise ConfigurationError(f"{where} is an empty list; give a JSON pointer")
        self.paths = [Path(text, where) for text in texts]

    def get(self, doc: Any) -> Any:
        """Return what the first pointer that leads to something leads to: not to null, not to an empty value."""
        found = None
        for path in self.paths:
            value = path.get(doc)
            if value or value == 0:
                return value
            found = value if found is None else found
        return found

    def problem(self, doc: Any) -> str | None:
        """Say why none of the pointers leads anywhere; None where one does."""
        problems = [path.problem(doc) for path in self.paths]
        return None if None in problems else "; ".join(filter(None, problems))


class _Node:
    """A step that several pointers share: what ends one step further, and where others go on from there."""

    __slots__ = ("ends", "inner")

    def __init__(self) -> None:
        self.ends: list[tuple[str, int | None, str]] = []
        self.inner: list[tuple[str, int | None, _Node]] = []

    def step(self, key: str, index: int | None) -> _Node:
        """Return where a step leads."""
        node = next((node for known, _, node in self.inner if known == key), None)
        if node is None:
            node = _Node()
            self.inner.append((key, index, node))
        return node


class Finder:
    """Follows many named pointers in one walk, which visits each step once."""

    def __init__(self, named: Mapping[str, Paths | None]) -> None:
        self._root = _Node()
        self._whole: list[str] = []
        self._later: list[tuple[str, str]] = []  # what a pointer that is not the first of its name finds, and that name
        for name, paths in named.items():
            for rank, path in enumerate(paths.paths if paths is not None else ()):
                slot = f"{name} {rank}" if rank else name
                if rank:
                    self._later.append((slot, name))
                self._add(path, slot)

    def find(self, doc: Any) -> dict[str, Any]:
        """Return by name what the pointers lead to, without what is absent, null, false, zero or empty."""
        found: dict[str, Any] = {}
        _walk(self._root, doc, found)
        for name in self._whole:
            found[name] = doc
        for slot, name in self._later:
            if slot in found:
                value = found.pop(slot)
                found.setdefault(name, value)
        return found

    def _add(self, path: Path, slot: str) -> None:
        if not path.steps:
            self._whole.append(slot)
            return
        node = self._root
        for step in path.steps[:-1]:
            node = node.step(*step)
        node.ends.append((*path.steps[-1], slot))


def _walk(node: _Node, value: Any, found: dict[str, Any]) -> None:
    kind = value.__class__  # what JSON decodes to has no subclasses
    if kind is dict:
        get = value.get
        for key, _, slot in node.ends:
            if inner := get(key):
                found[slot] = inner
        for key, _, child in node.inner:
            if inner := get(key):
                _walk(child, inner, found)
    elif kind is list:
        for _, index, slot in node.ends:
            if (inner := _item(value, index)) is not None:
                found[slot] = inner
        for _, index, child in node.inner:
            _walk(child, _item(value, index), found)


def _item(items: list[Any], index: int | None) -> Any:
    """Return an item of an array, or None where there is none, or an empty one."""
    return (items[index] or None) if index is not None and index < len(items) else None


def describe(value: Any) -> str:
    """Name a JSON value in a few words, without its content but for the keys of an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    fields, items = as_object(value), as_array(value)
    if fields is not None:
        return f"an object with {', '.join(_some(fields))}" if fields else "an empty object"
    if items is not None:
        return f"an array of {len(items)}"
    return "null" if value is None else "text" if isinstance(value, str) else "a number"


def _some(keys: Mapping[str, Any]) -> Iterator[str]:
    for count, key in enumerate(keys):
        if count == 8:  # noqa: PLR2004 - as many as fit into a line
            yield "…"
            return
        yield repr(key)[:40]


def _place(pointer: str) -> str:
    return pointer or "the reply"


def _index(part: str) -> int | None:
    """Read an array index as RFC 6901 has it: digits without leading zeros."""
    return int(part) if part.isdecimal() and part.isascii() and (part == "0" or part[0] != "0") else None
