"""Partial values while their JSON arrives. They only have what can't change any more."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import msgspec

from tako.json_values import as_array, as_object
from tako.typed.fields import dataclass_default, is_typed_dict
from tako.typed.reading import MismatchError, fits, read
from tako.typed.schemas import VALUE
from tako.typed.shapes import Choice, Items, Leaf, PydanticShape, Record, Shape, Table, Text

MISSING: Any = object()
"""A value that hasn't come yet, or isn't certain yet."""
_SPACE = re.compile(r"\s+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PLAIN = re.compile(r"[^\s,:\[\]{}\"]+(?=[\s,\]}])")
_CUT_ESCAPE = re.compile(r"(\\u[0-9a-fA-F]{0,3}|\\u[dD][89abAB][0-9a-fA-F]{2}(\\(u[0-9a-fA-F]{0,3})?)?|\\)$")
"""An incomplete escape at the end of an open text, also the first half of a surrogate pair."""


class _OpenText(str):
    """A text whose end hasn't come yet."""

    __slots__ = ()


class _JsonParser:
    """Parses JSON that arrives in pieces. ``root`` is the value so far, ``stack`` has the open containers."""

    def __init__(self) -> None:
        self.root: Any = MISSING
        self.stack: list[Any] = []
        self.keys: list[Any] = []
        self.buffer = ""
        self.is_broken = False

    def feed(self, text: str) -> None:
        self.buffer += text
        while not self.is_broken and self.step():
            pass

    def step(self) -> bool:
        """Read one token. False if it isn't complete yet."""
        buffer = self.buffer
        if space := _SPACE.match(buffer):
            return self.consume(space.end())
        if not buffer or (self.root is not MISSING and not self.stack):
            return False
        first = buffer[0]
        if first in "[{":
            self.add_value([] if first == "[" else {}, opens=True)
        elif first in "]}":
            if not self.stack:
                return self.fail()
            self.stack.pop()
            self.keys.pop()
        elif first == "`":  # a code fence, whose first line has the language
            return self.consume(buffer.index("\n") + 1) if "\n" in buffer else False
        elif first not in ",:":
            return self.add_scalar()
        return self.consume(1)

    def add_scalar(self) -> bool:
        match = (_STRING if self.buffer[0] == '"' else _PLAIN).match(self.buffer)
        if match is None:
            return False
        try:
            value = json.loads(match[0])
        except ValueError:
            return self.fail()
        if self.stack and isinstance(self.stack[-1], dict) and self.keys[-1] is MISSING:
            if not isinstance(value, str):
                return self.fail()
            self.keys[-1] = value
        else:
            self.add_value(value)
        return self.consume(match.end())

    def add_value(self, value: Any, *, opens: bool = False) -> None:
        if not self.stack:
            self.root = value
        elif isinstance(self.stack[-1], list):
            self.stack[-1].append(value)  # pyright: ignore[reportUnknownMemberType] - any JSON
        else:
            self.stack[-1][self.keys[-1]] = value
            self.keys[-1] = MISSING
        if opens:
            self.stack.append(value)
            self.keys.append(MISSING)

    def consume(self, length: int) -> bool:
        self.buffer = self.buffer[length:]
        return True

    def fail(self) -> bool:
        self.is_broken = True
        return False

    def open_text(self) -> Any:
        """Return the open text as a value, MISSING if there isn't one."""
        expects_value = self.stack and (isinstance(self.stack[-1], list) or self.keys[-1] is not MISSING)
        if self.is_broken or not expects_value or not self.buffer.startswith('"'):
            return MISSING
        try:
            return _OpenText(json.loads(_CUT_ESCAPE.sub("", self.buffer) + '"'))
        except ValueError:
            return MISSING


