"""``tako capabilities``: what a model can do and cost, and where each value is from."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec

from tako.cli.models import pick, resolve
from tako.cli.table import show
from tako.errors import ConfigurationError
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.provider import Provider


def run(options: Namespace) -> int:
    """Carry out the command; the network is not asked."""
    provider = _make(options.model, options.option)
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


def _make(given: str, options: list[str]) -> Provider:
    """Make a provider that will not be called: a key that is missing is no obstacle."""
    try:
        return pick(given, options)[0]
    except ConfigurationError:
        name = resolve(given).partition(":")[0]
        if "api_key" not in inspect.signature(PLUGINS.provider_class(name)).parameters or any(
            option.startswith("api_key=") for option in options
        ):
            raise
        return pick(given, [*options, "api_key=unused"])[0]
