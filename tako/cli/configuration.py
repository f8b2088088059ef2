"""Which ``tako.toml`` a command obeys: one rule for all of them, and a line on stderr that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.cli.run import complain
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from tako.config import Config
    from tako.tables import ProviderTable


def read_configuration(path: str | None, *, needed: bool = True) -> Config | None:
    """Read the file that applies: the one at ``path``, else as ``load_config`` finds it; None where there is none.

    Its ``[plugins]`` hold from then on, and the keys that the user keeps are in the environment. A line says if one in
    the current folder was skipped. Raises
    ConfigurationError; if the file isn't ``needed``, only if it may have ``[plugins]``.
    """
    from tako.cli.keychain import supply
    from tako.config import Found, RulesError, find_config, use_plugins

    supply()
    found = Found()
    try:
        found = find_config(path)
    except ConfigurationError as error:
        if needed or isinstance(error, RulesError):
            raise
    if found.skipped:
        complain(f"tako: {found.skipped}")
    use_plugins(found.config)
    return found.config


def announce(config: Config, path: str | None) -> None:
    """Say which file is in use, unless it was named for this command."""
    from tako.config import NAME

    if path is None:
        shown = f"./{config.path}" if config.path == NAME else config.path
        complain(f"tako: using {shown}")


def announce_rules(config: Config | None, path: str | None) -> None:
    """Say which file is in use for its ``[plugins]`` alone."""
    if config is not None and config.plugins:
        announce(config, path)


def table_of(config: Config | None, wanted: str) -> ProviderTable | None:
    """Return the provider of the file that a name stands for, or a name with a model, as in ``groq:llama-3.3-70b``.

    None where it stands for none, as the id of an installed provider does. Raises ConfigurationError where the name is
    also an installed provider's, and the file's is another one.
    """
    name, colon, model = wanted.partition(":")
    table = config.providers.get(name) if config is not None else None
    if config is None or table is None:
        return None
    used = table.use.partition(":")[0]
    if used != name and is_installed(name):
        place = f"the alias {name}" if table.alias else f"[providers.{name}]"
        raise ConfigurationError(
            f"{name!r} could be the installed provider, or {place} in {config.path}, which uses {used!r}: "
            f"rename the {'alias' if table.alias else 'table'}, or write {table.id}"
        )
    if colon:
        return None if is_installed(name) else table.of_model(model)
    return table


def is_installed(name: str) -> bool:
    """Whether a provider of this name or class is installed."""
    from tako.discovery import provider_entries

    return any(name in (entry.name, entry.attr) for entry in provider_entries())
