"""``tako providers``: what is installed, and why something is broken."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from tako.builtin.defaults import no_chat
from tako.cli.configuration import announce_rules, read_configuration
from tako.cli.run import FAILED, complain
from tako.cli.table import NO_PROVIDERS, show
from tako.discovery import command_entries, exclusion_reason, find_provider, plugin_entries, provider_entries
from tako.errors import PluginError
from tako.hooks import PLUGINS
from tako.hooks.failures import one_line
from tako.hooks.required import matches_entry
from tako.installed import unreadable

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.installed import Entry

COLUMNS = ("kind", "name", "class", "distribution", "version", "state", "required", "why")
BAD = ("broken", "ambiguous", "missing")


def run(options: Namespace) -> int:
    """Carry out the command; exit code 1 where something is broken."""
    announce_rules(read_configuration(options.config), options.config)
    plugins = _plugins()  # first, since they take part in whether a provider is sound
    providers = [_provider(entry) for entry in provider_entries()]
    rows = providers + plugins + _others()
    show(rows if options.json else [row | {"required": row["required"] or ""} for row in rows], as_json=options.json)
    if plugins and not providers and not options.json:
        complain(NO_PROVIDERS)
    if "debug" in options:
        for name, report in PLUGINS.failed.items():
            sys.stderr.write(f"\n{name}: {report}")
    return FAILED if any(row["state"] in BAD for row in rows) else 0


def state(entry: Entry) -> tuple[str, str]:
    """Import a provider and return its state ("ok", "off", "ambiguous", "broken") and the reason in one line."""
    reason = exclusion_reason(entry)
    if reason is not None:
        return "off", reason
    try:
        chosen = find_provider(entry.name)
    except PluginError as error:
        return "ambiguous", str(error)
    if chosen is not None and chosen.distribution != entry.distribution:
        return "off", f"TAKO_PREFER takes {entry.name!r} from {chosen.distribution}"
    try:
        cls = PLUGINS.provider_class(entry.name)
        answers = PLUGINS.hooks(cls).answers
    except PluginError as error:
        cause = error.__cause__
        return "broken", one_line(cause) if cause is not None else str(error)
    return ("ok", "") if answers else ("broken", no_chat(cls))


def _provider(entry: Entry) -> dict[str, Any]:
    found, why = state(entry)
    return _row("provider", entry, f"tako.providers.{entry.attr}", found, why)


def _plugins() -> list[dict[str, Any]]:
    """List the general plugins, loaded, and those that are required and not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table says it
        general = PLUGINS.general()
    entries = plugin_entries()
    rows = [_plugin(entry) for entry in entries]
    for wanted, source in PLUGINS.required.items():
        if not any(matches_entry(wanted, entry) for entry in entries) and wanted not in general:
            why = f"{source} names it, but no installed distribution has it"
            rows.append(dict(zip(COLUMNS, ("plugin", wanted, "", "", "", "missing", True, why), strict=True)))
    return rows


def _plugin(entry: Entry) -> dict[str, Any]:
    required = any(matches_entry(wanted, entry) for wanted in PLUGINS.required)
    off, problem = exclusion_reason(entry), PLUGINS.problem_of(entry)
    found, why = ("off", off) if off is not None else ("broken", problem) if problem is not None else ("ok", "")
    return _row("plugin", entry, entry.value, found, why, required=required)


def _others() -> list[dict[str, Any]]:
    """List what else is wrong: distributions that can't be read, and commands that can't be found."""
    rows = [_row("distribution", entry, "", "broken", entry.problem or "") for entry in unreadable()]
    return rows + [
        _row("command", entry, entry.value, "broken", entry.problem) for entry in command_entries() if entry.problem
    ]


def _row(kind: str, entry: Entry, place: str, found: str, why: str, *, required: bool = False) -> dict[str, Any]:
    values = (kind, entry.name, place, entry.distribution, entry.version, found, required, why)
    return dict(zip(COLUMNS, values, strict=True))
