"""Plugins for one test alone: what is registered here is gone afterwards, and what failed is forgotten."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tako.hooks import PLUGINS, hookimpl
from tako.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Generator

_numbers = count()


class Isolated:
    """The plugins of this process, as long as a test runs."""

    def __init__(self) -> None:
        self.modules: list[str] = []

    def register(self, plugin: object, name: str | None = None, *, required: bool = False) -> None:
        """Add a general plugin, as ``tako.register`` does."""
        PLUGINS.register(plugin, name, required=required)

    def unregister(self, plugin: object) -> None:
        """Take a plugin (or a name) out, an installed one too, until the test is over."""
        PLUGINS.unregister(plugin)

    def provider_class(self, name: str = "acme", *, base: type[Provider] = Provider, **hooks: Any) -> type[Provider]:
        """Make a provider class in a module of its own that has these hooks, as an installed plugin would.

        ``provider_class(tako_chat=lambda provider: chat)`` is enough for a provider that answers.
        """
        module = ModuleType(f"isolated_vendor_{next(_numbers)}")
        self.modules.append(module.__name__)
        sys.modules[module.__name__] = module
        for hook, function in hooks.items():
            setattr(module, hook, function if hasattr(function, "tako_impl") else hookimpl(function))
        return type(name.title().replace("-", ""), (base,), {"__module__": module.__name__, "name": name})

    def install(self, cls: type[Provider], name: str | None = None) -> None:
        """Let ``get_provider`` find a class by its name, as if it were installed."""
        PLUGINS.install(name or cls.name, cls)


@contextmanager
def isolated(*plugins: object) -> Generator[Isolated, None, None]:
    """Register plugins for the time of a block; whatever else the block registers is gone after it, too.

    ::

        with isolated(my_plugin) as plugins:
            plugins.register(another, "another")
            ...
    """
    state = PLUGINS.snapshot()
    plugins_of_test = Isolated()
    try:
        for plugin in plugins:
            plugins_of_test.register(plugin)
        yield plugins_of_test
    finally:
        PLUGINS.restore(state)
        for name in plugins_of_test.modules:
            del sys.modules[name]
