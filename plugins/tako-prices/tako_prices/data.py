"""What genai-prices knows of a model. The only module that imports it, and pydantic with it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from genai_prices import __version__
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices, TimeOfDateConstraint

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

    from tako_prices.vendors import Vendor

FIELDS = {
    "usd_per_input_mtok": "input_mtok",
    "usd_per_output_mtok": "output_mtok",
    "usd_per_cached_mtok": "cache_read_mtok",
    "usd_per_cache_write_mtok": "cache_write_mtok",
    "usd_per_cache_write_1h_mtok": "cache_write_1h_mtok",
}
"""Our names of prices, and theirs; both are in US dollars per million tokens."""
LONG = {name: name.replace("usd_per_", "usd_per_long_") for name in list(FIELDS)[:4]}
"""The names of the same prices for longer prompts."""
APART = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""Prices that a reply of text may cost beside those, which leave no sum that is right without them."""


def look_up(vendor: Vendor, model: str) -> tuple[dict[str, Any], str]:
    """Return what is known of a vendor's model, as fields of Capabilities, and where it is from."""
    snapshot = get_snapshot()
    name = model.rpartition("/")[2] if vendor.id == "google" else model  # publishers/google/models/…
    try:
        owner, found = snapshot.find_provider_model(name, None, vendor.id, vendor.url)
    except LookupError:
        return {}, ""
    updated = f", updated {snapshot.timestamp:%Y-%m-%d}" if snapshot.from_auto_update else ""
    values = prices_of(found)
    if found.context_window is not None:
        values["max_context_tokens"] = found.context_window
    return values, f"genai-prices {__version__}{updated}: {owner.id}/{found.id}"


def prices_of(model: ModelInfo) -> dict[str, Any]:
    """Return the prices of today, with the length of prompt up to which they hold; none where they go by the hour."""
    conditional = model.prices if isinstance(model.prices, list) else []
    if any(isinstance(price.constraint, TimeOfDateConstraint) for price in conditional):
        return {}
    theirs = vars(model.get_prices(datetime.now(UTC))) if model.prices else {}
    if any(theirs.get(name) is not None for name in APART):
        return {}
    values: dict[str, Any] = {}
    plain: dict[str, Any] = {}  # prices that are the same for longer prompts
    limits: list[int] = []
    for ours, name in FIELDS.items():
        price = theirs.get(name)
        if isinstance(price, TieredPrices):
            limits += [tier.start for tier in price.tiers]
            if len(price.tiers) == 1 and ours in LONG:
                values[LONG[ours]] = float(price.tiers[0].price)
            price = price.base
        elif isinstance(price, Decimal) and ours in LONG:
            plain[LONG[ours]] = float(price)
        if isinstance(price, Decimal):
            values[ours] = float(price)
    if values:
        values["prices_up_to_tokens"] = min(limits, default=None)
        search = theirs.get("web_searches_kcount")
        values["usd_per_web_search"] = float(search / 1000) if isinstance(search, Decimal) else None
    if len(set(limits)) > 1:
        return {name: value for name, value in values.items() if name not in LONG.values()}
    return values | plain if limits else values
