"""``tako models``: list the models of a vendor or a server."""

from __future__ import annotations

import inspect
from copy import copy
from typing import TYPE_CHECKING, Any

from tako.cli.models import choose_model
from tako.cli.run import print_to_stderr
from tako.cli.table import print_rows
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.cli.models import Choice
    from tako.listing import ModelInfo
    from tako.provider import Provider

ANY_MODEL = "models"
"""The model of a provider that needs one, but isn't called."""


def run(options: Namespace) -> int:
    """Run the command."""
    provider = _add_model(choose_model(options.provider, options.option, options.config)).provider()
    try:
        models = provider.blocking.list_models()
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
        | _known_facts(provider, model)
        for model in models
    ]
    if not rows and not options.json:
        print_to_stderr(f"tako: {provider.name} doesn't list any models")
        return 0
    print_rows(rows, as_json=options.json)
    return 0


def _known_facts(provider: Provider, model: ModelInfo) -> dict[str, Any]:
    """Return a model's prices, and what tako knows if the vendor doesn't say."""
    of_model = copy(provider)
    of_model.model = model.id
    of_model.refresh()
    capabilities = of_model.capabilities
    facts = {"max_context_tokens": model.max_context_tokens or capabilities.max_context_tokens}
    prices = {name: getattr(capabilities, name) for name in ("usd_per_input_mtok", "usd_per_output_mtok")}
    return {**facts, "retires": model.retires or capabilities.retires, **prices}


def _add_model(choice: Choice) -> Choice:
    """Add any model if a provider can't be made without one."""
    if choice.table is not None or ":" in choice.id:
        return choice
    parameters = inspect.signature(PLUGINS.provider_class(choice.id)).parameters
    needs = "model" in parameters and parameters["model"].default is inspect.Parameter.empty
    return choice._replace(id=f"{choice.id}:{ANY_MODEL}") if needs else choice
