"""The base of tako's values: conversion to plain data, and use as fields of pydantic models (also in FastAPI)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class Value:
    """A base of msgspec Structs. pydantic calls two of its methods; it's never imported from here otherwise."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that JSON has: dicts, lists, texts. Decimals are texts."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        def validate(value: Any) -> Any:
            return value if isinstance(value, cls) else msgspec.convert(value, cls)

        serializer = core_schema.plain_serializer_function_ser_schema(msgspec.to_builtins)
        return core_schema.no_info_plain_validator_function(validate, serialization=serializer)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        return {"title": cls.__name__, "type": "object"}
