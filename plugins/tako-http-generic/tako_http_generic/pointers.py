"""JSON pointers (RFC 6901), compiled once.

The jsonpointer library parses them. The values are looked up here, because that happens for every chunk of a stream:
several pointers are followed in one walk, and each step costs one dictionary access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonpointer import JsonPointer, JsonPointerException  # pyright: ignore[reportMissingTypeStubs] - it has no stubs

from tako.errors import ConfigurationError, kind_of
from tako.json_values import as_array, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Pointers = str | list[str]
"""A pointer, or several: the first that leads to a value counts."""


class Pointer:
    """One pointer."""

    __value_keys__ = ("steps", "text")

    def __init__(self, text: str, option: str) -> None:
        """Compile a pointer. Raises ConfigurationError, with the option's name, if it isn't valid."""
        try:
            parts: list[str] = JsonPointer(text).parts
        except (JsonPointerException, TypeError, AttributeError) as error:
            raise ConfigurationError(f"{option}={text!r} isn't a JSON pointer: {error} (example: /choices/0)") from None
        self.text = text
        self.steps: list[tuple[str, int | None]] = [(part, _index(part)) for part in parts]

    def get(self, doc: Any) -> Any:
        """Return the value that the pointer leads to; None if it leads nowhere (or to null)."""
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
        """Describe where a pointer that leads nowhere ends, and what value is there; None if it leads to a value."""
        path = ""
        for key, index in self.steps:
            kind = doc.__class__
            if kind is dict and key in doc:
                doc = doc[key]
            elif kind is list and index is not None and index < len(doc):
                doc = doc[index]
            else:
                return f"{self.text} leads nowhere: {_location(path)} is {describe(doc)}"
            path += "/" + key.replace("~", "~0").replace("/", "~1")
        return None


class PointerChoice:
    """One or several pointers, tried in order."""

    __value_keys__ = ("pointers",)

    def __init__(self, pointers: Pointers, option: str) -> None:
        if not isinstance(pointers, (str, list, tuple)):
            raise ConfigurationError(f"{option} is {kind_of(pointers)}, not a JSON pointer or a list of them")
        texts = [pointers] if isinstance(pointers, str) else list(pointers)
        if not texts:
            raise ConfigurationError(f"{option} is an empty list; give a JSON pointer")
        self.pointers = [Pointer(text, option) for text in texts]

    def get(self, doc: Any) -> Any:
        """Return the value of the first pointer that leads to one that isn't null or empty."""
        empty = None
        for pointer in self.pointers:
            value = pointer.get(doc)
            if value or value == 0:
                return value
            empty = value if empty is None else empty
        return empty

    def problem(self, doc: Any) -> str | None:
        """Describe why none of the pointers leads to a value; None if one does."""
        problems = [pointer.problem(doc) for pointer in self.pointers]
        return None if None in problems else "; ".join(filter(None, problems))


class _Node:
    """A step that several pointers share: the pointers that end one step further, and the nodes of the others."""

    __value_keys__ = ("ends", "children")

    def __init__(self) -> None:
        self.ends: list[tuple[str, int | None, str]] = []
        self.children: list[tuple[str, int | None, _Node]] = []

    def child(self, key: str, index: int | None) -> _Node:
        """Return the node of a step, and make it if there isn't one."""
        node = next((node for other, _, node in self.children if other == key), None)
        if node is None:
            node = _Node()
            self.children.append((key, index, node))
        return node


class Finder:
    """Follows many named pointers in one walk, which visits each step once."""

    def __init__(self, pointers: Mapping[str, PointerChoice | None]) -> None:
        self._root = _Node()
        self._document_names: list[str] = []
        self._fallbacks: list[
            tuple[str, str]
        ] = []  # the key of each value that isn't from the first pointer, and its name
        for name, choice in pointers.items():
            for rank, pointer in enumerate(choice.pointers if choice is not None else ()):
                value_key = f"{name} {rank}" if rank else name
                if rank:
                    self._fallbacks.append((value_key, name))
                self._add(pointer, value_key)

    def find(self, doc: Any) -> dict[str, Any]:
        """Return the values of the pointers by name, without those that are missing, null, false, zero or empty."""
        values: dict[str, Any] = {}
        _walk(self._root, doc, values)
        for name in self._document_names:
            values[name] = doc
        for value_key, name in self._fallbacks:
            if value_key in values:
                value = values.pop(value_key)
                values.setdefault(name, value)
        return values

    def _add(self, pointer: Pointer, value_key: str) -> None:
        if not pointer.steps:
            self._document_names.append(value_key)
            return
        node = self._root
        for step in pointer.steps[:-1]:
            node = node.child(*step)
        node.ends.append((*pointer.steps[-1], value_key))


def _walk(node: _Node, value: Any, values: dict[str, Any]) -> None:
    kind = value.__class__  # JSON values have no subclasses
    if kind is dict:
        get = value.get
        for key, _, value_key in node.ends:
            if inner := get(key):
                values[value_key] = inner
        for key, _, child in node.children:
            if inner := get(key):
                _walk(child, inner, values)
    elif kind is list:
        for _, index, value_key in node.ends:
            if (inner := _item(value, index)) is not None:
                values[value_key] = inner
        for _, index, child in node.children:
            _walk(child, _item(value, index), values)


def _item(items: list[Any], index: int | None) -> Any:
    """Return an item of an array; None if there isn't one, or an empty one."""
    return (items[index] or None) if index is not None and index < len(items) else None


def describe(value: Any) -> str:
    """Describe a JSON value in a few words: its kind, and the keys of an object, but no other content."""
    if isinstance(value, bool):
        return "true" if value else "false"
    fields, items = as_object(value), as_array(value)
    if fields is not None:
        return f"an object with {', '.join(_first_keys(fields))}" if fields else "an empty object"
    if items is not None:
        return f"an array of {len(items)}"
    return "null" if value is None else "text" if isinstance(value, str) else "a number"


def _first_keys(keys: Mapping[str, Any]) -> Iterator[str]:
    for count, key in enumerate(keys):
        if count == 8:  # noqa: PLR2004 - eight fit into a line
            yield "…"
            return
        yield repr(key)[:40]


def _location(pointer: str) -> str:
    return pointer or "the reply"


def _index(part: str) -> int | None:
    """Read an array index: digits without leading zeros (RFC 6901)."""
    return int(part) if part.isdecimal() and part.isascii() and (part == "0" or part[0] != "0") else None
