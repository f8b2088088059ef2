"""Required plugins: without them, calls raise an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.discovery import exclusion_reason, plugin_entries
from tako.errors import PluginError
from tako.installed import normalized_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.hooks.manager import Plugin
    from tako.installed import Entry

REQUIRE = "TAKO_REQUIRE_PLUGINS"


def matches_entry(name: str, entry: Entry) -> bool:
    """Whether a name stands for an installed plugin: its entry point, its distribution, or "DISTRIBUTION:ENTRY"."""
    distribution, _, entry_name = name.partition(":")
    is_distribution = normalized_name(distribution) == normalized_name(entry.distribution)
    return name == entry.name or (is_distribution and entry_name in ("", entry.name))


def matches_plugin(name: str, plugin: Plugin) -> bool:
    """Whether a name stands for a plugin: the one that it's registered by, or or as ``matches_entry`` has it."""
    return name == plugin.name or (plugin.entry is not None and matches_entry(name, plugin.entry))


def check_required(
    required: Mapping[str, str], general: Mapping[str, Plugin], problems: Mapping[str, str | None]
) -> None:
    """Raise PluginError if a required plugin is missing.

    ``required`` are names with the source of the requirement, ``problems`` the errors of installed plugins.
    """
    for name, source in required.items():
        reason = _missing_reason(name, general, problems)
        if reason is not None:
            raise PluginError(f"plugin {name!r} is required by {source}, but missing: {reason}")


def _missing_reason(name: str, general: Mapping[str, Plugin], problems: Mapping[str, str | None]) -> str | None:
    present = {repr(plugin.entry) for plugin in general.values() if matches_plugin(name, plugin)}
    for entry in plugin_entries():
        if matches_entry(name, entry) and repr(entry) not in present:
            return (
                exclusion_reason(entry) or problems.get(repr(entry), "it isn't imported yet") or "it was unregistered"
            )
    return None if present else "no general plugin of that name is installed"
