"""What a model can do, and what its tokens cost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from msgspec import Struct

from tako.types import Cost, Usage

MTOK = Decimal(1_000_000)


class Capabilities(Struct, frozen=True, kw_only=True):
    """What one model can do.

    ``retires`` is the day on which the vendor turns it off, as far as that is announced, and ``replacement`` the model
    that the vendor recommends instead.

    Sizes are in tokens, prices in US dollars per million tokens; None where a value is not known. The prices hold for
    prompts of up to ``prices_up_to_tokens``; longer ones have others. Cache writes have the price
    of the shortest duration, and those that last an hour one of their own. ``origins`` says of fields where
    their values are from, as in ``{"max_context_tokens": "tako-openai 0.1.0: gpt-5 (2026-11-22, https://...)"}``; "" is
    an assumption, as is a field that is missing beside others. ``provider.capability_origins()`` knows of plugins and
    users, too.
    """

    max_context_tokens: int | None = None
    supports_streaming: bool = True
    supports_tools: bool = False
    supports_vision: bool = False
    supports_json_mode: bool = False
    supports_documents: bool = False
    supports_audio: bool = False
    supports_video: bool = False
    usd_per_input_mtok: float | None = None
    usd_per_output_mtok: float | None = None
    usd_per_cached_mtok: float | None = None
    usd_per_cache_write_mtok: float | None = None
    usd_per_cache_write_1h_mtok: float | None = None
    prices_up_to_tokens: int | None = None
    retires: date | None = None
    replacement: str | None = None
    origins: dict[str, str] = {}

    def cost(self, usage: Usage) -> Cost | None:
        """Return what a usage costs, exactly; None where a price that it needs is not known, or no tokens are.

        Cached reads and cache writes have prices of their own; the rest of the input has the plain one.
        """
        if usage.reasoning_tokens > usage.output_tokens:
            return None  # a part that is larger than the whole: nobody knows what was billed
        plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
        limit = self.prices_up_to_tokens
        if (
            not (usage.input_tokens or usage.output_tokens)
            or plain < 0
            or (limit is not None and usage.input_tokens > limit)
        ):
            return None
        parts = [
            _price(plain, self.usd_per_input_mtok),
            _price(usage.output_tokens, self.usd_per_output_mtok),
            _price(usage.cached_tokens, self.usd_per_cached_mtok),
            _price(usage.cache_write_tokens, self.usd_per_cache_write_mtok),
        ]
        known = [part for part in parts if part is not None]
        return Cost(*known) if len(known) == len(parts) else None


PRICES = tuple(name for name in Capabilities.__struct_fields__ if name.startswith("usd_per_"))
"""The fields that are prices."""


def _price(tokens: int, usd_per_mtok: float | None) -> Decimal | None:
    """Price some tokens; none cost nothing, whatever their price."""
    if not tokens:
        return Decimal(0)
    return None if usd_per_mtok is None else tokens * Decimal(str(usd_per_mtok)) / MTOK
