"""The tables that plugins ship: dated, with sources. To write the page: ``python tests/test_model_tables.py``."""

from __future__ import annotations

from datetime import date, timedelta
from importlib import import_module
from itertools import permutations
from pathlib import Path

import pytest

from tako.kit.models import ModelTable, Row

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "capabilities.md"
NEW_YEAR = date(2027, 1, 1)
MARK = "<!-- the tables are made"
PACKAGES = sorted(path.parent.name for path in ROOT.glob("plugins/*/tako_*/models.toml"))
BEDROCK = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def rows(package: str) -> list[Row]:
    return ModelTable(package).rows


@pytest.mark.parametrize("package", PACKAGES)
def test_every_row_has_a_source_and_a_date(package: str) -> None:
    assert rows(package)
    for row in rows(package):
        assert row.source.startswith("https://"), row
        assert row.date is not None, row
        assert row.date >= date(2025, 1, 1), row
        prices = [value for name, value in row.values(date.min).items() if name.startswith("usd_")]
        assert all(price >= 0 for price in prices), row
        assert (row.usd_per_input_mtok is None) == (row.usd_per_output_mtok is None), row


@pytest.mark.parametrize("package", PACKAGES)
def test_no_model_is_claimed_by_two_rows(package: str) -> None:
    table = ModelTable(package)
    ids = [row.id for row in table.rows]
    assert len(ids) == len(set(ids))
    for row in table.rows:
        assert row.id == row.id.lower()
        for version in (row.id, f"{row.id}-2026-11-22", f"{row.id}-latest"):
            assert version in ids or table.row(version) == row
    for one, other in permutations(table.rows, 2):
        assert table.row(one.id) != other


@pytest.mark.parametrize("package", PACKAGES)
def test_a_price_stands_in_one_file_and_says_where_it_is_from(package: str) -> None:
    table = ModelTable(package)
    by_hand = {row.id for row in table.sheet.model if row.usd_per_input_mtok is not None}
    generated = {row.id for row in table.prices.model}
    assert not by_hand & generated
    assert generated <= {row.id for row in table.rows}
    for id in generated:
        known = table.find(id)
        if known.usd_per_input_mtok is not None:
            assert f"({table.prices.date}, {table.prices.source})" in known.origins["usd_per_input_mtok"]
            assert table.prices.source not in known.origins.get("supports_tools", "")


def test_prices_that_have_lapsed_are_none() -> None:
    row = Row(id="acme-2", supports_tools=True, usd_per_input_mtok=1.0, prices_up_to_tokens=9, prices_through=NEW_YEAR)
    assert row.values(NEW_YEAR) == {"supports_tools": True, "usd_per_input_mtok": 1.0, "prices_up_to_tokens": 9}
    assert row.values(NEW_YEAR + timedelta(days=1)) == {"supports_tools": True}


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_model_has_the_familys_default(package: str) -> None:
    known = ModelTable(package).find("some-model-of-tomorrow")
    assert (known.supports_tools, known.supports_vision, known.supports_json_mode) == (True, True, True)
    assert set(known.origins.values()) == {""}
    assert known.usd_per_input_mtok is None


@pytest.mark.parametrize(
    ("package", "model", "row"),
    [
        ("tako_openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("tako_openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("tako_openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("tako_openai", "gpt-4o-audio-preview", None),
        ("tako_openai", "gpt-4-32k", None),
        ("tako_openai", "gpt-4.1", "gpt-4.1"),
        ("tako_openai", "gpt-5.1", "gpt-5.1"),
        ("tako_openai", "gpt-5-pro", None),
        ("tako_anthropic", "claude-opus-4-20250514", "claude-opus-4"),
        ("tako_anthropic", "claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("tako_anthropic", "claude-opus-4-9", None),
        ("tako_vertex", "gemini-2.5-flash-lite-001", "gemini-2.5-flash-lite"),
        ("tako_vertex", "gemini-2.5-flash-image", None),
        ("tako_bedrock", "amazon.nova-lite-v1:0:24k", "amazon.nova-lite"),
    ],
)
def test_versions_have_their_models_row_and_relatives_have_not(package: str, model: str, row: str | None) -> None:
    match = ModelTable(package).row(model)
    assert (match and match.id) == row


@pytest.mark.parametrize(
    "model", [BEDROCK, "anthropic.claude-sonnet-4-5", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"]
)
def test_a_bedrock_model_is_known_wherever_it_runs(model: str) -> None:
    provider = import_module("tako_bedrock").Bedrock(model, region="us-east-1")
    assert provider.capabilities.max_context_tokens == 200_000


def page() -> str:
    parts: list[str] = []
    for package in PACKAGES:
        parts += [f"### {package.replace('_', '-')}", ""]
        parts += [
            "| model | context | can't | input | output | cached | cache write | retires | read on |",
            "|---|" + "---:|" * 6 + "---|---|",
        ]
        parts += [_line(row) for row in rows(package)] + [""]
    return "\n".join(parts).rstrip() + "\n"


def _line(row: Row) -> str:
    missing = [
        name.removeprefix("supports_").replace("_", " ")
        for name, value in row.values(date.min).items()
        if value is False
    ]
    limit = f" (to {row.prices_up_to_tokens:,})" if row.prices_up_to_tokens else ""
    limit += f" (through {row.prices_through})" if row.prices_through else ""
    prices = [row.usd_per_input_mtok, row.usd_per_output_mtok, row.usd_per_cached_mtok, row.usd_per_cache_write_mtok]
    shown = ["" if price is None else f"{price:g}" for price in prices]
    shown[0] += limit
    context = f"{row.max_context_tokens:,}" if row.max_context_tokens else ""
    retires = f"{row.retires or ''}{f' (use `{row.replacement}`)' if row.replacement else ''}"
    cells = [f"`{row.id}`", context, ", ".join(missing), *shown, retires, f"[{row.date}]({row.source})"]
    return f"| {' | '.join(cells)} |"


def test_the_page_shows_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(page())


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, mark, tail = text.partition(MARK)
    PAGE.write_text(head + mark + tail.partition("\n")[0] + "\n\n" + page(), encoding="utf-8")
