"""How a run is carried out."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tako.errors import ConfigurationError
from tako.provider import Provider
from tako_map.answers import Answers


class Settings(Struct, frozen=True, kw_only=True):
    """What ``run`` is told. ``spent`` (US dollars) and ``unpriced`` (tokens in and out) are of earlier runs.

    Raises ConfigurationError for a number out of range.
    """

    provider: str | Provider
    options: dict[str, Any] = {}
    engine: str = "local"
    address: str | None = None
    workers: int | None = None
    rpm: float | None = None
    tpm: float | None = None
    max_cost: float | None = None
    spent: float = 0.0
    unpriced: tuple[int, int] = (0, 0)
    concurrency: int = 64
    attempts: int = 8
    budget: str | None = None
    answers: Answers | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("rpm", "tpm", "concurrency", "attempts", "workers"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} is {value}; it must be more than 0")
        if self.max_cost is not None and not self.max_cost >= 0:
            raise ConfigurationError(f"max_cost is {self.max_cost}; it can't be less than 0")
