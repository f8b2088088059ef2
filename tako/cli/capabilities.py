"""``tako capabilities``: what a model can do, what it costs, and where each value comes from."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako.cli.configuration import find_table
from tako.cli.models import Choice, configuration_for
from tako.cli.table import print_rows
from tako.environment import resolve
from tako.errors import ConfigurationError
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.provider import Provider


def run(options: Namespace) -> int:
    """Run the command, without the network."""
    provider = _make_provider(options.model, options.option, options.config)
    capabilities = msgspec.structs.asdict(provider.capabilities)
    capabilities.pop("origins")
    origins = provider.capability_origins()
    rows: list[dict[str, Any]] = [
        {
            "capability": name,
            "value": "unknown" if value is None and not options.json else value,
            "origin": origins.get(name, "" if value is None else "assumed"),
        }
        for name, value in capabilities.items()
    ]
    print_rows(rows, as_json=options.json)
    return 0


def _make_provider(id: str, options: list[str], path: str | None) -> Provider:
    """Make a provider that will not be called, so it needs no key."""
    config = configuration_for(id, path)
    try:
        return Choice(id, options, config, path, find_table(config, id)).provider()
    except ConfigurationError:
        table = find_table(config, id)
        if config is not None and table is not None:
            options_that_are_set = {name: value for name, value in table.options.items() if _is_set(value, name)}
            config = replace(config, providers={**config.providers, id: replace(table, options=options_that_are_set)})
        name = (id if table is None else table.id).partition(":")[0]
        is_keyless = "api_key" not in inspect.signature(PLUGINS.provider_class(name)).parameters
        has_key = any(option.startswith("api_key=") for option in options)
        options = options if is_keyless or has_key else [*options, "api_key=unused"]
        return Choice(id, options, config, path, table).provider()


def _is_set(value: Any, name: str) -> bool:
    """Whether all variables that an option of the file names are set."""
    try:
        resolve(value, name, "")
    except ConfigurationError:
        return False
    return True
