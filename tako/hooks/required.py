"""Plugins that calls must not go without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.discovery import barred, names, plugin_entries
from tako.errors import PluginError
from tako.installed import normal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.hooks.manager import Plugin
    from tako.installed import Entry

REQUIRE = "TAKO_REQUIRE_PLUGINS"


def is_required(plugin: Plugin) -> bool:
    """Whether a plugin was registered as required, or the environment names it or its distribution."""
    return plugin.required or any(_is_meant(wanted, plugin) for wanted in names(REQUIRE))


def is_meant(wanted: str, entry: Entry) -> bool:
    """Whether a name stands for an installed plugin: that of its entry point, or of its distribution."""
    return wanted == entry.name or normal(wanted) == normal(entry.distribution)


def check_required(general: Mapping[str, Plugin], problems: Mapping[str, str | None]) -> None:
    """Refuse to go on without a plugin that the environment requires; ``problems`` are those of installed plugins.

    Raises PluginError.
    """
    for wanted in names(REQUIRE):
        reason = _why_missing(wanted, general, problems)
        if reason is not None:
            raise PluginError(f"plugin {wanted!r} is required by {REQUIRE}, but missing: {reason}")


def _why_missing(wanted: str, general: Mapping[str, Plugin], problems: Mapping[str, str | None]) -> str | None:
    there = {repr(plugin.entry) for plugin in general.values() if _is_meant(wanted, plugin)}
    for entry in plugin_entries():
        if is_meant(wanted, entry) and repr(entry) not in there:
            return barred(entry) or problems.get(repr(entry), "it isn't imported yet") or "it was unregistered"
    return None if there else "no general plugin of that name is installed"


def _is_meant(wanted: str, plugin: Plugin) -> bool:
    return wanted == plugin.name or (plugin.entry is not None and is_meant(wanted, plugin.entry))
