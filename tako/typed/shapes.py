"""The shape of a type: which records, lists, tables and choices it is made of, whichever library wrote it.

A shape says what msgspec and pydantic don't say alike: the fields of a record by their JSON names. What msgspec can
read whole, it reads whole (``Shape.native``). pydantic's own types go to pydantic, which is never imported here unless
the caller has done so.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import sys
import types
import typing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

import msgspec

from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FOREIGN = ("annotated_types", "pydantic")
"""Packages whose constraints in ``Annotated`` msgspec doesn't know."""
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


_OPENING = ("extra", "populate_by_name", "validate_by_name", "alias_generator")
"""Settings of pydantic's models by which they take other keys than those of their fields."""


class Shape:
    """A type; ``native``: msgspec reads it, and writes its schema."""

    def __init__(self, declared: Any) -> None:
        self.declared = declared
        self.native = False

    @property
    def inner(self) -> list[Shape]:
        """The shapes that this one is made of."""
        return []


class Leaf(Shape):
    """What isn't taken apart: numbers, dates, enums, tuples."""


class Text(Leaf):
    """A text, of which a part is a text as well."""


class Checked(Leaf):
    """What pydantic reads."""


class Items(Shape):
    """A list or set. ``meta``: what msgspec knows of its length."""

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
    """A dict with any keys that are text."""

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
    """A field of a record: ``key`` in JSON, ``name`` in Python. ``default()`` makes the value if it's left out."""

    def __init__(
        self, key: str, name: str, shape: Shape, default: Callable[[], Any] | None, description: str = ""
    ) -> None:
        self.key, self.name, self.shape, self.default, self.description = key, name, shape, default, description


class Record(Shape):
    """A class with fields. ``checked``: pydantic reads it; ``tag``: the key and value that tell a struct.

    ``open``: the class itself says what becomes of keys that it doesn't know.
    """

    def __init__(self, declared: Any, cls: type, *, checked: bool = False, tag: tuple[str, Any] | None = None) -> None:
        super().__init__(declared)
        self.cls, self.checked, self.tag = cls, checked, tag
        config: dict[str, Any] = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}
        self.open = checked and not config.keys().isdisjoint(_OPENING)
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
    """Return the shape of a type. Raises ConfigurationError where nothing here can read it."""
    root = _Builder().build(declared)
    _check(root, "response_type")
    return root


def arguments_of(name: str, parameters: Sequence[tuple[str, Any, Callable[[], Any] | None, str]]) -> Record:
    """Return the shape of a function's arguments, by their names, types, defaults and descriptions.

    Raises ConfigurationError where nothing here can read a type.
    """
    builder = _Builder()
    record = Record(name, dict)
    record.fields = [Field(key, key, builder.build(kind), default, text) for key, kind, default, text in parameters]
    _check(record, name)
    return record


def _check(root: Shape, owner: str) -> None:
    """Mark what msgspec reads; refuse what nothing reads."""
    for shape in _walk(root):
        shape.native = _is_native(shape)
    for shape in _walk(root):
        if isinstance(shape, Leaf) and not shape.native and not isinstance(shape, Checked):
            raise ConfigurationError(f"{owner}: {name_of(shape.declared)} isn't a type that JSON can be read into")


def name_of(declared: Any) -> str:
    """Return what a type is called, without its modules."""
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


def _walk(root: Shape) -> Iterator[Shape]:
    seen: dict[int, Shape] = {}
    todo = [root]
    while todo:
        shape = todo.pop()
        if id(shape) not in seen:
            seen[id(shape)] = shape
            todo += shape.inner
            yield shape


def _is_native(shape: Shape) -> bool:
    if any(isinstance(one, Checked) or (isinstance(one, Record) and one.checked) for one in _walk(shape)):
        return False
    try:
        msgspec.json.schema(shape.declared)
    except (TypeError, NameError):  # msgspec's word for a type that it can't read, and a name that isn't there
        return False
    return True


