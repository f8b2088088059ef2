"""Functions as people write them: how each is told to a model, and called."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path  # noqa: TC003 - annotations are read
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pydantic
import pytest

from tako import Tool
from tako.parts import ToolCallPart
from tako.tools import function_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

T = TypeVar("T")


class Unit(enum.Enum):
    C = "celsius"


class Person(pydantic.BaseModel):
    name: str


@dataclass
class Place:
    name: str


class Service:
    """Look things up."""

    def method(self, a: int) -> int:
        """Do it.

        :param a: The a.
        """
        return a

    @classmethod
    async def build(cls, a: int) -> int:
        return a

    def __call__(self, a: int) -> int:
        return a


def positional(a: int, b: int = 2, /, *, c: int = 3) -> list[int]:
    return [a, b, c]


def several(first: str, *numbers: int, last: bool = False) -> list[Any]:
    return [first, *numbers, last]


def generated(n: int) -> Iterator[int]:
    yield from range(n)


async def generated_later(n: int) -> AsyncIterator[int]:
    for i in range(n):
        yield i


def mapped(n: int) -> Any:
    return map(str, range(n))


def by_field(a: int = pydantic.Field(3, ge=1, description="How many.")) -> int:
    return a


def needed(a: int = pydantic.Field(description="How many.")) -> int:
    return a


def either(x: int | str | Person) -> str:
    return type(x).__name__


def bare(a, b=2):  # type: ignore[no-untyped-def]
    return [a, b]


def forward(place: Place) -> str:
    return place.name


def same(a: T) -> T:
    return a


def with_context(database: dict[str, int], name: str) -> int:
    return database[name]


def file(path: Path) -> Path:
    return path / "x"


def pick(unit: Unit = Unit.C, kind: Literal["a", "b"] = "a") -> list[str]:
    return [unit.value, kind]


@lru_cache
def cached(a: int) -> int:
    return a


def called(function: Callable[..., Any], args: dict[str, Any]) -> Any:
    tool = Tool.of(function, name="odd")
    arguments = function_of(tool)
    assert arguments is not None
    result = asyncio.run(arguments.call(ToolCallPart("1", "odd", args)))
    return f"error: {result.result}" if result.is_error else result.result


@pytest.mark.parametrize(
    ("function", "args", "result"),
    [
        (positional, {"a": 1}, [1, 2, 3]),
        (positional, {"a": 1, "b": 5, "c": 6}, [1, 5, 6]),
        (several, {"first": "x"}, ["x", False]),
        (several, {"first": "x", "numbers": [1, 2], "last": True}, ["x", 1, 2, True]),
        (generated, {"n": 3}, [0, 1, 2]),
        (generated_later, {"n": 3}, [0, 1, 2]),
        (mapped, {"n": 2}, ["0", "1"]),
        (by_field, {}, 3),
        (by_field, {"a": 5}, 5),
        (by_field, {"a": 0}, "error: the arguments don't fit: $.a: Input should be greater than or equal to 1"),
        (needed, {"a": 2}, 2),
        (needed, {}, "error: the arguments don't fit: $: Object missing required field `a`"),
        (either, {"x": 1}, "int"),
        (either, {"x": "s"}, "str"),
        (either, {"x": {"name": "Ada"}}, "Person"),
        (bare, {"a": [1]}, [[1], 2]),
        (forward, {"place": {"name": "Paris"}}, "Paris"),
        (same, {"a": 1}, 1),
        (partial(with_context, {"Ada": 36}), {"name": "Ada"}, 36),
        (partial(several, "x", last=True), {"numbers": [1]}, ["x", 1, True]),
        (file, {"path": "/a"}, "/a/x"),
        (pick, {}, ["celsius", "a"]),
        (pick, {"unit": "celsius", "kind": "b"}, ["celsius", "b"]),
        (cached, {"a": 1}, 1),
        (Service().method, {"a": 1}, 1),
        (Service.build, {"a": 1}, 1),
        (Service(), {"a": 1}, 1),
        (len, {"obj": [1, 2]}, 2),
        (Person, {"name": "Ada"}, {"name": "Ada"}),
        (Place, {"name": "Paris"}, {"name": "Paris"}),
    ],
)
def test_odd_functions_are_called_with_what_the_model_gives(
    function: Callable[..., Any], args: dict[str, Any], result: Any
) -> None:
    assert called(function, args) == result


@pytest.mark.parametrize(
    ("function", "description"),
    [
        (Service().method, "Do it."),
        (Service(), "Look things up."),
        (partial(Service().method), "Do it."),
        (Person, ""),
        (Place, ""),
        (bare, ""),
    ],
)
def test_a_description_is_the_functions_own(function: Callable[..., Any], description: str) -> None:
    assert Tool.of(function, name="odd").description == description


def test_the_schema_says_what_may_be_left_out() -> None:
    schemas = {function: Tool.of(function).input_schema for function in (positional, several, by_field, needed)}
    assert [schema.get("required") for schema in schemas.values()] == [["a"], ["first"], [], ["a"]]
    assert schemas[several]["properties"]["numbers"]["items"] == {"type": "integer"}
    assert schemas[by_field]["properties"]["a"]["description"] == "How many."
    assert schemas[by_field]["properties"]["a"]["minimum"] == 1


def test_numpy_results_are_json() -> None:
    class Array:
        def tolist(self) -> list[int]:
            return [1, 2]

    def measure() -> Any:
        return {"values": Array()}

    assert called(measure, {}) == {"values": [1, 2]}
