"""Tools made of functions: what a model is told of them, and how they're called."""

from __future__ import annotations

import enum
import functools
import json
import pickle
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import anyio
import msgspec
import pydantic
import pytest

from tako import ContentPart, Tool
from tako.errors import ConfigurationError, RateLimitError
from tako.parts import ToolCallPart, ToolResultPart
from tako.tools import function_of


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


@dataclass
class Place:
    city: str
    country: str = "FR"


class Filter(pydantic.BaseModel):
    limit: Annotated[int, pydantic.Field(gt=0)]


def called(function: Any, args: Any) -> ToolResultPart:
    validated = function_of(Tool.of(function))
    assert validated is not None

    async def call() -> ToolResultPart:
        return await validated.call(ToolCallPart("1", "f", args))

    return anyio.run(call)


def google(city: str, unit: Unit = Unit.CELSIUS) -> str:
    """Return the weather.

    It's made up.

    Args:
        city: Where to look,
            by name.
        unit (Unit): Which degrees.

    Returns:
        A sentence.
    """
    return f"{city} {unit.name}"


def numpy(city: str, unit: Unit = Unit.CELSIUS) -> str:
    """Return the weather.

    It's made up.

    Parameters
    ----------
    city : str
        Where to look,
        by name.
    unit : Unit
        Which degrees.
    """
    return f"{city} {unit.name}"


def sphinx(city: str, unit: Unit = Unit.CELSIUS) -> str:
    """Return the weather.

    It's made up.

    :param city: Where to look,
        by name.
    :param unit: Which degrees.
    :returns: A sentence.
    """
    return f"{city} {unit.name}"


@pytest.mark.parametrize("function", [google, numpy, sphinx])
def test_a_docstring_and_annotations_say_what_the_model_is_told(function: Any) -> None:
    tool = Tool.of(function)
    assert tool.name == function.__name__
    assert tool.description == "Return the weather.\n\nIt's made up."
    assert tool.input_schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where to look, by name."},
            "unit": {"anyOf": [{"$ref": "#/$defs/Unit"}], "description": "Which degrees.", "default": "c"},
        },
        "required": ["city"],
        "additionalProperties": False,
        "$defs": {"Unit": {"title": "Unit", "enum": ["c", "f"]}},
    }


def test_a_tool_is_a_plain_value_beside_its_function() -> None:
    tool = Tool.of(google)
    plain = Tool("google", tool.description, tool.input_schema)
    assert tool == plain == pickle.loads(pickle.dumps(tool))
    assert msgspec.json.decode(msgspec.json.encode(tool), type=Tool) == tool
    assert function_of(plain) is None
    named = Tool.of(google, name="look", description="Look.", strict=True, cache=True)
    assert (named.name, named.description, named.strict, named.cache) == ("look", "Look.", True, True)


def test_arguments_arrive_as_the_function_declares_them() -> None:
    def book(
        place: Place,
        filters: list[Filter],
        unit: Unit,
        when: Literal["now", "later"] = "now",
        *,
        share: Annotated[float, msgspec.Meta(le=1)] = 0.5,
        note: str | None = None,
    ) -> str:
        return repr((place, filters, unit, when, share, note))

    args = {"place": {"city": "Paris"}, "filters": [{"limit": 3}], "unit": "f", "share": 1}
    result = called(book, args)
    assert result == ToolResultPart("1", repr((Place("Paris"), [Filter(limit=3)], Unit.FAHRENHEIT, "now", 1.0, None)))
    nulls = called(book, {**args, "when": None, "share": None, "note": None})
    assert "'now', 0.5, None" in nulls.result


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({}, "$: Object missing required field `city`"),
        ({"city": 5}, "$.city: Expected `str`, got `int`"),
        ({"city": "x", "unit": "k"}, "$.unit: Invalid enum value 'k'"),
        ({"city": "x", "town": "y"}, "$: there is no field 'town' (known: city, unit)"),
        ('{"city": "Pa', "they aren't a JSON object"),
        ([1], "they aren't a JSON object"),
    ],
)
def test_arguments_that_dont_fit_are_an_error_for_the_model_and_no_call(args: Any, text: str) -> None:
    def boom(city: str, unit: Unit = Unit.CELSIUS) -> str:
        raise AssertionError

    result = called(boom, args)
    assert result.is_error
    assert text in result.result
    assert "\n" not in result.result


