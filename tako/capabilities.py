"""What a model can do, and what its tokens cost."""

from __future__ import annotations

from msgspec import Struct


class Capabilities(Struct, frozen=True, kw_only=True):
    """What one model can do.

    Sizes are in tokens, prices in US dollars per million tokens; None where a value is not known.
    """

    max_context_tokens: int | None = None
    supports_streaming: bool = True
    supports_tools: bool = False
    supports_vision: bool = False
    supports_json_mode: bool = False
    usd_per_input_mtok: float | None = None
    usd_per_output_mtok: float | None = None
    usd_per_cached_mtok: float | None = None
    usd_per_cache_write_mtok: float | None = None
    origins: dict[str, str] = {}