class PartialReader:
    """Reads a reply of a type as its text arrives."""

    def __init__(self, shape: Shape, *, is_wrapped: bool) -> None:
        self._shape, self._is_wrapped = shape, is_wrapped
        self._parser = _JsonParser()

    def feed(self, text: str) -> Any:
        """Add a piece of text. Returns the value so far, MISSING if there isn't one yet."""
        parser = self._parser
        parser.feed(text)
        text_so_far = parser.open_text()
        if text_so_far is MISSING:
            return self._value()
        parent, key = parser.stack[-1], parser.keys[-1]
        if isinstance(parent, dict):
            parent[key] = text_so_far
        else:
            parent.append(text_so_far)
        try:
            return self._value()
        finally:
            del parent[key if isinstance(parent, dict) else -1]

    def _value(self) -> Any:
        root = self._parser.root
        table = as_object(root) if self._is_wrapped else None
        if table is not None and [*table] in ([], [VALUE]):
            root = table.get(VALUE, MISSING)
        try:
            return MISSING if root is MISSING else self.read_partial(self._shape, root)
        except TypeError:  # a set whose incomplete items can't be hashed
            return MISSING

    def is_open(self, value: Any) -> bool:
        """Whether a value is incomplete."""
        return isinstance(value, _OpenText) or any(value is container for container in self._parser.stack)

    def read_partial(self, shape: Shape, value: Any) -> Any:
        """Return the certain part of a value in a shape."""
        if not self.is_open(value):
            return self.read_complete(shape, value)
        if isinstance(shape, Choice):
            return self.read_choice(shape, value)
        if isinstance(shape, PydanticShape) and shape.grows is not None:
            partial = self.read_partial(shape.grows, value)
            return partial if partial is MISSING or shape.make is None else shape.make(partial)
        if isinstance(shape, Text):
            return str(value) if isinstance(value, _OpenText) else MISSING
        return self.read_container(shape, as_object(value), as_array(value))

    def read_container(self, shape: Shape, table: dict[str, Any] | None, array: list[Any] | None) -> Any:
        """Return the certain part of a record, a list or a table."""
        if isinstance(shape, Record) and table is not None:
            return self.read_record(shape, table)
        if isinstance(shape, Items) and array is not None:
            return shape.make(self.read_items(shape, array))
        if isinstance(shape, Table) and table is not None:
            partials = {key: self.read_partial(shape.value, item) for key, item in table.items()}
            return {key: item for key, item in partials.items() if item is not MISSING}
        return MISSING

    def read_complete(self, shape: Shape, value: Any) -> Any:
        """Read a complete value. MISSING if it doesn't fit."""
        try:
            return read(shape, msgspec.json.encode(value), "$")
        except (MismatchError, ValueError):
            return MISSING

    def read_items(self, shape: Items, values: list[Any]) -> list[Any]:
        """Return the items before the first one that isn't certain."""
        partials: list[Any] = []
        for value in values:
            partial = self.read_partial(shape.item, value)
            if partial is MISSING:
                break
            partials.append(partial)
        return partials

    def read_choice(self, shape: Choice, value: Any) -> Any:
        """Return the value in the only member that it can still become. MISSING if there are several."""
        candidates = [member for member in shape.members if self.can_become(member, value)]
        return self.read_partial(candidates[0], value) if len(candidates) == 1 else MISSING

    def can_become(self, shape: Shape, value: Any) -> bool:
        """Whether an incomplete value can become one of a shape."""
        if isinstance(shape, Choice):
            return any(self.can_become(member, value) for member in shape.members)
        if isinstance(shape, PydanticShape) and shape.grows is not None:
            return self.can_become(shape.grows, value)
        if isinstance(value, _OpenText):
            return isinstance(shape, Leaf) and shape.declared is not type(None)
        if isinstance(value, list):
            return isinstance(shape, Items)
        return self.can_become_record(shape, value) if isinstance(shape, Record) else isinstance(shape, Table)

    def can_become_record(self, shape: Record, value: dict[str, Any]) -> bool:
        """Whether an object can become a record, by its tag, its keys, and its complete fields."""
        tag = value.get(shape.tag[0]) if shape.tag else None
        if shape.tag and tag is not None and tag != shape.tag[1] and not self.is_open(tag):
            return False
        shapes = {field.key: field.shape for field in shape.fields}
        complete = {
            key: field_value for key, field_value in value.items() if key in shapes and not self.is_open(field_value)
        }
        return value.keys() <= shape.keys and all(
            fits(shapes[key], msgspec.json.encode(field_value)) for key, field_value in complete.items()
        )

    def read_record(self, shape: Record, table: dict[str, Any]) -> Any:
        """Make an instance. Fields that haven't come yet have their default, or None."""
        values: dict[str, Any] = {}
        for field in shape.fields:
            partial = self.read_partial(field.shape, table[field.key]) if field.key in table else MISSING
            if partial is not MISSING:
                values[field.name] = partial
        if is_typed_dict(shape.cls):
            return values
        defaults = {f.name: f.default() if f.default else None for f in shape.fields if f.name not in values}
        try:
            return _make_partial(shape.cls, {**values, **defaults})
        except Exception:  # noqa: BLE001 - the class's own code may need the missing fields
            return MISSING


def _make_partial(cls: Any, values: dict[str, Any]) -> Any:
    """Make an instance without validation."""
    if hasattr(cls, "model_construct"):
        return cls.model_construct(**values)
    if issubclass(cls, msgspec.Struct):
        return cls(**values)
    instance = object.__new__(cls)
    for field in dataclasses.fields(cls):
        default = None if field.name in values else dataclass_default(field)
        object.__setattr__(instance, field.name, default() if default else values.get(field.name))
    return instance
