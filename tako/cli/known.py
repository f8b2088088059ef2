"""Names that may be completed: models that are known without asking anybody, providers of tako.toml, aliases."""

from __future__ import annotations

from contextlib import suppress

from tako.config import find_config
from tako.errors import TakoError
from tako.names import known_models


def model_ids() -> list[str]:
    """Return what may stand after -m: names of the configuration that applies, then ids of known models."""
    names: list[str] = []
    with suppress(TakoError):
        config = find_config().config
        names = list(config.providers) if config is not None else []
    return [*names, *known_models()]
