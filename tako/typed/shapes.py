"""The shape of a type: the records, lists, tables and choices in it, whichever library they come from.

A shape has what msgspec and pydantic express differently: a record's fields by their JSON names. What msgspec
can read alone, it reads alone (``Shape.is_native``). pydantic reads its own types, and is only used if the caller has
imported it.
"""

from __future__ import annotations

import collections.abc
import sys
import types
import typing
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, Required, TypeVar, Union, get_args, get_origin

import msgspec

from tako.errors import ConfigurationError
from tako.typed.fields import fields_of, has_constructor_of, is_pydantic, tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CONSTRAINT_PACKAGES = ("annotated_types", "pydantic")
"""Packages with constraints for ``Annotated`` that msgspec doesn't know."""
_SEQUENCES: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    collections.abc.Set: set,
}
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


NOT_DATA: tuple[Any, ...] = (complex, collections.abc.Callable)  # pyright: ignore[reportUnknownMemberType] - of anything
"""Types that pydantic reads from Python values, but that aren't data that a model could reply with."""
_OPEN_SETTINGS = ("extra", "populate_by_name", "validate_by_name", "alias_generator")
"""Settings of pydantic's models that allow other keys than those of the fields."""


class Shape:
    """A type. ``is_native``: msgspec reads it, and writes its schema."""

    def __init__(self, declared: Any) -> None:
        self.declared = declared
        self.is_native = False

    @property
    def inner(self) -> list[Shape]:
        """The shapes inside this one."""
        return []


class Leaf(Shape):
    """A type that isn't taken apart: numbers, dates, enums, tuples."""


class Text(Leaf):
    """A text. In a stream, its beginning is a text as well."""


class PydanticShape(Leaf):
    """A type that pydantic reads. ``grows`` is its shape in an unfinished stream, ``make`` makes the value of it."""

    def __init__(self, declared: Any, grows: Shape | None = None, make: Callable[[Any], Any] | None = None) -> None:
        super().__init__(declared)
        self.grows = grows
        self.make = make

    @property
    def inner(self) -> list[Shape]:
        """The shape in an unfinished stream."""
        return [] if self.grows is None else [self.grows]


class Items(Shape):
    """A list or set. ``meta`` has its constraints for msgspec, such as a length."""

    def __init__(self, declared: Any, make: Callable[[list[Any]], Any], item: Shape, meta: tuple[Any, ...]) -> None:
        super().__init__(declared)
        self.make, self.item, self.meta = make, item, meta

    @property
    def frame(self) -> Any:
        """The list without its items' type."""
        return Annotated[(list[msgspec.Raw], *self.meta)] if self.meta else list[msgspec.Raw]

    @property
    def inner(self) -> list[Shape]:
        """The shape of the items."""
        return [self.item]


class Table(Shape):
    """A dict with text keys."""

    def __init__(self, declared: Any, value: Shape, meta: tuple[Any, ...]) -> None:
        super().__init__(declared)
        self.value, self.meta = value, meta

    @property
    def inner(self) -> list[Shape]:
        """The shape of the values."""
        return [self.value]


class Choice(Shape):
    """A union."""

    def __init__(self, declared: Any, members: list[Shape]) -> None:
        super().__init__(declared)
        self.members = members

    @property
    def inner(self) -> list[Shape]:
        """The members."""
        return self.members


class Field:
    """A field of a record: ``key`` in JSON, ``name`` in Python. ``default()`` makes the value of a missing field."""

    def __init__(
        self, key: str, name: str, shape: Shape, default: Callable[[], Any] | None, description: str = ""
    ) -> None:
        self.key, self.name, self.shape, self.default, self.description = key, name, shape, default, description


class Record(Shape):
    """A class with fields. ``is_checked``: pydantic reads it. ``tag``: the key and value that identify a struct.

    ``is_open``: the class itself handles keys that aren't fields.
    """

    def __init__(
        self, declared: Any, cls: type, *, is_checked: bool = False, tag: tuple[str, Any] | None = None
    ) -> None:
        super().__init__(declared)
        self.cls, self.is_checked, self.tag = cls, is_checked, tag
        config: dict[str, Any] = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}
        self.is_open = is_checked and not config.keys().isdisjoint(_OPEN_SETTINGS)
        self.fields: list[Field] = []

    @property
    def inner(self) -> list[Shape]:
        """The shapes of the fields."""
        return [field.shape for field in self.fields]

    @property
    def keys(self) -> set[str]:
        """The keys that it has in JSON."""
        return {field.key for field in self.fields} | ({self.tag[0]} if self.tag else set())


