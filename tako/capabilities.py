"""What a model can do, and what its tokens cost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from msgspec import Struct

from tako.types import Cost, Usage

MTOK = Decimal(1_000_000)
FREE = Decimal(0)


class Capabilities(Struct, frozen=True, kw_only=True):
    """What one model can do. Sizes are in tokens, prices in US dollars per million tokens, None if unknown.

    Attributes:
        max_context_tokens: The largest prompt and reply together.
        supports_streaming: Whether it streams.
        supports_tools: Whether it calls tools.
        supports_vision: Whether it reads images.
        supports_json_mode: Whether it replies in JSON on request.
        supports_documents: Whether it reads PDFs.
        supports_audio: Whether it hears audio.
        supports_video: Whether it watches video.
        usd_per_input_mtok: The price of input tokens.
        usd_per_output_mtok: The price of output tokens.
        usd_per_cached_mtok: The price of input tokens that are read from the cache.
        usd_per_cache_write_mtok: The price of cache writes, for the shortest duration that the vendor offers.
        usd_per_cache_write_1h_mtok: The price of cache writes that last an hour.
        usd_per_long_input_mtok: The price of input tokens if the prompt has more than ``prices_up_to_tokens``.
        usd_per_long_output_mtok: The price of output tokens after such a prompt.
        usd_per_long_cached_mtok: The price of cache reads in such a prompt.
        usd_per_long_cache_write_mtok: The price of cache writes of such a prompt.
        usd_per_web_search: The fee of one search that the vendor runs.
        prices_up_to_tokens: The longest prompt that the other prices hold for. None if there's no such limit.
        retires: The day on which the vendor turns the model off, if it's announced.
        replacement: The model that the vendor recommends instead.
        origins: Where the values come from, by field, such as ``{"max_context_tokens": "tako-openai 0.1.0: gpt-5
            (2026-11-22, https://...)"}``. "" is an assumption. ``provider.capability_origins()`` also knows about
            plugins and your own values.
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
    usd_per_long_input_mtok: float | None = None
    usd_per_long_output_mtok: float | None = None
    usd_per_long_cached_mtok: float | None = None
    usd_per_long_cache_write_mtok: float | None = None
    usd_per_web_search: float | None = None
    prices_up_to_tokens: int | None = None
    retires: date | None = None
    replacement: str | None = None
    origins: dict[str, str] = {}

    def is_long(self, usage: Usage) -> bool:
        """Whether a prompt has more tokens than the usual prices hold for."""
        return self.prices_up_to_tokens is not None and usage.input_tokens > self.prices_up_to_tokens

    def cost(self, usage: Usage) -> Cost | None:
        """Return the exact price of a usage. None if a price that it needs isn't known, or if it has no tokens.

        Cache reads and cache writes have their own prices; the rest of the input has the plain one.
        Fees of tools aren't in it, since a usage doesn't count them.
        """
        if usage.reasoning_tokens > usage.output_tokens:
            return None  # a part that is larger than the whole: nobody knows what was billed
        plain_input = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
        if not (usage.input_tokens or usage.output_tokens) or plain_input < 0:
            return None
        tokens = (plain_input, usage.output_tokens, usage.cached_tokens, usage.cache_write_tokens)
        parts: list[Decimal] = []
        for count, name in zip(tokens, LONG_PRICES if self.is_long(usage) else USUAL_PRICES, strict=True):
            price = _price(count, getattr(self, name))
            if price is None:
                return None
            parts.append(price)
        return Cost(*parts)


USUAL_PRICES = ("usd_per_input_mtok", "usd_per_output_mtok", "usd_per_cached_mtok", "usd_per_cache_write_mtok")
LONG_PRICES = tuple(name.replace("usd_per_", "usd_per_long_") for name in USUAL_PRICES)
PRICES = tuple(name for name in Capabilities.__struct_fields__ if name.startswith("usd_per_"))
"""The fields that are prices."""


def _price(tokens: int, usd_per_mtok: float | None) -> Decimal | None:
    """Return the price of some tokens. No tokens cost nothing, even if their price isn't known."""
    if not tokens:
        return FREE
    return None if usd_per_mtok is None else tokens * Decimal(str(usd_per_mtok)) / MTOK
