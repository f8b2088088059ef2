"""``tako plugins``: for each provider, who stands in the chain of each hook, and from where."""

from __future__ import annotations

from importlib.metadata import packages_distributions, version
from typing import TYPE_CHECKING, Any

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce_rules, read_configuration
from tako.cli.providers import state
from tako.cli.run import FAILED
from tako.cli.table import show
from tako.discovery import provider_entries
from tako.hooks import HOOKS, PLUGINS
from tako.names import unknown_provider
from tako.options import without_secrets

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.config import Config
    from tako.hooks import Plugin
    from tako.installed import Entry

Source = tuple[str, str]
"""A distribution and its version."""


def run(options: Namespace) -> int:
    """Carry out the command; exit code 1 where one of the providers is broken."""
    config = read_configuration(options.config)
    announce_rules(config, options.config)
    PLUGINS.load()
    entries = provider_entries()
    wanted = {name for given in options.names for name in _installed(given, config)}
    found = [chains(entry) for entry in entries if not wanted or entry.name in wanted]
    if options.json:
        show(found, as_json=True)
    else:
        show([row for one in found for row in _rows(one)], as_json=False)
    return FAILED if any(one["state"] in ("broken", "ambiguous") for one in found) else 0


def _installed(name: str, config: Config | None) -> list[str]:
    """Return the names of the providers that a name stands for. One of the configuration's stands for what it uses."""
    tables = config.providers if config is not None else {}
    used = tables[name].use.partition(":")[0] if name in tables else name
    entries = [entry.name for entry in provider_entries() if used in (entry.name, entry.attr)]
    if not entries:
        raise UsageError(unknown_provider(name, list(tables)))
    return entries


def chains(entry: Entry) -> dict[str, Any]:
    """Return a provider's chains: by hook, its plugins in the order in which they are asked, the outermost first."""
    sound, why = state(entry)
    row: dict[str, Any] = {"provider": entry.name, "distribution": entry.distribution, "version": entry.version}
    row |= {"state": sound, "why": why, "hooks": {}}
    if sound == "ok":
        cls = PLUGINS.provider_class(entry.name)
        own = cls.own_plugins()
        inner = {name for name, _ in own["inner"]}
        hooks = PLUGINS.hooks(cls)
        sources = {name: _owner(name.removeprefix("provider "), entry) for name in inner} | _sources()
        for hook in HOOKS:
            row["hooks"][hook] = [
                _link(plugin, wraps, plugin in inner, hooks.general.get(plugin), sources)
                for plugin, wraps in hooks.chain(hook)
            ]
    return row


def _link(name: str, wraps: bool, own: bool, plugin: Plugin | None, sources: dict[str, Source]) -> dict[str, Any]:
    """Describe one plugin's part: it wraps, it overrides, it is the provider's own, or what holds without one."""
    role = "wraps" if wraps else "overrides" if plugin is not None else "provider" if own else "default"
    distribution, version = sources.get(name, ("", "") if plugin is not None else sources["tako"])
    return {
        "plugin": name,
        "role": role,
        "required": plugin is not None and PLUGINS.is_required(plugin),
        "distribution": distribution,
        "version": version,
        "options": without_secrets(PLUGINS.settings.options_for(plugin)) if plugin is not None else {},
    }


def _owner(module: str, entry: Entry) -> Source:
    """Say where a module of a provider comes from: its own distribution, or that of a class which it extends."""
    top = module.partition(".")[0]
    if top == "tako":
        return "tako-core", version("tako-core")
    for known in (entry, *provider_entries()):
        if top == known.module.partition(".")[0]:
            return known.distribution, known.version
    try:
        owner = next(iter(packages_distributions().get(top, ())), "")
        return (owner, version(owner)) if owner else ("", "")
    except Exception:  # noqa: BLE001 - any distribution's metadata may be broken
        return ("", "")


def _sources() -> dict[str, Source]:
    """Say where general plugins come from, by the names under which they are registered; and tako itself."""
    found: dict[str, Source] = {"tako": ("tako-core", version("tako-core"))}
    for plugin in PLUGINS.general().values():
        if plugin.entry is not None:
            found[plugin.name] = plugin.entry.distribution, plugin.entry.version
    return found


def _rows(one: dict[str, Any]) -> list[dict[str, Any]]:
    """Make lines of a table: what a line shares with the one above is left blank."""
    names = ("provider", "hook", "plugin", "role", "required", "distribution", "version", "options", "why")
    if not one["hooks"]:
        said = {"role": one["state"], "distribution": one["distribution"], "version": one["version"], "why": one["why"]}
        return [dict.fromkeys(names, "") | {"provider": one["provider"]} | said]
    rows: list[dict[str, Any]] = []
    for hook, links in one["hooks"].items():
        for link in links:
            first = link is links[0]
            where = {"provider": "" if rows else one["provider"], "hook": hook if first else ""}
            options = ", ".join(f"{key}={_json(value)}" for key, value in link["options"].items())
            where |= {"required": link["required"] or "", "options": options}
            rows.append(dict.fromkeys(names, "") | link | where)
    return rows


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