def shape_of(declared: Any) -> Shape:
    """Return the shape of a type. Raises ConfigurationError if JSON can't be read into it."""
    root = _Builder().build(declared)
    _check(root, "response_type")
    return root


def arguments_of(name: str, parameters: Sequence[tuple[str, Any, Callable[[], Any] | None, str]]) -> Record:
    """Return the shape of a function's arguments, by their names, types, defaults and descriptions.

    Raises ConfigurationError if JSON can't be read into a type.
    """
    builder = _Builder()
    record = Record(name, dict)
    record.fields = [Field(key, key, builder.build(kind), default, text) for key, kind, default, text in parameters]
    _check(record, name)
    return record


def _check(root: Shape, owner: str) -> None:
    """Mark the shapes that msgspec reads. Raises ConfigurationError for those that can't be read."""
    for shape in _walk(root):
        shape.is_native = _is_native(shape)
    for shape in _walk(root, into_pydantic=False):
        if isinstance(shape, Leaf) and not shape.is_native and not isinstance(shape, PydanticShape):
            hint = "" if "pydantic" in sys.modules else "; pydantic reads more types, if you import it"
            text = f"{owner}: {name_of(shape.declared)} isn't a type that JSON can be read into{hint}"
            raise ConfigurationError(text)


def name_of(declared: Any) -> str:
    """Return a type's name, without its modules."""
    origin, args = get_origin(declared), get_args(declared)
    if origin is Annotated:
        return name_of(args[0])
    if origin in (Union, types.UnionType):
        return " | ".join(map(name_of, args))
    if args and origin is not Literal:
        return f"{name_of(origin)}[{', '.join(map(name_of, args))}]"
    if declared is type(None):
        return "None"
    return getattr(declared, "__name__", "") or str(declared).replace("typing.", "")


def _walk(root: Shape, *, into_pydantic: bool = True) -> Iterator[Shape]:
    """Yield a shape and those inside, each once. Those inside of pydantic's types only with ``into_pydantic``."""
    visited: dict[int, Shape] = {}
    pending = [root]
    while pending:
        shape = pending.pop()
        if id(shape) not in visited:
            visited[id(shape)] = shape
            pending += shape.inner if into_pydantic or not _is_pydantic_shape(shape) else []
            yield shape


def _is_native(shape: Shape) -> bool:
    for inner_shape in _walk(shape):
        if _is_pydantic_shape(inner_shape) or (
            isinstance(inner_shape, Record)
            and not has_constructor_of(inner_shape.cls, {f.name for f in inner_shape.fields})
        ):
            return False
    return _is_known_to_msgspec(shape.declared)


def _is_pydantic_shape(shape: Shape) -> bool:
    return isinstance(shape, PydanticShape) or (isinstance(shape, Record) and shape.is_checked)


def _is_known_to_msgspec(declared: Any) -> bool:
    """Whether msgspec reads a type."""
    try:
        msgspec.json.schema(declared)
    except (TypeError, NameError):  # a type that it can't read, or an undefined name
        return False
    return True


