"""The classes of providers, imported by name, and the modules that have their hooks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tako.compatibility import check_version
from tako.discovery import provider_entries
from tako.errors import PluginError, UnknownProviderError
from tako.hooks.checks import has_hooks
from tako.hooks.failures import is_interrupt, one_line, report
from tako.names import unknown_provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tako.installed import Entry
    from tako.provider import Provider


def import_provider(key: str, entry: Entry | None, tracebacks: dict[str, str]) -> type[Provider]:
    """Import the provider of an entry point; ``key`` is the name or class that was requested.

    Raises PluginError. The traceback of a failed import goes into ``tracebacks``.
    """
    if entry is None:
        raise UnknownProviderError(unknown_provider(key))
    owner = f"provider {entry.name!r} of {entry.distribution} {entry.version}"
    if entry.problem is not None:
        raise PluginError(f"{owner} is broken: {entry.problem}")
    try:
        cls = entry.load()
    except BaseException as error:
        if is_interrupt(error):
            raise
        tracebacks[entry.name] = report(error)
        raise PluginError(f"{owner} couldn't be imported: {one_line(error)}") from error
    if not (isinstance(cls, type) and hasattr(cls, "own_plugins")):
        raise PluginError(f"{owner}: {entry.value} isn't a subclass of tako.Provider")
    check_version(sys.modules.get(cls.__module__), owner)
    return cls


def hooks_module(cls: type[Provider]) -> Any:
    """Return the module in which a provider class has its hooks, or the one that defines it if none has any."""
    return next((module for module in _candidate_modules(cls) if has_hooks(module)), None) or _loaded_module(
        cls.__module__
    )


def hooks_module_names(cls: type[Provider]) -> list[str]:
    """Name the modules that may have the hooks of a class. The first one that has any is used."""
    return [module.__name__ for module in _candidate_modules(cls)]


def _candidate_modules(cls: type[Provider]) -> Iterator[ModuleType]:
    """Iterate over the module that defines the class, its parent packages, and the module of its entry point."""
    name = cls.__module__
    while name:
        if (module := sys.modules.get(name)) is not None:
            yield module
        name = name.rpartition(".")[0]
    for entry in provider_entries():
        module = sys.modules.get(entry.module) if entry.attr == cls.__name__ else None
        if module is not None and getattr(module, entry.attr, None) is cls:
            yield module


def _loaded_module(name: str) -> ModuleType:
    module = sys.modules.get(name)
    if module is None:
        raise PluginError(f"module {name!r}, which defines a provider, isn't in sys.modules any more")
    return module
