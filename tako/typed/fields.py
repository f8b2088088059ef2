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
    """List key, name, type and default of a record's fields; None for a class that isn't taken apart."""
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
    """Tell a TypedDict, that of typing_extensions as well."""
    return hasattr(cls, "__required_keys__")


def hints_of(declared: Any, cls: Any) -> dict[str, Any]:
    """Return the types of a class's fields, with what ``declared`` puts in for its type variables."""
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise ConfigurationError(f"response_type: {cls.__name__}: {error}") from None
    bindings = _type_variables(declared)
    return {name: _bind(kind, bindings) for name, kind in hints.items()} if bindings else hints


def _type_variables(declared: Any) -> dict[Any, Any]:
    """Return what the type variables of a class and its bases stand for."""
    cls = get_origin(declared) or declared
    bindings = dict(zip(getattr(cls, "__parameters__", ()), get_args(declared), strict=False))
    for base in getattr(cls, "__orig_bases__", ()):
        if get_origin(base) is not Generic:
            bindings |= _type_variables(_bind(base, bindings))
    return bindings


def _bind(kind: Any, bindings: dict[Any, Any]) -> Any:
    """Put types in for the type variables of a type."""
    if isinstance(kind, TypeVar):
        return bindings.get(kind, kind)
    variables = getattr(kind, "__parameters__", ()) if get_args(kind) else ()
    return kind[tuple(bindings.get(one, one) for one in variables)] if variables else kind


def _struct_fields(declared: Any) -> Fields:
    return [
        (
            one.encode_name,
            one.name,
            one.type,
            None if one.required else _default(one.default, one.default_factory, msgspec.NODEFAULT),
        )
        for one in msgspec.structs.fields(declared)
    ]


def _dataclass_fields(cls: Any, hints: dict[str, Any]) -> Fields:
    """List what a dataclass is made with: ``InitVar`` is among it, ``field(init=False)`` isn't."""
    attributes = dataclasses.fields(cls)
    parameters = [
        (one, hints[one.name])
        for one in cls.__dataclass_fields__.values()
        if one.init and (one in attributes or isinstance(hints[one.name], dataclasses.InitVar))
    ]
    return [
        (one.name, one.name, getattr(kind, "type", kind) if one not in attributes else kind, dataclass_default(one))
        for one, kind in parameters
    ]


def has_constructor_of(cls: Any, names: set[str]) -> bool:
    """Whether a class is made with just the fields that it has, the only way that msgspec knows."""
    return not dataclasses.is_dataclass(cls) or names == {one.name for one in dataclasses.fields(cls)}


def dataclass_default(field: dataclasses.Field[Any]) -> Callable[[], Any] | None:
    """Return what makes a field's default; None if it has none."""
    return _default(field.default, field.default_factory, dataclasses.MISSING)


def _pydantic_fields(cls: Any) -> Fields | None:
    if getattr(cls, "__pydantic_root_model__", False):
        return None
    return [
        (
            one.validation_alias if isinstance(one.validation_alias, str) else name,
            name,
            Annotated[(one.annotation, *one.metadata)] if one.metadata else one.annotation,
            None if one.is_required() else _pydantic_default(one),
        )
        for name, one in cls.model_fields.items()
    ]


def _pydantic_default(field: Any) -> Callable[[], Any]:
    """Return what makes a field's default. One that's made of other fields is None until pydantic makes it."""
    needs_other_fields: bool = getattr(field, "default_factory_takes_validated_data", False)
    return _nothing if needs_other_fields else partial(field.get_default, call_default_factory=True)


def _default(value: Any, factory: Any, missing: Any) -> Callable[[], Any] | None:
    if factory is not missing:
        return factory  # type: ignore[no-any-return]  # it makes the value
    return None if value is missing else lambda: value


def _nothing() -> None:
    """Stand for the default of a key that may be left out."""


def tag_of(cls: type) -> tuple[str, Any] | None:
    """Return the key and the value that tell a Struct from others."""
    config: Any = getattr(cls, "__struct_config__", None)
    return (config.tag_field, config.tag) if config is not None and config.tag is not None else None


def is_pydantic(cls: type) -> bool:
    """Tell a class that pydantic reads."""
    return hasattr(cls, "__pydantic_validator__") and "pydantic" in sys.modules