class _Builder:
    """Builds shapes; a record that refers to itself is built once."""

    def __init__(self) -> None:
        self.records: dict[Any, Record | PydanticShape] = {}

    def build(self, declared: Any, meta: tuple[Any, ...] = ()) -> Shape:
        while (alias := getattr(declared, "__value__", None) or getattr(declared, "__supertype__", None)) is not None:
            declared = alias  # type X = …, and NewType
        origin, args = get_origin(declared), get_args(declared)
        if origin is Annotated:
            return self.annotated(declared, args[0], (*declared.__metadata__, *meta))
        if origin in (Required, NotRequired):
            return self.build(args[0], meta)
        if isinstance(declared, TypeVar):
            return self.build(declared.__bound__ or Any, meta)
        full_type = Annotated[(declared, *meta)] if meta else declared
        if origin in (Union, types.UnionType):
            return self.choice(full_type, args)
        if declared in (str, Any, object):
            return Text(Any if declared is object else full_type)
        return (
            self.container(full_type, origin or declared, args, meta)
            or self.record(full_type, declared)
            or _leaf(full_type)
        )

    def container(self, full_type: Any, kind: Any, args: tuple[Any, ...], meta: tuple[Any, ...]) -> Shape | None:
        if kind is tuple and len(args) == 2 and args[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
            return Items(full_type, tuple, self.build(args[0]), meta)
        if isinstance(kind, type) and kind in _SEQUENCES:
            return Items(full_type, _SEQUENCES[kind], self.build(args[0] if args else Any), meta)
        if kind in _MAPPINGS and (not args or args[0] is str):
            return Table(full_type, self.build(args[1] if args else Any), meta)
        return None

    def annotated(self, declared: Any, inner: Any, meta: tuple[Any, ...]) -> Shape:
        if any(type(constraint).__module__.partition(".")[0] in CONSTRAINT_PACKAGES for constraint in meta):
            _pydantic(declared)
            return PydanticShape(declared, self.build(inner))
        return self.build(inner, meta)

    def choice(self, declared: Any, args: tuple[Any, ...]) -> Shape:
        members = [self.build(arg) for arg in args]
        named = [shape for shape in members if shape.declared is not type(None)]
        if all(isinstance(shape, Record) and shape.is_checked for shape in named):
            return _PydanticChoice(declared, members)  # pydantic chooses among its own models
        return Choice(declared, members)

    def root(self, full_type: Any, cls: Any) -> PydanticShape:
        """Return the shape of a model with one value and no fields (``RootModel``)."""
        root = self.records[cls] = PydanticShape(full_type, make=lambda value: cls.model_construct(root=value))
        root.grows = self.build(cls.model_fields["root"].annotation)
        return root

    def record(self, full_type: Any, declared: Any) -> Shape | None:
        existing = self.records.get(declared) if isinstance(declared, typing.Hashable) else None
        if existing is not None:
            return existing
        cls = get_origin(declared) or declared
        if not isinstance(cls, type):
            return None
        fields, checked = fields_of(declared, cls), is_pydantic(cls)
        if fields is None:
            return self.root(full_type, cls) if checked else None
        record = self.records[declared] = Record(full_type, cls, is_checked=checked, tag=tag_of(cls))
        record.fields = [Field(key, name, self.build(kind), default) for key, name, kind, default in fields]
        return record


def _kind(declared: Any) -> Any:
    return get_origin(declared) or declared


class _PydanticChoice(Choice, PydanticShape):
    """A union of pydantic's models."""

    def __init__(self, declared: Any, members: list[Shape]) -> None:
        PydanticShape.__init__(self, declared)
        self.members = members


def _leaf(declared: Any) -> Leaf:
    """Return the shape of a type that isn't taken apart. If msgspec can't read it, pydantic may."""
    is_type = isinstance(declared, type) or get_origin(declared) is not None
    if is_type and _kind(declared) not in NOT_DATA and "pydantic" in sys.modules and not _is_known_to_msgspec(declared):
        with suppress(ConfigurationError):
            adapter(declared)
            return PydanticShape(declared)
    return Leaf(declared)


def _pydantic(declared: Any) -> Any:
    """Return pydantic if the caller has imported it. Raises ConfigurationError."""
    if "pydantic" not in sys.modules:
        raise ConfigurationError(
            f"response_type: {name_of(declared)} has constraints of annotated_types; import pydantic, or use Meta"
        )
    return sys.modules["pydantic"]


def adapter(declared: Any) -> Any:
    """Return pydantic's reader of a type. Raises ConfigurationError."""
    try:
        return _pydantic(declared).TypeAdapter(declared)
    except Exception as error:  # noqa: BLE001 - pydantic raises various errors for types that it can't read
        text = str(error).partition("\n")[0]
        raise ConfigurationError(f"response_type: pydantic can't read {name_of(declared)}: {text}") from None
