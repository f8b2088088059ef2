"""What vendors tell you beside replies: their models, and the number of tokens in a request."""

from __future__ import annotations

from datetime import date
from typing import Any

from msgspec import Struct


class ModelInfo(Struct, frozen=True):
    """A model that a vendor or a server lists. Fields that it doesn't tell are None or "".

    Attributes:
        id: The id that you give to a provider.
        name: The name for people.
        created: The day it was made or released.
        retires: The day on which the vendor turns it off.
        max_context_tokens: The largest prompt and reply together, in tokens.
        max_output_tokens: The largest reply, in tokens.
        raw: The vendor's own entry.
    """

    id: str
    name: str = ""
    created: date | None = None
    retires: date | None = None
    max_context_tokens: int | None = None
    max_output_tokens: int | None = None
    raw: dict[str, Any] = {}


class TokenCount(Struct, frozen=True):
    """The number of tokens in a request, as the vendor counts them.

    Attributes:
        input_tokens: The tokens.
        raw: The vendor's own reply.
    """

    input_tokens: int
    raw: dict[str, Any] = {}
