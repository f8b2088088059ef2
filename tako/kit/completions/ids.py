"""Ids of calls as OpenAI takes those that others made."""

from __future__ import annotations

from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_ID = 40
"""Characters that OpenAI takes as the id of a call; others make longer ones."""


def call_ids(id: str) -> Iterator[str]:
    """Yield ids that may stand for one: itself, unless it's too long, then others like it."""
    if len(id) > LONGEST_ID:
        digest = sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
        id = f"{id[: LONGEST_ID - 13]}_{digest[:12]}"
    yield id or "call"
    yield from (f"{id[: LONGEST_ID - 5]}_{number}" for number in count(2))
