"""The reference has every public name, and explains each field and parameter."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tako
from tako import errors, providers
from tako.conductor import events, plan
from tako.conversation import Conversation
from tako.keywords import RequestOptions
from tako.kit.http import FetchOptions, HttpOptions, TransportOptions
from tako.typed import TypedStream

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TREE = [getattr(errors, name) for name in dir(errors) if name.endswith("Error")]
OPTIONS = [RequestOptions, TransportOptions, HttpOptions, FetchOptions]
VENDORS = [getattr(providers, name) for name in dir(providers)]
MODULES = [
    import_module(f"tako.{name}") for name in ("types", "parts", "state", "runs", "listing", "translator", "usage")
]


def public() -> dict[str, Any]:
    """Everything that an application or a plugin author imports, by its name."""
    named = {f"tako.{name}": getattr(tako, name) for name in tako.__all__}
    names = {f"{one.__module__}.{one.__qualname__}": one for one in [*TREE, *VENDORS, TypedStream, Conversation]}
    for module in [*MODULES, events, plan]:
        names |= {
            f"{module.__name__}.{name}": value
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }
    return named | names


PUBLIC = public()
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value) and value.__module__ != "builtins"}


def explained(cls: type, section: str) -> set[str]:
    """The names in a section of a class's docstring, or of its bases'."""
    names: set[str] = set()
    for base in cls.__mro__:
        text = inspect.cleandoc(vars(base).get("__doc__") or "")
        match = re.search(rf"^{section}:\n((?: +.*\n?|\n)+)", text, re.MULTILINE)
        if match is not None:
            names |= set(re.findall(r"^ {4}\**(\w+): \S", match[1], re.MULTILINE))
    return names


def is_method(value: object) -> bool:
    return isinstance(value, (property, classmethod, staticmethod)) or inspect.isfunction(value)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_public_class_and_each_of_its_methods_has_a_docstring(name: str) -> None:
    cls = CLASSES[name]
    methods = {name: value for name, value in vars(cls).items() if not name.startswith("_") and is_method(value)}
    missing = [name for name, value in methods.items() if not inspect.getdoc(getattr(value, "__func__", value))]
    assert inspect.getdoc(cls)
    assert missing == []


@pytest.mark.parametrize("name", sorted(name for name, cls in CLASSES.items() if issubclass(cls, msgspec.Struct)))
def test_every_field_of_a_value_is_explained(name: str) -> None:
    cls = CLASSES[name]
    assert [field for field in cls.__struct_fields__ if field not in explained(cls, "Attributes")] == []


def test_every_option_is_explained() -> None:
    http = [explained(options, "Attributes") for options in (TransportOptions, HttpOptions, FetchOptions)]
    assert FetchOptions.__annotations__.keys() - set.union(*http) == set()
    assert RequestOptions.__annotations__.keys() - explained(RequestOptions, "Attributes") == set()


@pytest.mark.parametrize("vendor", [*VENDORS, tako.Conductor, tako.Conversation], ids=lambda cls: cls.__name__)
def test_every_parameter_of_a_constructor_is_explained(vendor: type) -> None:
    parameters = inspect.signature(vendor.__init__).parameters.values()
    named = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD and one.name != "self"]
    assert [name for name in named if name not in explained(vendor, "Args")] == []


@pytest.mark.parametrize("error", TREE, ids=lambda cls: cls.__name__)
def test_every_value_that_an_error_carries_is_explained(error: type[errors.TakoError]) -> None:
    parameters = inspect.signature(error.__init__).parameters.values()
    named = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    assert [name for name in named if name not in explained(error, "Attributes")] == []


def test_every_public_name_is_in_the_reference() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.glob("reference/*.md"))
    shown = set(re.findall(r"^::: ([\w.]+)", pages, re.MULTILINE))
    modules = {"tako.errors", "tako.conductor.events", "tako.conductor.plan"}
    missing = []
    for name, value in PUBLIC.items():
        module = getattr(value, "__module__", "")
        own = f"{module}.{getattr(value, '__qualname__', name)}"
        last = name.rsplit(".", 1)[-1]
        listed = any(one.rsplit(".", 1)[-1] == last for one in shown)
        if not listed and module not in modules and own not in shown and name not in ("tako.errors", "tako.providers"):
            missing.append(name)
    assert missing == []
