"""What is installed: entry points, read by name only, and what the environment says of them.

``TAKO_DISABLE_PLUGINS=a,b`` leaves out plugins by entry-point name, ``TAKO_ALLOW_PLUGINS=a,b`` admits only the named
distributions, ``TAKO_PREFER="openai=tako-openai"`` decides between two distributions that claim one provider name. All
of them act before anything is imported.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

from tako.errors import PluginError

PROVIDERS = "tako.providers"
PLUGINS = "tako.plugins"
COMMANDS = "tako.commands"


class Entry:
    """One installed plugin, not imported yet."""

    def __init__(self, point: EntryPoint) -> None:
        self.point = point
        self.name = point.name
        self.attr = (point.attr or point.module).rpartition(".")[2]  # of a class within another, the inner name
        self.group = point.group

    @cached_property
    def distribution(self) -> str:
        """The name of the distribution that ships it."""
        return self.point.dist.name if self.point.dist else "an unknown distribution"

    @cached_property
    def version(self) -> str:
        """That distribution's version."""
        return self.point.dist.version if self.point.dist else "?"

    @property
    def barred(self) -> str | None:
        """Why the environment keeps this plugin out, or None."""
        if self.name in _names("TAKO_DISABLE_PLUGINS"):
            return f"disabled by TAKO_DISABLE_PLUGINS ({self.name})"
        allowed = _names("TAKO_ALLOW_PLUGINS")
        if allowed and _normal(self.distribution) not in {_normal(name) for name in allowed}:
            return f"not among the distributions of TAKO_ALLOW_PLUGINS ({self.distribution})"
        return None

    def __repr__(self) -> str:
        return f"{self.distribution} {self.version}: {self.name} = {self.point.value}"


def provider_entries() -> list[Entry]:
    """List the installed providers, in the order of their names; nothing is imported."""
    return _installed(PROVIDERS)


def plugin_entries() -> list[Entry]:
    """List the installed general plugins, in the order in which they are loaded."""
    return _installed(PLUGINS)


def command_entries() -> list[Entry]:
    """List the subcommands that distributions add to the ``tako`` command, by name; nothing is imported."""
    return _installed(COMMANDS)


def find_provider(key: str) -> Entry | None:
    """Find the provider of that name ("openai") or class ("OpenAI"); None where nothing installed has it.

    Raises PluginError where it is kept out by the environment, or where two distributions claim it.
    """
    claims = [entry for entry in provider_entries() if key in (entry.name, entry.attr)]
    free = [entry for entry in claims if entry.barred is None]
    if claims and not free:
        raise PluginError(f"provider {key!r} is {claims[0].barred}")
    if len({entry.distribution for entry in free}) > 1:  # one may have several names for its class
        free = [_preferred(free[0].name, free)]
    return free[0] if free else None


def _preferred(name: str, claims: list[Entry]) -> Entry:
    """Pick the one that TAKO_PREFER names."""
    wanted = dict(pair.split("=", 1) for pair in _names("TAKO_PREFER") if "=" in pair).get(name)
    chosen = [entry for entry in claims if wanted and _normal(entry.distribution) == _normal(wanted)]
    if chosen:
        return chosen[0]
    owners = " and ".join(sorted(f"{entry.distribution} {entry.version}" for entry in claims))
    raise PluginError(
        f"provider {name!r} is claimed by {owners}; uninstall one, or set TAKO_PREFER={name}=DISTRIBUTION"
    )


def _installed(group: str) -> list[Entry]:
    entries = [Entry(point) for point in entry_points(group=group)]
    # by value rather than by distribution, whose name would have to be read from a file
    return sorted(entries, key=lambda entry: (entry.name, entry.point.value))


def _names(variable: str) -> list[str]:
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


def _normal(distribution: str) -> str:
    """Spell a distribution's name as PEP 503 does, so that `-`, `_` and case do not matter."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