class _Builder:
    """Builds shapes; a record that refers to itself is built once."""

    def __init__(self) -> None:
        self.records: dict[Any, Record] = {}

    def build(self, declared: Any, meta: tuple[Any, ...] = ()) -> Shape:
        while hasattr(declared, "__value__"):  # type X = …
            declared = declared.__value__
        origin, args = get_origin(declared), get_args(declared)
        if origin is Annotated:
            return self.annotated(declared, args[0], (*declared.__metadata__, *meta))
        if origin in (Required, NotRequired):
            return self.build(args[0], meta)
        whole = Annotated[(declared, *meta)] if meta else declared
        if origin in (Union, types.UnionType):
            return self.choice(whole, args)
        if declared in (str, Any, object):
            return Text(Any if declared is object else whole)
        return self.container(whole, origin or declared, args, meta) or self.record(whole, declared) or Leaf(whole)

    def container(self, whole: Any, kind: Any, args: tuple[Any, ...], meta: tuple[Any, ...]) -> Shape | None:
        if kind is tuple and len(args) == 2 and args[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
            return Items(whole, tuple, self.build(args[0]), meta)
        if isinstance(kind, type) and kind in _SEQUENCES:
            return Items(whole, _SEQUENCES[kind], self.build(args[0] if args else Any), meta)
        if kind in _MAPPINGS and (not args or args[0] is str):
            return Table(whole, self.build(args[1] if args else Any), meta)
        return None

    def annotated(self, declared: Any, inner: Any, meta: tuple[Any, ...]) -> Shape:
        if any(type(one).__module__.partition(".")[0] in FOREIGN for one in meta):
            _pydantic(declared)
            return Checked(declared)
        return self.build(inner, meta)

    def choice(self, declared: Any, args: tuple[Any, ...]) -> Shape:
        members = [self.build(arg) for arg in args]
        named = [shape for shape in members if shape.declared is not type(None)]
        if all(isinstance(shape, Record) and shape.checked for shape in named):
            return _CheckedChoice(declared, members)  # pydantic knows best which of its own is meant
        return Choice(declared, members)

    def record(self, whole: Any, declared: Any) -> Shape | None:
        known = self.records.get(declared) if isinstance(declared, typing.Hashable) else None
        if known is not None:
            return known
        cls = get_origin(declared) or declared
        if not isinstance(cls, type):
            return None
        fields, checked = _fields_of(declared, cls), _is_pydantic(cls)
        if fields is None:
            return Checked(whole) if checked else None
        record = self.records[declared] = Record(whole, cls, checked=checked, tag=_tag(cls))
        record.fields = [Field(key, name, self.build(kind), default) for key, name, kind, default in fields]
        return record


class _CheckedChoice(Choice, Checked):
    """A union of pydantic's models."""


_Fields = list[tuple[str, str, Any, "Callable[[], Any] | None"]]


def _fields_of(declared: Any, cls: Any) -> _Fields | None:
    """List key, name, type and default of a record's fields; None for a class that isn't taken apart."""
    if _is_pydantic(cls) and not hasattr(cls, "__dataclass_fields__"):
        return _pydantic_fields(cls)
    if issubclass(cls, msgspec.Struct):
        return None if cls.__struct_config__.array_like else _struct_fields(declared)
    if dataclasses.is_dataclass(cls):
        hints = _hints(cls)
        return [
            (one.name, one.name, hints[one.name], _dataclass_default(one))
            for one in dataclasses.fields(cls)
            if one.init
        ]
    if is_typed_dict(cls):
        required: frozenset[str] = cls.__required_keys__
        return [(key, key, kind, None if key in required else _nothing) for key, kind in _hints(cls).items()]
    return None


def is_typed_dict(cls: Any) -> bool:
    """Tell a TypedDict, that of typing_extensions as well."""
    return hasattr(cls, "__required_keys__")


def _hints(cls: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise ConfigurationError(f"response_type: {cls.__name__}: {error}") from None


def _struct_fields(declared: Any) -> _Fields:
    return [
        (
            one.encode_name,
            one.name,
            one.type,
            None if one.required else _default(one.default, one.default_factory, msgspec.NODEFAULT),
        )
        for one in msgspec.structs.fields(declared)
    ]


def _dataclass_default(field: dataclasses.Field[Any]) -> Callable[[], Any] | None:
    return _default(field.default, field.default_factory, dataclasses.MISSING)


def _pydantic_fields(cls: Any) -> _Fields | None:
    if getattr(cls, "__pydantic_root_model__", False):
        return None
    return [
        (
            one.validation_alias if isinstance(one.validation_alias, str) else name,
            name,
            Annotated[(one.annotation, *one.metadata)] if one.metadata else one.annotation,
            None if one.is_required() else partial(one.get_default, call_default_factory=True),
        )
        for name, one in cls.model_fields.items()
    ]


def _default(value: Any, factory: Any, missing: Any) -> Callable[[], Any] | None:
    if factory is not missing:
        return factory  # type: ignore[no-any-return]  # it makes the value
    return None if value is missing else lambda: value


def _nothing() -> None:
    """Stand for the default of a key that may be left out."""


def _tag(cls: type) -> tuple[str, Any] | None:
    config: Any = getattr(cls, "__struct_config__", None)
    return (config.tag_field, config.tag) if config is not None and config.tag is not None else None


def _is_pydantic(cls: type) -> bool:
    return hasattr(cls, "__pydantic_validator__") and "pydantic" in sys.modules


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
    except Exception as error:  # noqa: BLE001 - what pydantic raises of a type that it can't read
        text = str(error).partition("\n")[0]
        raise ConfigurationError(f"response_type: pydantic can't read {name_of(declared)}: {text}") from None
