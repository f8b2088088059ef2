"""``tako providers``: list what is installed, and what is broken."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from tako.builtin.defaults import missing_chat_message
from tako.cli.configuration import announce_rules, read_configuration
from tako.cli.run import FAILED, print_to_stderr
from tako.cli.table import NO_PROVIDERS, print_rows
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
BAD_STATES = ("broken", "ambiguous", "missing")


def run(options: Namespace) -> int:
    """Run the command; exit code 1 if something is broken."""
    announce_rules(read_configuration(options.config), options.config)
    plugins = _plugin_rows()  # first, because they can break a provider
    providers = [_provider_row(entry) for entry in provider_entries()]
    rows = providers + plugins + _other_problems()
    print_rows(
        rows if options.json else [row | {"required": row["required"] or ""} for row in rows], as_json=options.json
    )
    if plugins and not providers and not options.json:
        print_to_stderr(NO_PROVIDERS)
    if "debug" in options:
        for name, report in PLUGINS.failed.items():
            sys.stderr.write(f"\n{name}: {report}")
    return FAILED if any(row["state"] in BAD_STATES for row in rows) else 0


def provider_state(entry: Entry) -> tuple[str, str]:
    """Import a provider and return its state ("ok", "off", "ambiguous", "broken") and the reason in one line."""
    reason = exclusion_reason(entry)
    if reason is not None:
        return "off", reason
    try:
        preferred = find_provider(entry.name)
    except PluginError as error:
        return "ambiguous", str(error)
    if preferred is not None and preferred.distribution != entry.distribution:
        return "off", f"TAKO_PREFER takes {entry.name!r} from {preferred.distribution}"
    try:
        cls = PLUGINS.provider_class(entry.name)
        answers = PLUGINS.hooks(cls).answers
    except PluginError as error:
        cause = error.__cause__
        return "broken", one_line(cause) if cause is not None else str(error)
    return ("ok", "") if answers else ("broken", missing_chat_message(cls))


def _provider_row(entry: Entry) -> dict[str, Any]:
    state_name, reason = provider_state(entry)
    return _row("provider", entry, f"tako.providers.{entry.attr}", state_name, reason)


def _plugin_rows() -> list[dict[str, Any]]:
    """Load and list the general plugins, and required ones that are missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table shows it
        general = PLUGINS.general()
    entries = plugin_entries()
    rows = [_plugin_row(entry) for entry in entries]
    for required_name, source in PLUGINS.required.items():
        if not any(matches_entry(required_name, entry) for entry in entries) and required_name not in general:
            reason = f"{source} requires it, but no installed distribution has it"
            rows.append(dict(zip(COLUMNS, ("plugin", required_name, "", "", "", "missing", True, reason), strict=True)))
    return rows


def _plugin_row(entry: Entry) -> dict[str, Any]:
    required = any(matches_entry(required_name, entry) for required_name in PLUGINS.required)
    off, problem = exclusion_reason(entry), PLUGINS.problem_of(entry)
    state_name, reason = ("off", off) if off is not None else ("broken", problem) if problem is not None else ("ok", "")
    return _row("plugin", entry, entry.value, state_name, reason, required=required)


def _other_problems() -> list[dict[str, Any]]:
    """List what else is broken: distributions that can't be read, and commands that can't be found."""
    rows = [_row("distribution", entry, "", "broken", entry.problem or "") for entry in unreadable()]
    return rows + [
        _row("command", entry, entry.value, "broken", entry.problem) for entry in command_entries() if entry.problem
    ]


def _row(
    kind: str, entry: Entry, source: str, state_name: str, reason: str, *, required: bool = False
) -> dict[str, Any]:
    values = (kind, entry.name, source, entry.distribution, entry.version, state_name, required, reason)
    return dict(zip(COLUMNS, values, strict=True))
