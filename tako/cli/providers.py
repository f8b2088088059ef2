"""``tako providers``: what is installed, and why something is broken."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tako.cli.run import FAILED, complain
from tako.cli.table import NO_PROVIDERS, show
from tako.discovery import find_provider, plugin_entries, provider_entries
from tako.errors import PluginError
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.discovery import Entry


def run(options: Namespace) -> int:
    """Carry out the command; exit code 1 where something is broken."""
    plugins = _plugins()  # first, since they take part in whether a provider is sound
    providers = [_provider(entry) for entry in provider_entries()]
    rows = providers + plugins
    show(rows, as_json=options.json)
    if plugins and not providers and not options.json:
        complain(NO_PROVIDERS)
    if "debug" in options:
        for name, trace in PLUGINS.failed.items():
            sys.stderr.write(f"\n{name}:\n{trace}")
    return FAILED if any(row["state"] in ("broken", "ambiguous") for row in rows) else 0


def state(entry: Entry) -> tuple[str, str]:
    """Import a provider and return its state ("ok", "off", "ambiguous", "broken") and the reason in one line."""
    if entry.barred is not None:
        return "off", entry.barred
    try:
        chosen = find_provider(entry.name)
    except PluginError as error:
        return "ambiguous", str(error)
    if chosen is not None and chosen.distribution != entry.distribution:
        return "off", f"TAKO_PREFER takes {entry.name!r} from {chosen.distribution}"
    try:
        PLUGINS.hooks(PLUGINS.provider_class(entry.name))
    except PluginError as error:
        cause = error.__cause__
        return "broken", f"{type(cause).__name__}: {cause}" if cause is not None else str(error)
    return "ok", ""


def _provider(entry: Entry) -> dict[str, Any]:
    found, why = state(entry)
    return _row("provider", entry, f"tako.providers.{entry.attr}", found, why)


def _plugins() -> list[dict[str, Any]]:
    """List the general plugins, loaded."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table says it
        PLUGINS.load()
    rows: list[dict[str, Any]] = []
    for entry in plugin_entries():
        trace = PLUGINS.failed.get(entry.name) or PLUGINS.failed.get(f"{entry.distribution}:{entry.name}")
        if entry.barred is not None:
            found, why = "off", entry.barred
        elif trace is not None:
            found, why = "broken", trace.strip().rpartition("\n")[2]
        else:
            found, why = "ok", ""
        rows.append(_row("plugin", entry, entry.point.value, found, why))
    return rows


def _row(kind: str, entry: Entry, place: str, found: str, why: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": entry.name,
        "class": place,
        "distribution": entry.distribution,
        "version": entry.version,
        "state": found,
        "why": why,
    }
