"""Names of models for completion: models that tako knows, and providers and aliases of tako.toml."""

from __future__ import annotations

from contextlib import suppress

from tako.config import find_config
from tako.errors import TakoError
from tako.names import known_models


def model_ids() -> list[str]:
    """Return what -m accepts: names in the configuration, then ids of known models."""
    names: list[str] = []
    with suppress(TakoError):
        config = find_config().config
        names = list(config.providers) if config is not None else []
    return [*names, *known_models()]
