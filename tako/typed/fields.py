"""The fields of records: of pydantic's models, msgspec's Structs, dataclasses and TypedDicts."""

from __future__ import annotations

import dataclasses
import sys
import typing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, get_args, get_origin

import msgspec

from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

Fields = list[tuple[str, str, Any, "Callable[[], Any] | None"]]


def fields_of(declared: Any, cls: Any) -> Fields | None:
    """List key, name, type and default of a record's fields. None for a class that isn't taken apart."""
    if is_pydantic(cls) and not hasattr(cls, "__dataclass_fields__"):
        return _pydantic_fields(cls)
    if issubclass(cls, msgspec.Struct):
        return None if cls.__struct_config__.array_like else _struct_fields(declared)
    if dataclasses.is_dataclass(cls):
        return _dataclass_fields(cls, hints_of(declared, cls))
    if is_typed_dict(cls):
        required: frozenset[str] = cls.__required_keys__
        return [
            (key, key, kind, None if key in required else _nothing) for key, kind in hints_of(declared, cls).items()
        ]
    return None


def is_typed_dict(cls: Any) -> bool:
    """Whether a class is a TypedDict, also of typing_extensions."""
    return hasattr(cls, "__required_keys__")


def hints_of(declared: Any, cls: Any) -> dict[str, Any]:
    """Return the types of a class's fields, with the type arguments of ``declared``."""
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise ConfigurationError(f"response_type: {cls.__name__}: {error}") from None
    bindings = _type_variables(declared)
    return {name: _bind(kind, bindings) for name, kind in hints.items()} if bindings else hints


def _type_variables(declared: Any) -> dict[Any, Any]:
    """Return the type arguments for the type variables of a class and its bases."""
    cls = get_origin(declared) or declared
    bindings = dict(zip(getattr(cls, "__parameters__", ()), get_args(declared), strict=False))
    for base in getattr(cls, "__orig_bases__", ()):
        if get_origin(base) is not Generic:
            bindings |= _type_variables(_bind(base, bindings))
    return bindings


def _bind(kind: Any, bindings: dict[Any, Any]) -> Any:
    """Replace the type variables in a type."""
    if isinstance(kind, TypeVar):
        return bindings.get(kind, kind)
    variables = getattr(kind, "__parameters__", ()) if get_args(kind) else ()
    return kind[tuple(bindings.get(variable, variable) for variable in variables)] if variables else kind


def _struct_fields(declared: Any) -> Fields:
    return [
        (
            field.encode_name,
            field.name,
            field.type,
            None if field.required else _default(field.default, field.default_factory, msgspec.NODEFAULT),
        )
        for field in msgspec.structs.fields(declared)
    ]


def _dataclass_fields(cls: Any, hints: dict[str, Any]) -> Fields:
    """List the parameters of a dataclass's constructor, with ``InitVar``, without ``field(init=False)``."""
    attributes = dataclasses.fields(cls)
    parameters = [
        (field, hints[field.name])
        for field in cls.__dataclass_fields__.values()
        if field.init and (field in attributes or isinstance(hints[field.name], dataclasses.InitVar))
    ]
    return [
        (
            field.name,
            field.name,
            getattr(kind, "type", kind) if field not in attributes else kind,
            dataclass_default(field),
        )
        for field, kind in parameters
    ]


def has_constructor_of(cls: Any, names: set[str]) -> bool:
    """Whether the constructor of a class takes exactly its fields, as msgspec assumes."""
    return not dataclasses.is_dataclass(cls) or names == {field.name for field in dataclasses.fields(cls)}


def dataclass_default(field: dataclasses.Field[Any]) -> Callable[[], Any] | None:
    """Return the function that makes a field's default, None if it doesn't have one."""
    return _default(field.default, field.default_factory, dataclasses.MISSING)


def _pydantic_fields(cls: Any) -> Fields | None:
    if getattr(cls, "__pydantic_root_model__", False):
        return None
    return [
        (
            field.validation_alias if isinstance(field.validation_alias, str) else name,
            name,
            Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation,
            None if field.is_required() else _pydantic_default(field),
        )
        for name, field in cls.model_fields.items()
    ]


def _pydantic_default(field: Any) -> Callable[[], Any]:
    """Return the function that makes a field's default. If it depends on other fields, it's None in partial values."""
    needs_other_fields: bool = getattr(field, "default_factory_takes_validated_data", False)
    return _nothing if needs_other_fields else partial(field.get_default, call_default_factory=True)


def _default(value: Any, factory: Any, missing: Any) -> Callable[[], Any] | None:
    if factory is not missing:
        return factory  # type: ignore[no-any-return]  # it makes the value
    return None if value is missing else lambda: value


def _nothing() -> None:
    """Make the default of a key that may be left out."""


def tag_of(cls: type) -> tuple[str, Any] | None:
    """Return the key and the value of a Struct's tag."""
    config: Any = getattr(cls, "__struct_config__", None)
    return (config.tag_field, config.tag) if config is not None and config.tag is not None else None


def is_pydantic(cls: type) -> bool:
    """Whether pydantic reads a class."""
    return hasattr(cls, "__pydantic_validator__") and "pydantic" in sys.modules
