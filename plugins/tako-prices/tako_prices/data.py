"""What genai-prices knows about a model. Only this module imports it, and pydantic with it."""

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
"""Names of prices in tako and in genai-prices; both are in US dollars per million tokens."""
LONG_FIELDS = {name: name.replace("usd_per_", "usd_per_long_") for name in list(FIELDS)[:4]}
"""The names of the same prices for longer prompts."""
OTHER_PRICES = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""Other prices of a text reply. If a model has one, the sum of the above would be wrong."""


def look_up(vendor: Vendor, model: str) -> tuple[dict[str, Any], str]:
    """Return what is known about a vendor's model, as fields of Capabilities, and its source."""
    snapshot = get_snapshot()
    name = model.rpartition("/")[2] if vendor.id == "google" else model  # publishers/google/models/…
    try:
        vendor_info, model_info = snapshot.find_provider_model(name, None, vendor.id, vendor.url)
    except LookupError:
        return {}, ""
    updated = f", updated {snapshot.timestamp:%Y-%m-%d}" if snapshot.from_auto_update else ""
    values = prices_of(model_info)
    if model_info.context_window is not None:
        values["max_context_tokens"] = model_info.context_window
    return values, f"genai-prices {__version__}{updated}: {vendor_info.id}/{model_info.id}"


def prices_of(model: ModelInfo) -> dict[str, Any]:
    """Return today's prices, with the prompt length up to which they apply; none if they depend on the hour."""
    conditional = model.prices if isinstance(model.prices, list) else []
    if any(isinstance(price.constraint, TimeOfDateConstraint) for price in conditional):
        return {}
    vendor_prices = vars(model.get_prices(datetime.now(UTC))) if model.prices else {}
    if any(vendor_prices.get(name) is not None for name in OTHER_PRICES):
        return {}
    values: dict[str, Any] = {}
    unchanged: dict[str, Any] = {}  # prices that are the same for longer prompts
    limits: list[int] = []
    for field, name in FIELDS.items():
        price = vendor_prices.get(name)
        if isinstance(price, TieredPrices):
            limits += [tier.start for tier in price.tiers]
            if len(price.tiers) == 1 and field in LONG_FIELDS:
                values[LONG_FIELDS[field]] = float(price.tiers[0].price)
            price = price.base
        elif isinstance(price, Decimal) and field in LONG_FIELDS:
            unchanged[LONG_FIELDS[field]] = float(price)
        if isinstance(price, Decimal):
            values[field] = float(price)
    if values:
        values["prices_up_to_tokens"] = min(limits, default=None)
        search = vendor_prices.get("web_searches_kcount")
        values["usd_per_web_search"] = float(search / 1000) if isinstance(search, Decimal) else None
    if len(set(limits)) > 1:
        return {name: value for name, value in values.items() if name not in LONG_FIELDS.values()}
    return values | unchanged if limits else values
