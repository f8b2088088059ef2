"""Update the prices in the vendors' tables from genai-prices: ``uv run --group dev python .ci/prices.py``.

Each ``prices.toml`` beside a ``models.toml`` has the standard prices of the models in that table, from the
installed genai-prices (https://github.com/pydantic/genai-prices, MIT). Other models may have prices in
``models.toml``, with their own source. Azure's and Bedrock's prices depend on the region, so their tables have none.
"""

from __future__ import annotations

import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from genai_prices import __version__
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import StartDateConstraint
from tako_prices.data import prices_of

from tako.capabilities import PRICES

PLUGINS = Path(__file__).parent.parent / "plugins"
VENDORS = {"tako-anthropic": "anthropic", "tako-mistral": "mistral", "tako-openai": "openai", "tako-vertex": "google"}
"""The distributions whose tables have prices, and the names of their vendors in genai-prices."""
FIELDS = (*PRICES, "prices_up_to_tokens", "prices_through")


def price(vendor: str, model: str) -> dict[str, Any]:
    """Return the prices of a model, and their last day if a change is announced."""
    try:
        _, vendor_model = get_snapshot().find_provider_model(model, None, vendor, None)
    except LookupError:
        return {}
    values = {name: value for name, value in prices_of(vendor_model).items() if value is not None}
    if values.get("usd_per_input_mtok") is None or values.get("usd_per_output_mtok") is None:
        return {}
    today = datetime.now(UTC).date()
    conditions = (
        [condition.constraint for condition in vendor_model.prices] if isinstance(vendor_model.prices, list) else []
    )
    starts = [condition.start_date for condition in conditions if isinstance(condition, StartDateConstraint)]
    changes = [day for day in starts if day > today]
    if vendor != "anthropic":
        values.pop("usd_per_web_search", None)  # the others don't say how many of their searches they bill
    return values | ({"prices_through": min(changes) - timedelta(days=1)} if changes else {})


def table(vendor: str, models: list[str]) -> str:
    """Return the text of a table."""
    lines = [
        "# Prices in US dollars per million tokens of the vendor's standard service. Written by",
        f"# .ci/prices.py from genai-prices {__version__}; don't change it by hand.",
        "",
        'source = "https://github.com/pydantic/genai-prices"',
        f"date = {datetime.now(UTC).date()}",
    ]
    for model in models:
        values = price(vendor, model)
        if not values:
            continue
        lines += ["", "[[model]]", f'id = "{model}"']
        lines += [f"{name} = {values[name]}" for name in FIELDS if name in values]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the tables."""
    for distribution, vendor in VENDORS.items():
        folder = PLUGINS / distribution / distribution.replace("-", "_")
        models = [row["id"] for row in tomllib.loads((folder / "models.toml").read_text(encoding="utf-8"))["model"]]
        text = table(vendor, models)
        (folder / "prices.toml").write_text(text, encoding="utf-8")
        sys.stdout.write(f"{distribution}: {text.count('[[model]]')} of {len(models)} models have prices\n")


if __name__ == "__main__":
    main()
