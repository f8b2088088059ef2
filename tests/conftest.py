"""What the core's tests share: vendors made on the spot, and plugins that are gone when a test is over."""

from __future__ import annotations

import sys
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tako import Provider, hookimpl
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_numbers = count()


@pytest.fixture
def vendor() -> Iterator[Callable[..., type[Provider]]]:
    """Return a maker of provider classes, each in a module of its own that holds the given hooks."""
    made: list[str] = []

    def make(name: str = "acme", *, base: type[Provider] = Provider, **hooks: Any) -> type[Provider]:
        module = ModuleType(f"vendor_{next(_numbers)}")
        made.append(module.__name__)
        sys.modules[module.__name__] = module
        for hook, function in hooks.items():
            marked = function if hasattr(function, "tako_impl") else hookimpl(function)
            setattr(module, hook, marked)
        return type("Vendor", (base,), {"__module__": module.__name__, "name": name})

    yield make
    for name in made:
        del sys.modules[name]


@pytest.fixture
def register() -> Iterator[Callable[..., None]]:
    """Return `tako.register`; whatever was registered or has failed is forgotten afterwards."""
    PLUGINS.load()
    before, failed = dict(PLUGINS._general), dict(PLUGINS.failed)

    def add(plugin: object, name: str | None = None) -> None:
        PLUGINS.register(plugin, name)

    yield add
    for label in set(PLUGINS._general) - set(before):
        PLUGINS.unregister(label)
    PLUGINS.failed = failed
