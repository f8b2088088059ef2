"""What vendors tell beside answers: which models there are, and how many tokens a request has."""

from __future__ import annotations

from datetime import date
from typing import Any

from msgspec import Struct


class ModelInfo(Struct, frozen=True):
    """A model that a vendor, or a server, lists; fields that it doesn't tell are None or "".

    ``id`` is what a provider is made with. Sizes are in tokens. ``retires`` is the day on which the vendor ends it.
    ``raw`` is the vendor's own entry.
    """

    id: str
    name: str = ""
    created: date | None = None
    retires: date | None = None
    max_context_tokens: int | None = None
    max_output_tokens: int | None = None
    raw: dict[str, Any] = {}


class TokenCount(Struct, frozen=True):
    """How many tokens a request has before it's answered, as the vendor counts; ``raw`` is its own reply."""

    input_tokens: int
    raw: dict[str, Any] = {}
