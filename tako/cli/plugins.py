"""``tako plugins``: show the plugins in the chain of each provider's hooks, and where they come from."""

from __future__ import annotations

from importlib.metadata import packages_distributions, version
from typing import TYPE_CHECKING, Any

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce_rules, read_configuration
from tako.cli.providers import provider_state
from tako.cli.run import FAILED
from tako.cli.table import print_rows
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
    """Run the command; exit code 1 if a provider is broken."""
    config = read_configuration(options.config)
    announce_rules(config, options.config)
    PLUGINS.load()
    entries = provider_entries()
    selected = {name for requested in options.names for name in _installed(requested, config)}
    rows = [chains(entry) for entry in entries if not selected or entry.name in selected]
    if options.json:
        print_rows(rows, as_json=True)
    else:
        print_rows([row for chain in rows for row in _rows(chain)], as_json=False)
    return FAILED if any(chain["state"] in ("broken", "ambiguous") for chain in rows) else 0


def _installed(name: str, config: Config | None) -> list[str]:
    """Return the installed providers for a name. A name in the configuration means the provider that it uses."""
    tables = config.providers if config is not None else {}
    provider_name = tables[name].use.partition(":")[0] if name in tables else name
    entries = [entry.name for entry in provider_entries() if provider_name in (entry.name, entry.attr)]
    if not entries:
        raise UsageError(unknown_provider(name, list(tables)))
    return entries


def chains(entry: Entry) -> dict[str, Any]:
    """Return a provider's chains: for each hook its plugins, outermost first."""
    state_name, reason = provider_state(entry)
    row: dict[str, Any] = {"provider": entry.name, "distribution": entry.distribution, "version": entry.version}
    row |= {"state": state_name, "why": reason, "hooks": {}}
    if state_name == "ok":
        cls = PLUGINS.provider_class(entry.name)
        own_plugins = cls.own_plugins()
        inner = {name for name, _ in own_plugins["inner"]}
        hooks = PLUGINS.hooks(cls)
        sources = {name: _module_source(name.removeprefix("provider "), entry) for name in inner} | _plugin_sources()
        for hook in HOOKS:
            row["hooks"][hook] = [
                _describe(plugin, wraps, plugin in inner, hooks.general.get(plugin), sources)
                for plugin, wraps in hooks.chain(hook)
            ]
    return row


def _describe(
    name: str, wraps: bool, is_own: bool, plugin: Plugin | None, sources: dict[str, Source]
) -> dict[str, Any]:
    """Describe a plugin in a chain: it wraps, it overrides, it's the provider itself, or it's tako's default."""
    role = "wraps" if wraps else "overrides" if plugin is not None else "provider" if is_own else "default"
    distribution, version = sources.get(name, ("", "") if plugin is not None else sources["tako"])
    return {
        "plugin": name,
        "role": role,
        "required": plugin is not None and PLUGINS.is_required(plugin),
        "distribution": distribution,
        "version": version,
        "options": without_secrets(PLUGINS.settings.options_for(plugin)) if plugin is not None else {},
    }


def _module_source(module: str, entry: Entry) -> Source:
    """Return the distribution of a provider's module, which may be that of a class that the provider extends."""
    top_module = module.partition(".")[0]
    if top_module == "tako":
        return "tako-core", version("tako-core")
    for provider_entry in (entry, *provider_entries()):
        if top_module == provider_entry.module.partition(".")[0]:
            return provider_entry.distribution, provider_entry.version
    try:
        owner = next(iter(packages_distributions().get(top_module, ())), "")
        return (owner, version(owner)) if owner else ("", "")
    except Exception:  # noqa: BLE001 - the metadata of any distribution may be broken
        return ("", "")


def _plugin_sources() -> dict[str, Source]:
    """Return the distributions of general plugins, by the names under which they are registered, and of tako."""
    sources: dict[str, Source] = {"tako": ("tako-core", version("tako-core"))}
    for plugin in PLUGINS.general().values():
        if plugin.entry is not None:
            sources[plugin.name] = plugin.entry.distribution, plugin.entry.version
    return sources


def _rows(chain: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a table. Cells that are the same as in the row above are blank."""
    names = ("provider", "hook", "plugin", "role", "required", "distribution", "version", "options", "why")
    if not chain["hooks"]:
        state_cells = {
            "role": chain["state"],
            "distribution": chain["distribution"],
            "version": chain["version"],
            "why": chain["why"],
        }
        return [dict.fromkeys(names, "") | {"provider": chain["provider"]} | state_cells]
    rows: list[dict[str, Any]] = []
    for hook, links in chain["hooks"].items():
        for link in links:
            is_first = link is links[0]
            cells = {"provider": "" if rows else chain["provider"], "hook": hook if is_first else ""}
            options = ", ".join(f"{key}={_to_json(value)}" for key, value in link["options"].items())
            cells |= {"required": link["required"] or "", "options": options}
            rows.append(dict.fromkeys(names, "") | link | cells)
    return rows


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