def test_what_a_function_raises_is_an_error_for_the_model() -> None:
    def fail() -> None:
        raise KeyError("no\nsuch thing")

    def limited() -> None:
        raise RateLimitError("slow down", provider="acme")

    assert called(fail, {}) == ToolResultPart("1", "KeyError: 'no\\nsuch thing'", is_error=True)
    assert called(limited, {}) == ToolResultPart("1", "RateLimitError: acme: slow down; try again later", is_error=True)
    assert called(object, {}).is_error


def test_a_function_that_panics_is_an_error_for_the_model_but_one_that_exits_ends_the_run() -> None:
    class PanicException(BaseException):
        """What pyo3 raises is no Exception."""

    def panic() -> None:
        raise PanicException("index out of bounds")

    async def leave() -> None:
        raise GeneratorExit

    def end() -> None:
        sys.exit(3)

    assert called(panic, {}) == ToolResultPart("1", "PanicException: index out of bounds", is_error=True)
    assert called(leave, {}) == ToolResultPart("1", "GeneratorExit", is_error=True)
    with pytest.raises(SystemExit):
        called(end, {})


def same(value: Any) -> Any:
    return value


def test_results_are_json_texts_or_parts() -> None:
    image = ContentPart.image("image/png", "iVBORw0KGgo=")
    for returned, result in [
        ("text", "text"),
        (None, None),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        (Place("Paris"), {"city": "Paris", "country": "FR"}),
        (Filter(limit=1), {"limit": 1}),
        ([Filter(limit=1)], [{"limit": 1}]),
        (Unit.CELSIUS, "c"),
        (image, [image]),
        ([ContentPart.text("see"), image], [ContentPart.text("see"), image]),
    ]:
        assert called(functools.partial(same, returned), {}).result == result, returned


def test_async_functions_methods_partials_and_objects_are_functions() -> None:
    class Shop:
        def price(self, item: str) -> str:
            """Return the price."""
            return f"{item} costs 1"

        async def __call__(self, item: str) -> str:
            """Buy it."""
            return f"bought {item}"

    async def slow(item: str, colour: str) -> str:
        return f"{colour} {item}"

    assert called(Shop().price, {"item": "tea"}).result == "tea costs 1"
    assert Tool.of(Shop()).description == "Buy it."
    assert Tool.of(Shop()).name == "Shop"
    assert called(Shop(), {"item": "tea"}).result == "bought tea"
    red = functools.partial(slow, colour="red")
    assert called(red, {"item": "tea"}).result == "red tea"
    assert [*Tool.of(red).input_schema["properties"]] == ["item"]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (5, "Tool.of takes a function, not an int"),
        (lambda x: x, "'<lambda>' can't be a tool's name"),
        (max, "its parameters can't be read"),
        (eval("lambda x, /: x"), "can't be a tool's name"),
    ],
)
def test_what_cant_be_a_tool_is_refused(function: Any, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Tool.of(function)
    assert text in str(caught.value)


def test_a_type_that_json_cant_be_read_into_is_refused_by_name() -> None:
    def bad(number: complex) -> None: ...

    with pytest.raises(ConfigurationError, match="bad: complex isn't a type that JSON can be read into"):
        Tool.of(bad)


def test_a_schema_is_json() -> None:
    def everything(a: int, b: Any = Place, c: dict[str, list[Place]] | None = None, **more: str) -> None:
        """Do it."""

    assert json.loads(json.dumps(Tool.of(everything).input_schema))["required"] == ["a"]
