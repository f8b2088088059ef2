"""Plugins that calls must not go without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.discovery import barred, plugin_entries
from tako.errors import PluginError
from tako.installed import normal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.hooks.manager import Plugin
    from tako.installed import Entry

REQUIRE = "TAKO_REQUIRE_PLUGINS"


def is_meant(wanted: str, entry: Entry) -> bool:
    """Whether a name stands for an installed plugin: its entry point, its distribution, or "DISTRIBUTION:ENTRY"."""
    distribution, _, name = wanted.partition(":")
    return wanted == entry.name or (normal(distribution) == normal(entry.distribution) and name in ("", entry.name))


def stands_for(wanted: str, plugin: Plugin) -> bool:
    """Whether a name stands for a plugin: the one that it's registered by, or as ``is_meant`` has it."""
    return wanted == plugin.name or (plugin.entry is not None and is_meant(wanted, plugin.entry))


def check_required(
    required: Mapping[str, str], general: Mapping[str, Plugin], problems: Mapping[str, str | None]
) -> None:
    """Refuse to go on without a plugin that is required.

    ``required`` are names, with who requires them; ``problems`` are those of installed plugins. Raises PluginError.
    """
    for wanted, source in required.items():
        reason = _why_missing(wanted, general, problems)
        if reason is not None:
            raise PluginError(f"plugin {wanted!r} is required by {source}, but missing: {reason}")


def _why_missing(wanted: str, general: Mapping[str, Plugin], problems: Mapping[str, str | None]) -> str | None:
    there = {repr(plugin.entry) for plugin in general.values() if stands_for(wanted, plugin)}
    for entry in plugin_entries():
        if is_meant(wanted, entry) and repr(entry) not in there:
            return barred(entry) or problems.get(repr(entry), "it isn't imported yet") or "it was unregistered"
    return None if there else "no general plugin of that name is installed"
