"""Every kind of schema goes out such as the vendor takes it, means the same, and is never changed itself."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tako.kit.schemas import (
    ANTHROPIC,
    AZURE,
    CONVERSE,
    GEMINI,
    MISTRAL,
    NOVA,
    OLLAMA,
    OPENAI,
    PLAIN,
    adapt_schema,
    without_added_nulls,
)
from tests.schemas import refusals
from tests.schemas.zoo import SCHEMAS, TOO_LARGE

if TYPE_CHECKING:
    from tako.kit.schemas import Rules

TOOLS = {
    "openai": OPENAI.tools,
    "azure": AZURE.tools,
    "claude": ANTHROPIC.tools,
    "converse": CONVERSE.tools,
    "nova": NOVA.tools,
    "gemini": GEMINI.tools,
    "mistral": MISTRAL.tools,
    "ollama": OLLAMA.tools,
}
STRICT: dict[str, tuple[Rules | None, Rules]] = {
    "openai": (OPENAI.strict_tools, OPENAI.output),
    "azure": (AZURE.strict_tools, AZURE.output),
    "claude": (ANTHROPIC.strict_tools, ANTHROPIC.output),
    "mistral": (MISTRAL.strict_tools, MISTRAL.output),
}

LINKED = {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}


pytestmark = pytest.mark.usefixtures("without_finalizers")


@pytest.mark.parametrize("vendor", TOOLS)
@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_schema_of_a_tool_is_one_that_the_vendor_takes(kind: str, vendor: str) -> None:
    before = deepcopy(SCHEMAS[kind])
    adapted = adapt_schema(SCHEMAS[kind], TOOLS[vendor])
    assert SCHEMAS[kind] == before
    if not adapted.reason_unfit:
        assert refusals.tool(vendor, adapted.schema) is None
    assert not adapted.reason_unfit or kind == "a loop of references"


@pytest.mark.parametrize("vendor", STRICT)
@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_strict_schema_is_one_that_the_vendor_takes_or_is_known_to_fit_in_no_way(kind: str, vendor: str) -> None:
    before = deepcopy(SCHEMAS[kind])
    for rules in STRICT[vendor]:
        assert rules is not None
        adapted = adapt_schema(SCHEMAS[kind], rules)
        assert SCHEMAS[kind] == before
        if adapted.reason_unfit:
            assert adapted.schema is SCHEMAS[kind]
        else:
            assert refusals.strict(vendor, adapted.schema) is None


@pytest.mark.parametrize("kind", ["plain", "optional", "told apart", "limits", "draft 4", "draft 7", "a pointer"])
def test_the_schemas_that_types_have_are_strict_at_every_vendor(kind: str) -> None:
    for rules in STRICT.values():
        assert [adapt_schema(SCHEMAS[kind], one).reason_unfit for one in rules if one is not None] == ["", ""]


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_a_schema_that_would_grow_without_end_goes_out_as_it_is(kind: str) -> None:
    adapted = adapt_schema(TOO_LARGE[kind], OLLAMA.tools)
    assert (adapted.schema, adapted.reason_unfit) == (TOO_LARGE[kind], "it is too large")


def test_a_schema_that_fits_is_the_callers_own() -> None:
    for kind in ("plain", "closed", "optional"):
        for rules in (OPENAI.tools, ANTHROPIC.tools, PLAIN.output, MISTRAL.tools):
            assert adapt_schema(SCHEMAS[kind], rules).schema is SCHEMAS[kind]


def test_a_schema_that_was_changed_meanwhile_is_looked_at_again() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert list(adapt_schema(schema, OPENAI.output).schema["properties"]) == ["a"]
    schema["properties"]["b"] = {"type": "string"}
    assert list(adapt_schema(schema, OPENAI.output).schema["properties"]) == ["a", "b"]


def test_what_is_not_json_is_left_to_who_encodes_it() -> None:
    schema = {"type": "object", "x": object()}
    assert adapt_schema(schema, OPENAI.output).schema is schema


@pytest.mark.parametrize(
    ("schema", "rules", "expected", "losses"),
    [
        (
            {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "description": "How many"}}},
            ANTHROPIC.output,
            {
                "type": "object",
                "properties": {"n": {"type": "integer", "description": "How many\n\n{minimum: 1}"}},
                "additionalProperties": False,
            },
            ("minimum",),
        ),
        (
            SCHEMAS["anyOf of required"],
            OPENAI.tools,
            {"type": "object", "properties": {"route": {"type": "string"}, "file": {"type": "string"}}},
            ("anyOf at its top: the properties of all branches are in one object",),
        ),
        (
            SCHEMAS["oneOf of objects"],
            ANTHROPIC.tools,
            {"type": "object", "properties": {"city": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "zip": {}}},
            ("oneOf at its top: the properties of all branches are in one object",),
        ),
        (
            SCHEMAS["allOf of objects"],
            ANTHROPIC.tools,
            {
                "type": "object",
                "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
                "required": ["city", "zip"],
            },
            (),
        ),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"const": 1}}},
            OLLAMA.tools,
            {"type": "object", "properties": {"a": {"enum": [1]}}},
            (),
        ),
        (
            {"$ref": "#/$defs/N", "$defs": {"N": {**LINKED, "required": ["n"]}}},
            GEMINI.output,
            {"$ref": "#/$defs/N", "$defs": {"N": {**LINKED, "required": []}}},
            ("required",),
        ),
    ],
)
def test_what_is_written_in_another_form(schema: Any, rules: Rules, expected: Any, losses: tuple[str, ...]) -> None:
    adapted = adapt_schema(schema, rules)
    assert (adapted.schema, adapted.losses) == (expected, losses)


# What fits the strict form fits the caller's schema ------------------------------------------------------------------

scalars = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": "boolean"},
        {"type": "number", "minimum": 0},
        {"type": "string", "enum": ["x", "y"]},
        {"enum": ["x", 1]},
        {"const": "k"},
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        {"type": "string", "maxLength": 3},
        {"$ref": "#/$defs/City"},
        {"$ref": "#/$defs/City", "description": "d"},
        {"$ref": "#/$defs/Pet"},
    ]
)
DEFINITIONS = {
    "City": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "zip": {"type": "string"}},
        "required": ["name"],
    },
    "Pet": {"oneOf": [SCHEMAS["told apart"]["$defs"]["Cat"], SCHEMAS["told apart"]["$defs"]["Dog"]]},
}


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Any], names: str = "abc") -> dict[str, Any]:
    properties = draw(st.dictionaries(st.sampled_from(names), inner, min_size=1))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    return {"type": "object", "properties": properties, "required": required}


def wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arrays = st.builds(lambda items: {"type": "array", "items": items}, inner)
    unions = st.builds(lambda one, two: {"anyOf": [one, two]}, scalars, inner)
    merged = st.builds(lambda one, two: {"allOf": [one, two]}, objects(inner), objects(inner, "de"))
    return objects(inner) | arrays | unions | merged


schemas = objects(st.recursive(scalars, wider, max_leaves=6)).map(lambda schema: {**schema, "$defs": DEFINITIONS})


@st.composite
def values(draw: st.DrawFn, schema: Any, root: Any) -> Any:
    """Draw a value that fits a schema in strict form, as a vendor's grammar would."""
    if "$ref" in schema:
        return draw(values(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root))
    if "anyOf" in schema:
        return draw(values(draw(st.sampled_from(schema["anyOf"])), root))
    if "const" in schema or "enum" in schema:
        return draw(st.sampled_from(schema.get("enum", [schema.get("const")])))
    kind = schema["type"] if isinstance(schema["type"], str) else draw(st.sampled_from(schema["type"]))
    if kind == "object":
        names = [name for name in schema["properties"] if name in schema.get("required", ()) or draw(st.booleans())]
        return {name: draw(values(schema["properties"][name], root)) for name in names}
    if kind == "array":
        return [draw(values(schema["items"], root)) for _ in range(draw(st.integers(0, 2)))]
    plain = {
        "string": st.text("ab", max_size=3),
        "integer": st.integers(0, 9),
        "number": st.integers(0, 9),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return draw(plain[kind])


@pytest.mark.parametrize("rules", [OPENAI.output, AZURE.output, ANTHROPIC.output, MISTRAL.output])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), schema=schemas)
def test_a_reply_that_fits_the_strict_form_fits_the_callers_schema(
    rules: Rules, schema: Any, data: st.DataObject
) -> None:
    adapted = adapt_schema(schema, rules)
    assume(
        not adapted.reason_unfit
        and "type" not in adapted.losses
        and "const" not in adapted.losses
        and "enum" not in adapted.losses
    )
    if "oneOf" in str(adapted.schema):
        return  # Mistral takes it; the drawer doesn't
    value = data.draw(values(adapted.schema, adapted.schema))
    cleared = without_added_nulls(value, schema)
    Draft202012Validator(schema).validate(cleared)
