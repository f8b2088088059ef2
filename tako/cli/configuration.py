"""Which ``tako.toml`` a command uses: the same rule for all commands, and a line on stderr that names the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.cli.run import print_to_stderr
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from tako.config import Config
    from tako.tables import ProviderTable


def read_configuration(path: str | None, *, needed: bool = True) -> Config | None:
    """Read the file at ``path``, or else the one that ``load_config`` finds. Return None if there isn't one.

    Its ``[plugins]`` apply from then on, and the keys that the user stored are in the environment. If a file in the
    current folder was skipped, a line says so. Raises ConfigurationError; if the file isn't ``needed``, only if it may
    have ``[plugins]``.
    """
    from tako.cli.keychain import export_keys
    from tako.config import FoundConfig, RulesError, find_config, use_plugins

    export_keys()
    lookup = FoundConfig()
    try:
        lookup = find_config(path)
    except ConfigurationError as error:
        if needed or isinstance(error, RulesError):
            raise
    if lookup.skipped:
        print_to_stderr(f"tako: {lookup.skipped}")
    use_plugins(lookup.config)
    return lookup.config


def announce(config: Config, path: str | None) -> None:
    """Print which file is in use, unless the user named it for this command."""
    from tako.config import NAME

    if path is None:
        display_path = f"./{config.path}" if config.path == NAME else config.path
        print_to_stderr(f"tako: using {display_path}")


def announce_rules(config: Config | None, path: str | None) -> None:
    """Print which file is in use, if it has ``[plugins]``."""
    if config is not None and config.plugins:
        announce(config, path)


def find_table(config: Config | None, name_or_id: str) -> ProviderTable | None:
    """Return the file's provider with this name, or with this name and a model, as in ``groq:llama-3.3-70b``.

    Return None if the file has none, as for the id of an installed provider. Raises ConfigurationError if the name is
    also an installed provider's, and the file uses another provider under it.
    """
    name, colon, model = name_or_id.partition(":")
    table = config.providers.get(name) if config is not None else None
    if config is None or table is None:
        return None
    provider_name = table.use.partition(":")[0]
    if provider_name != name and is_installed(name):
        label = f"the alias {name}" if table.alias else f"[providers.{name}]"
        raise ConfigurationError(
            f"{name!r} could be the installed provider, or {label} in {config.path}, which uses {provider_name!r}: "
            f"rename the {'alias' if table.alias else 'table'}, or write {table.id}"
        )
    if colon:
        return None if is_installed(name) else table.of_model(model)
    return table


def is_installed(name: str) -> bool:
    """Whether a provider of this name or class is installed."""
    from tako.discovery import provider_entries

    return any(name in (entry.name, entry.attr) for entry in provider_entries())
