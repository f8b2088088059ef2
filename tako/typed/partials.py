"""A value that grows while its JSON arrives: each step has what has come for certain."""

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
from tako.typed.shapes import Checked, Choice, Items, Leaf, Record, Shape, Table, Text

MISSING: Any = object()
"""What has not come yet, or can't be told yet."""
_SPACE = re.compile(r"\s+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PLAIN = re.compile(r"[^\s,:\[\]{}\"]+(?=[\s,\]}])")
_CUT = re.compile(r"(\\u[0-9a-fA-F]{0,3}|\\u[dD][89abAB][0-9a-fA-F]{2}(\\(u[0-9a-fA-F]{0,3})?)?|\\)$")
"""An escape that isn't whole, at the end of an open text; the first half of a pair isn't, either."""


class _Open(str):
    """A text whose end has not come."""

    __slots__ = ()


class _Json:
    """JSON that arrives in pieces. ``root`` has what is complete; ``stack`` are the containers that are open."""

    def __init__(self) -> None:
        self.root: Any = MISSING
        self.stack: list[Any] = []
        self.keys: list[Any] = []
        self.rest = ""
        self.broken = False

    def feed(self, text: str) -> None:
        self.rest += text
        while not self.broken and self.step():
            pass

    def step(self) -> bool:
        """Take one token; False if the next one isn't complete."""
        rest = self.rest
        if found := _SPACE.match(rest):
            return self.take(found.end())
        if not rest or (self.root is not MISSING and not self.stack):
            return False
        first = rest[0]
        if first in "[{":
            self.put([] if first == "[" else {}, opens=True)
        elif first in "]}":
            if not self.stack:
                return self.fail()
            self.stack.pop()
            self.keys.pop()
        elif first == "`":  # a code fence, whose first line says which language
            return self.take(rest.index("\n") + 1) if "\n" in rest else False
        elif first not in ",:":
            return self.scalar()
        return self.take(1)

    def scalar(self) -> bool:
        found = (_STRING if self.rest[0] == '"' else _PLAIN).match(self.rest)
        if found is None:
            return False
        try:
            value = json.loads(found[0])
        except ValueError:
            return self.fail()
        if self.stack and isinstance(self.stack[-1], dict) and self.keys[-1] is MISSING:
            if not isinstance(value, str):
                return self.fail()
            self.keys[-1] = value
        else:
            self.put(value)
        return self.take(found.end())

    def put(self, value: Any, *, opens: bool = False) -> None:
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

    def take(self, length: int) -> bool:
        self.rest = self.rest[length:]
        return True

    def fail(self) -> bool:
        self.broken = True
        return False

    def open_text(self) -> Any:
        """Return the text that is open as a value, MISSING if there is none."""
        inside = self.stack and (isinstance(self.stack[-1], list) or self.keys[-1] is not MISSING)
        if self.broken or not inside or not self.rest.startswith('"'):
            return MISSING
        try:
            return _Open(json.loads(_CUT.sub("", self.rest) + '"'))
        except ValueError:
            return MISSING


class Growing:
    """Reads a reply of a type as its text arrives."""

    def __init__(self, shape: Shape, *, wrapped: bool) -> None:
        self._shape, self._wrapped = shape, wrapped
        self._json = _Json()

    def feed(self, text: str) -> Any:
        """Take in a piece of text; returns the value as far as it goes, MISSING if there is none yet."""
        source = self._json
        source.feed(text)
        tail = source.open_text()
        if tail is MISSING:
            return self._value()
        holder, key = source.stack[-1], source.keys[-1]
        if isinstance(holder, dict):
            holder[key] = tail
        else:
            holder.append(tail)
        try:
            return self._value()
        finally:
            del holder[key if isinstance(holder, dict) else -1]

    def _value(self) -> Any:
        root = self._json.root
        table = as_object(root) if self._wrapped else None
        if table is not None and [*table] in ([], [VALUE]):
            root = table.get(VALUE, MISSING)
        try:
            return MISSING if root is MISSING else self.grow(self._shape, root)
        except TypeError:  # a set of what isn't whole enough to be hashed
            return MISSING

    def is_open(self, value: Any) -> bool:
        """Tell a value that still grows."""
        return isinstance(value, _Open) or any(value is one for one in self._json.stack)

    def grow(self, shape: Shape, value: Any) -> Any:
        """Return as much of a value as fits a shape and is certain."""
        if not self.is_open(value):
            return self.whole(shape, value)
        if isinstance(shape, Choice):
            return self.chosen(shape, value)
        if isinstance(shape, Checked) and shape.grows is not None:
            grown = self.grow(shape.grows, value)
            return grown if grown is MISSING or shape.make is None else shape.make(grown)
        if isinstance(shape, Text):
            return str(value) if isinstance(value, _Open) else MISSING
        return self.container(shape, as_object(value), as_array(value))

    def container(self, shape: Shape, table: dict[str, Any] | None, array: list[Any] | None) -> Any:
        """Return as much of a record, a list or a table."""
        if isinstance(shape, Record) and table is not None:
            return self.record(shape, table)
        if isinstance(shape, Items) and array is not None:
            return shape.make(self.items(shape, array))
        if isinstance(shape, Table) and table is not None:
            grown = {key: self.grow(shape.value, one) for key, one in table.items()}
            return {key: one for key, one in grown.items() if one is not MISSING}
        return MISSING

    def whole(self, shape: Shape, value: Any) -> Any:
        """Read a value that is complete; MISSING if it doesn't fit."""
        try:
            return read(shape, msgspec.json.encode(value), "$")
        except (MismatchError, ValueError):
            return MISSING

    def items(self, shape: Items, values: list[Any]) -> list[Any]:
        """Return the items up to the first that isn't certain."""
        grown: list[Any] = []
        for value in values:
            one = self.grow(shape.item, value)
            if one is MISSING:
                break
            grown.append(one)
        return grown

    def chosen(self, shape: Choice, value: Any) -> Any:
        """Return the value of the one member that it can still be; MISSING as long as there are several."""
        able = [member for member in shape.members if self.may_be(member, value)]
        return self.grow(able[0], value) if len(able) == 1 else MISSING

    def may_be(self, shape: Shape, value: Any) -> bool:
        """Tell whether a value that still grows can become one of a shape."""
        if isinstance(shape, Choice):
            return any(self.may_be(member, value) for member in shape.members)
        if isinstance(shape, Checked) and shape.grows is not None:
            return self.may_be(shape.grows, value)
        if isinstance(value, _Open):
            return isinstance(shape, Leaf) and shape.declared is not type(None)
        if isinstance(value, list):
            return isinstance(shape, Items)
        return self.may_be_record(shape, value) if isinstance(shape, Record) else isinstance(shape, Table)

    def may_be_record(self, shape: Record, value: dict[str, Any]) -> bool:
        """Tell whether an object can become a record: by its tag, its keys, and the fields that are complete."""
        tag = value.get(shape.tag[0]) if shape.tag else None
        if shape.tag and tag is not None and tag != shape.tag[1] and not self.is_open(tag):
            return False
        known = {field.key: field.shape for field in shape.fields}
        complete = {key: one for key, one in value.items() if key in known and not self.is_open(one)}
        return value.keys() <= shape.keys and all(
            fits(known[key], msgspec.json.encode(one)) for key, one in complete.items()
        )

    def record(self, shape: Record, table: dict[str, Any]) -> Any:
        """Make an instance whose fields that have not come are their default, or None."""
        values: dict[str, Any] = {}
        for field in shape.fields:
            one = self.grow(field.shape, table[field.key]) if field.key in table else MISSING
            if one is not MISSING:
                values[field.name] = one
        if is_typed_dict(shape.cls):
            return values
        rest = {f.name: f.default() if f.default else None for f in shape.fields if f.name not in values}
        try:
            return _made(shape.cls, {**values, **rest})
        except Exception:  # noqa: BLE001 - the class's own code, which counts on all of its fields
            return MISSING


def _made(cls: Any, values: dict[str, Any]) -> Any:
    """Make an instance without the checks that hold for a whole one."""
    if hasattr(cls, "model_construct"):
        return cls.model_construct(**values)
    if issubclass(cls, msgspec.Struct):
        return cls(**values)
    made = object.__new__(cls)
    for one in dataclasses.fields(cls):
        default = None if one.name in values else dataclass_default(one)
        object.__setattr__(made, one.name, default() if default else values.get(one.name))
    return made
