"""Finding the class of a provider by its name, and the module that has its hooks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tako.compatibility import check_version
from tako.discovery import provider_entries
from tako.errors import PluginError
from tako.hooks.checks import has_hooks
from tako.hooks.failures import is_interrupt, one_line, report
from tako.names import unknown_provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tako.installed import Entry
    from tako.provider import Provider


class UnknownProviderError(PluginError, AttributeError):
    """Nothing installed provides that name."""


def import_provider(key: str, entry: Entry | None, failed: dict[str, str]) -> type[Provider]:
    """Import the provider that was found by its name or class.

    Raises PluginError; the traceback of a failed import goes into ``failed``.
    """
    if entry is None:
        raise UnknownProviderError(unknown_provider(key))
    owner = f"provider {entry.name!r} of {entry.distribution} {entry.version}"
    if entry.problem is not None:
        raise PluginError(f"{owner} is broken: {entry.problem}")
    try:
        found = entry.load()
    except BaseException as error:
        if is_interrupt(error):
            raise
        failed[entry.name] = report(error)
        raise PluginError(f"{owner} couldn't be imported: {one_line(error)}") from error
    if not (isinstance(found, type) and hasattr(found, "own_plugins")):
        raise PluginError(f"{owner}: {entry.value} isn't a subclass of tako.Provider")
    check_version(sys.modules.get(found.__module__), owner)
    return found


def home_of(cls: type[Provider]) -> Any:
    """Return the module in which a provider class has its hooks, or the one that defines it if none has any."""
    return next((module for module in _places(cls) if has_hooks(module)), None) or _module(cls.__module__)


def places_of(cls: type[Provider]) -> list[str]:
    """Name the modules in which the hooks of a class are looked for: the first one that has any counts."""
    return [module.__name__ for module in _places(cls)]


def _places(cls: type[Provider]) -> Iterator[ModuleType]:
    """The module that defines the class, the packages around it, and the module that its entry point names."""
    name = cls.__module__
    while name:
        if (module := sys.modules.get(name)) is not None:
            yield module
        name = name.rpartition(".")[0]
    for entry in provider_entries():
        module = sys.modules.get(entry.module) if entry.attr == cls.__name__ else None
        if module is not None and getattr(module, entry.attr, None) is cls:
            yield module


def _module(name: str) -> ModuleType:
    found = sys.modules.get(name)
    if found is None:
        raise PluginError(f"module {name!r}, which defines a provider, isn't in sys.modules any more")
    return found
