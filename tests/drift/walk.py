"""The names in the types of a vendor's SDK: fields, kinds of blocks and events, words, members of botocore's shapes.

The types are pydantic models, TypedDicts, enumerations and unions of those; nothing of the SDK is called.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterator


def names_in(path: str, read: str) -> set[str]:
    """Return the names that the type at a path has.

    ``path`` is "module:Name", or "module:Name.field" for the type of a field. ``read`` says which names: "fields",
    "words" (of literals and enumerations), "tags" (the kinds of a union, told by their field ``type``, or by another
    one as in "tags:role"), "tagged" (the same, and "kind.field"), "shape" (of botocore) or "errors" (of an operation
    of botocore). Raises LookupError if there is no such type any more.
    """
    how, _, tag = read.partition(":")
    module, _, name = path.partition(":")
    try:
        if how in ("shape", "errors"):
            return _shape(module, name) if how == "shape" else _errors(module, name)
        kind = _load(module, name)
    except (ImportError, AttributeError, KeyError) as error:
        raise LookupError(f"{path} is gone: {error}") from error
    if how == "fields":
        return {field for model in _models(kind) for field in _fields(model)}
    if how == "words":
        return {str(member) for member in _members(kind) if not isinstance(member, type)}
    kinds = _tags(kind, tag or "type")
    return {*kinds, *(f"{kind}.{field}" for kind, fields in kinds.items() for field in fields if how == "tagged")}


def _load(module: str, name: str) -> Any:
    loaded: Any = import_module(module)
    for step in name.split("."):
        known = _fields(loaded) if isinstance(loaded, type) else {}
        loaded = known[step] if step in known else getattr(loaded, step)
    return loaded


def _members(kind: Any) -> Iterator[Any]:
    """Yield the classes and the words of a type, those inside of unions, lists and annotations too."""
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    elif type(kind).__name__ == "TypeAliasType":
        yield from _members(kind.__value__)
    elif hasattr(kind, "__metadata__"):  # Annotated
        yield from _members(get_args(kind)[0])
    elif get_origin(kind) is not None:
        for inner in get_args(kind):
            yield from _members(inner)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        yield from (member.value for member in kind)
    elif isinstance(kind, type):
        yield kind


def _models(kind: Any) -> Iterator[type]:
    return (model for model in _members(kind) if isinstance(model, type))


@cache
def _fields(model: type) -> dict[str, Any]:
    """Return the fields of a class as the wire spells them, with their types."""
    known: dict[str, Any] | None = getattr(model, "model_fields", None)
    if known is not None:
        return {field.serialization_alias or field.alias or name: field.annotation for name, field in known.items()}
    if not hasattr(model, "__required_keys__"):
        return {}
    return {_alias(kind) or name: kind for name, kind in get_type_hints(model, include_extras=True).items()}


def _alias(kind: Any) -> str:
    """Return the wire's spelling of a TypedDict's field where the SDK notes one, ""  elsewhere."""
    aliases = [
        text for note in getattr(kind, "__metadata__", ()) if isinstance(text := getattr(note, "alias", None), str)
    ]
    inner = get_args(kind)
    return aliases[0] if aliases else _alias(inner[0]) if inner and get_origin(kind) is not Literal else ""


def _tags(kind: Any, tag: str) -> dict[str, set[str]]:
    """Return the kinds of a union by the words of their field ``tag``, with their other fields."""
    kinds: dict[str, set[str]] = {}
    for model in _models(kind):
        fields = _fields(model)
        for member in _members(fields[tag]) if tag in fields else ():
            if isinstance(member, str):
                kinds.setdefault(member, set()).update(fields.keys() - {tag})
    return kinds


def _shape(service: str, name: str) -> set[str]:
    model = _service(service)
    if name not in model.shape_names:
        raise KeyError(name)
    shape = model.shape_for(name)
    return {*getattr(shape, "members", ()), *getattr(shape, "enum", ())}


def _errors(service: str, operation: str) -> set[str]:
    model = _service(service)
    if operation not in model.operation_names:
        raise KeyError(operation)
    return {error.name for error in model.operation_model(operation).error_shapes}


@cache
def _service(name: str) -> Any:
    return import_module("botocore.session").get_session().get_service_model(name)
