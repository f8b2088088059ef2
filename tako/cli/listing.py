"""``tako models``: which models a vendor, or a server, has."""

from __future__ import annotations

import inspect
from copy import copy
from typing import TYPE_CHECKING, Any

from tako.cli.models import decide
from tako.cli.run import complain
from tako.cli.table import show
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.cli.models import Choice
    from tako.listing import ModelInfo
    from tako.provider import Provider

ANY = "models"
"""The model of a provider that is asked for none."""


def run(options: Namespace) -> int:
    """Carry out the command."""
    provider = _with_model(decide(options.provider, options.option, options.config)).provider()
    try:
        found = provider.blocking.list_models()
    finally:
        provider.blocking.close()
    rows: list[dict[str, Any]] = [
        {
            "id": model.id,
            "name": model.name,
            "created": model.created,
            "retires": model.retires,
            "max_context_tokens": model.max_context_tokens,
            "max_output_tokens": model.max_output_tokens,
        }
        | _known(provider, model)
        for model in found
    ]
    if not rows and not options.json:
        complain(f"tako: {provider.name} lists no models")
        return 0
    show(rows, as_json=options.json)
    return 0


def _known(provider: Provider, model: ModelInfo) -> dict[str, Any]:
    """Return the prices of a model, and what the vendor doesn't tell of it and tako knows."""
    of_model = copy(provider)
    of_model.model = model.id
    of_model.refresh()
    known = of_model.capabilities
    facts = {"max_context_tokens": model.max_context_tokens or known.max_context_tokens}
    prices = {name: getattr(known, name) for name in ("usd_per_input_mtok", "usd_per_output_mtok")}
    return {**facts, "retires": model.retires or known.retires, **prices}


def _with_model(choice: Choice) -> Choice:
    """Name any model if a provider can't be made without one."""
    if choice.table is not None or ":" in choice.wanted:
        return choice
    parameters = inspect.signature(PLUGINS.provider_class(choice.wanted)).parameters
    needs = "model" in parameters and parameters["model"].default is inspect.Parameter.empty
    return choice._replace(wanted=f"{choice.wanted}:{ANY}") if needs else choice
