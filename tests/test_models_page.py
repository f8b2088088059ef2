"""The page of current models, made from the plugins' tables. To write it: ``python tests/test_models_page.py``."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from tako.kit.completions.dialect import Dialect, for_openai
from tako.kit.families import rules_of
from tako.kit.models import ModelTable, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "models.md"
MARK = "<!-- the tables are made"


class Vendor(NamedTuple):
    """A section: its heading, what readers need first, the pages with more, and the API of most models."""

    heading: str
    introduction: str
    pages: str
    api: str


VENDORS = {
    "tako_anthropic": Vendor(
        "Anthropic",
        "Prefix `anthropic:`, plugin `tako-anthropic`.",
        "[Anthropic](providers/anthropic.md)",
        "Messages",
    ),
    "tako_azure_openai": Vendor(
        "Azure OpenAI",
        "Prefix `azure-openai:`, plugin `tako-azure-openai`. Prices differ by region and contract, so they aren't "
        "here.",
        "[Azure OpenAI](providers/azure-openai.md)",
        "Responses",
    ),
    "tako_bedrock": Vendor(
        "AWS Bedrock",
        "Prefix `bedrock:`, plugin `tako-bedrock`. Prices differ by region, so they aren't here. Use the ids of AWS, "
        "which have a version and often a region, as in `us.amazon.nova-pro-v1:0`. AWS lists [when models "
        "retire](https://docs.aws.amazon.com/bedrock/latest/userguide/model-lifecycle.html).",
        "[AWS Bedrock](providers/bedrock.md)",
        "Converse",
    ),
    "tako_mistral": Vendor(
        "Mistral",
        "Prefix `mistral:`, plugin `tako-mistral`.",
        "[Mistral](providers/mistral.md)",
        "Chat Completions",
    ),
    "tako_openai": Vendor(
        "OpenAI",
        "Prefix `openai:`, plugin `tako-openai`.",
        "[OpenAI](providers/openai.md)",
        "Responses",
    ),
    "tako_vertex": Vendor(
        "Google",
        "Plugin `tako-vertex`. The prefix `gemini:` uses the Gemini Developer API with a key, `vertex:` uses Google "
        "Cloud. Claude models only work with `vertex:`. Prices are those of the global endpoint.",
        "[Gemini](providers/gemini.md), [Vertex AI](providers/vertex.md)",
        "generateContent",
    ),
}
MISSING = {
    "supports_tools": "no tools",
    "supports_vision": "no images",
    "supports_documents": "no documents",
    "supports_json_mode": "no JSON mode",
}
VERSIONS = {"anthropic.claude": "anthropic.claude-v2"}
"""Ids that only exist with a version, and the one that the page shows."""


def limits(package: str, model: str, row: Row) -> Iterator[str]:
    """List in a few words what a model accepts and refuses."""
    values = row.values(date.min)
    yield from (text for name, text in MISSING.items() if values.get(name) is False)
    rules = rules_of(model)
    dialect = for_openai(Dialect(), model)
    is_openai = package in ("tako_openai", "tako_azure_openai")
    can_reason = bool(rules.budgets or rules.efforts)
    if not rules.sampling or (is_openai and not dialect.sampling):
        yield "no sampling"
    elif (is_openai and not dialect.sampling_beside_effort) or (can_reason and not rules.sampling_beside_thinking):
        yield "no sampling with reasoning"
    elif not rules.sampling_together:
        yield "temperature or top_p"
    if is_openai and dialect.needs != "chat" and dialect.stops == 0:
        yield "no stop sequences"
    if rules.budgets:
        yield f"reasoning: {rules.budgets[0]:,} to {rules.budgets[1]:,} tokens"
    elif rules.efforts and (not is_openai or dialect.reasoning_effort):
        least = dialect.least_effort if is_openai else rules.efforts[0]
        yield f"reasoning: {least} to {rules.efforts[-1]}"
    if rules.family and not rules.prefill:
        yield "no prefill"


def api(package: str, model: str) -> str:
    needs_chat = package == "tako_openai" and for_openai(Dialect(), model).needs == "chat"
    if package == "tako_vertex" and rules_of(model).family == "claude":
        return "Messages"
    return "Chat Completions" if needs_chat else VENDORS[package].api


def current(table: ModelTable) -> list[Row]:
    """List the models that weren't turned off when the table was looked up."""
    day = table.life.date
    return [row for row in table.rows if row.retires is None or day is None or row.retires > day]


def price(row: Row) -> str:
    if row.usd_per_input_mtok is None:
        return ""
    end = f" until {row.prices_through}" if row.prices_through else ""
    return f"{row.usd_per_input_mtok:g} / {row.usd_per_output_mtok:g}{end}"


def introduction(table: ModelTable, apis: set[str]) -> str:
    """Return what is true of all models of a vendor: its prefix, their API, and where their prices are from."""
    vendor = VENDORS[table.package]
    text = vendor.introduction
    if len(apis) == 1:
        text += f" tako uses the {apis.pop()} API."
    if table.prices.model:
        name = table.prices.source.rpartition("/")[2]
        text += f" Prices are from [{name}]({table.prices.source}) ({table.prices.date}) or from the model's source."
    return f"{text} More: {vendor.pages}."


def cells(table: ModelTable, row: Row) -> dict[str, str]:
    """Return a row of the page, by its columns."""
    model = VERSIONS.get(row.id, row.id)
    retires = f"[{row.retires}]({table.life.source})" if row.retires else ""
    return {
        "model": f"`{model}`",
        "API": api(table.package, model),
        "context": f"{row.max_context_tokens:,}" if row.max_context_tokens else "",
        "limits": "; ".join(limits(table.package, model, row)),
        "price": price(row),
        "retires": retires + (f", then `{row.replacement}`" if row.replacement else ""),
        "source": f"[{row.date}]({row.source})",
    }


def section(package: str) -> str:
    """Return a vendor's heading and table, without empty columns, and without the API if it's always the same."""
    table = ModelTable(package)
    rows = [cells(table, row) for row in current(table)]
    apis = {row["API"] for row in rows}
    columns = [name for name in rows[0] if any(row[name] for row in rows) and (name != "API" or len(apis) > 1)]
    lines = [columns, ["---"] * len(columns), *([row[name] for name in columns] for row in rows)]
    head = [f"## {VENDORS[package].heading}", "", introduction(table, apis), ""]
    return "\n".join([*head, *(f"| {' | '.join(line)} |" for line in lines)])


def page() -> str:
    return "\n\n".join(map(section, VENDORS)) + "\n"


def test_the_page_shows_the_current_models() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(page())


def test_the_page_has_every_vendor_with_a_table() -> None:
    assert set(VENDORS) == {path.parent.name for path in ROOT.glob("plugins/*/tako_*/models.toml")}


def test_an_introductory_price_has_its_last_day() -> None:
    row = Row(id="acme-2", usd_per_input_mtok=0.75, usd_per_output_mtok=3.5, prices_through=date(2026, 12, 31))
    assert price(row) == "0.75 / 3.5 until 2026-12-31"
    assert price(replace(row, prices_through=None)) == "0.75 / 3.5"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, mark, tail = text.partition(MARK)
    PAGE.write_text(head + mark + tail.partition("\n")[0] + "\n\n" + page(), encoding="utf-8")
