"""The installed providers and plugins that may be used: entry points by name, and the settings of the environment.

``TAKO_DISABLE_PLUGINS=a,b`` leaves out plugins by the name of their entry point or their distribution.
``TAKO_ALLOW_PLUGINS=a,b`` only allows the named distributions (the name of an entry point works, too, if only one
distribution has it). ``TAKO_PREFER="openai=tako-openai"`` chooses between two distributions with the same name.
All of them apply before anything is imported.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tako import installed
from tako.errors import PluginError
from tako.installed import COMMANDS, GROUPS, PLUGINS, PROVIDERS, normalized_name

if TYPE_CHECKING:
    from tako.installed import Entry

DISABLE = "TAKO_DISABLE_PLUGINS"
ALLOW = "TAKO_ALLOW_PLUGINS"
PREFER = "TAKO_PREFER"


def provider_entries() -> list[Entry]:
    """List the installed providers, in the order of their names; nothing is imported."""
    return installed.entries(PROVIDERS)


def plugin_entries() -> list[Entry]:
    """List the installed general plugins, in the order in which they are loaded."""
    return installed.entries(PLUGINS)


def command_entries() -> list[Entry]:
    """List the subcommands that distributions add to the ``tako`` command, by name; nothing is imported."""
    return installed.entries(COMMANDS)


def exclusion_reason(entry: Entry) -> str | None:
    """Return why the environment leaves out this plugin, None if it doesn't.

    Raises PluginError if TAKO_ALLOW_PLUGINS is set but empty, or TAKO_PREFER doesn't consist of pairs.
    """
    _preferences()  # a mistake in it is an error for every provider
    for name in names(DISABLE):
        if name == entry.name or normalized_name(name) == normalized_name(entry.distribution):
            return f"disabled by {DISABLE}={name}"
    allowed = names_if_set(ALLOW, "the distributions that may be used")
    if allowed is None:
        return None
    if normalized_name(entry.distribution) in map(normalized_name, allowed) or (
        entry.name in allowed and _only_one_claims(entry.name)
    ):
        return None
    return f"left out, since {ALLOW} doesn't name {entry.distribution}"


def find_provider(name: str) -> Entry | None:
    """Find the provider of that name ("openai"), else of that class ("OpenAI"). None if there's none.

    Raises PluginError if the environment leaves it out, or if two distributions have it.
    """
    claims = [entry for entry in provider_entries() if entry.name == name]
    if not claims:
        return find_class(name)
    candidates = _not_excluded(f"provider {name!r}", claims)
    return candidates[0] if len({entry.distribution for entry in candidates}) == 1 else _preferred(name, candidates)


def find_class(name: str) -> Entry | None:
    """Find the provider whose class has that name ("OpenAI"). Raises as ``find_provider`` does."""
    claims = _not_excluded(f"provider class {name!r}", [entry for entry in provider_entries() if entry.attr == name])
    if len({entry.value for entry in claims}) <= 1:
        return claims[0] if claims else None
    if len({entry.name for entry in claims}) == 1:
        return _preferred(claims[0].name, claims)
    owners = " and ".join(f"{entry.distribution} {entry.version} ({entry.name})" for entry in claims)
    ids = " or ".join(f"get_provider('{entry.name}:MODEL')" for entry in claims)
    raise PluginError(f"provider class {name!r} is claimed by {owners}; use the name instead: {ids}")


def names(variable: str) -> list[str]:
    """Return the names in an environment variable, which commas separate."""
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


def names_if_set(variable: str, purpose: str) -> list[str] | None:
    """Return the names in a variable, None if it isn't set. Raises PluginError if it's empty: it must name ``what``."""
    if os.environ.get(variable) is None:
        return None
    values = names(variable)
    if not values:
        raise PluginError(f"{variable} is empty: name {purpose}, or unset it")
    return values


def _not_excluded(subject: str, claims: list[Entry]) -> list[Entry]:
    """Return the entries that the environment doesn't leave out. Raises PluginError if there's none."""
    reasons = [exclusion_reason(entry) for entry in claims]
    allowed = [entry for entry, reason in zip(claims, reasons, strict=True) if reason is None]
    if claims and not allowed:
        raise PluginError(f"{subject} is {reasons[0]}")
    return allowed


def _preferred(name: str, claims: list[Entry]) -> Entry:
    """Return the entry that TAKO_PREFER chooses. Raises PluginError if it doesn't choose one."""
    preferred = _preferences().get(name)
    chosen = [
        entry for entry in claims if preferred and normalized_name(entry.distribution) == normalized_name(preferred)
    ]
    if chosen:
        return chosen[0]
    owners = " and ".join(sorted(f"{entry.distribution} {entry.version}" for entry in claims))
    raise PluginError(f"provider {name!r} is claimed by {owners}; uninstall one, or set {PREFER}={name}=DISTRIBUTION")


def _preferences() -> dict[str, str]:
    """Read TAKO_PREFER: the distribution for each provider's name. Raises PluginError."""
    preferred: dict[str, str] = {}
    for pair in names(PREFER):
        name, _, distribution = map(str.strip, pair.partition("="))
        if not (name and distribution):
            raise PluginError(f"{PREFER} has {pair!r}: write NAME=DISTRIBUTION, as in {PREFER}=openai=tako-openai")
        preferred[name] = distribution
    return preferred


def _only_one_claims(name: str) -> bool:
    """Whether a single installed distribution has an entry point of that name, in any group."""
    claims = [entry.distribution for group in GROUPS for entry in installed.entries(group) if entry.name == name]
    return len({normalized_name(distribution) for distribution in claims}) == 1
