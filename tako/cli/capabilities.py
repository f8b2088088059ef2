"""``tako capabilities``: what a model can do and cost, and where each value is from."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako.cli.configuration import table_of
from tako.cli.models import Choice, configuration_for
from tako.cli.table import show
from tako.environment import resolve
from tako.errors import ConfigurationError
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.provider import Provider


def run(options: Namespace) -> int:
    """Carry out the command; the network is not asked."""
    provider = _make(options.model, options.option, options.config)
    known = msgspec.structs.asdict(provider.capabilities)
    known.pop("origins")
    origins = provider.capability_origins()
    rows: list[dict[str, Any]] = [
        {
            "capability": name,
            "value": "unknown" if value is None and not options.json else value,
            "origin": origins.get(name, "" if value is None else "assumed"),
        }
        for name, value in known.items()
    ]
    show(rows, as_json=options.json)
    return 0


def _make(given: str, options: list[str], path: str | None) -> Provider:
    """Make a provider that will not be called: a key that is missing is no obstacle."""
    config = configuration_for(given, path)
    try:
        return Choice(given, options, config, path, table_of(config, given)).provider()
    except ConfigurationError:
        table = table_of(config, given)
        if config is not None and table is not None:
            known = {name: value for name, value in table.options.items() if _is_set(value, name)}
            config = replace(config, providers={**config.providers, given: replace(table, options=known)})
        name = (given if table is None else table.id).partition(":")[0]
        keyless = "api_key" not in inspect.signature(PLUGINS.provider_class(name)).parameters
        given_key = any(option.startswith("api_key=") for option in options)
        options = options if keyless or given_key else [*options, "api_key=unused"]
        return Choice(given, options, config, path, table).provider()


def _is_set(value: Any, name: str) -> bool:
    """Whether the environment has all that an option of the file names."""
    try:
        resolve(value, name, "")
    except ConfigurationError:
        return False
    return True
