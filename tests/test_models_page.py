"""The page of current models: API, rules, price, dates, sources. To write it: ``python tests/test_models_page.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tako.kit.completions.dialect import Dialect, for_openai
from tako.kit.families import rules_of
from tako.kit.models import ModelTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.models import Row

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "models.md"
MARK = "<!-- the tables are made"
MOST = 20
"""Models of one vendor on the page: the newest of its table."""
APIS = {
    "tako_anthropic": "Messages",
    "tako_azure_openai": "Responses",
    "tako_bedrock": "Converse",
    "tako_mistral": "Chat Completions",
    "tako_openai": "Responses",
    "tako_vertex": "generateContent",
}
"""The API that tako asks at the vendor's own address, unless a model has another."""


def rules(package: str, model: str) -> Iterator[str]:
    """List in a few words what a model takes and refuses."""
    known = rules_of(model)
    dialect = for_openai(Dialect(), model)
    openai = package in ("tako_openai", "tako_azure_openai")
    if not known.sampling or (openai and not dialect.sampling):
        yield "no temperature or top_p"
    elif openai and not dialect.sampling_beside_effort:
        yield "no temperature or top_p beside an effort"
    elif not known.sampling_beside_thinking:
        yield "no temperature or top_p beside thinking"
    elif not known.sampling_together:
        yield "temperature or top_p"
    if openai and dialect.needs != "chat" and dialect.stops == 0:
        yield "no stop sequences"
    if known.budgets:
        yield f"thinks {known.budgets[0]:,} to {known.budgets[1]:,} tokens"
    elif known.efforts and (not openai or dialect.reasoning_effort):
        least = dialect.least_effort if openai else known.efforts[0]
        yield f"efforts {least} to {known.efforts[-1]}"
    if known.family and not known.prefill:
        yield "no prefill"


def api(package: str, model: str) -> str:
    needs_chat = package == "tako_openai" and for_openai(Dialect(), model).needs == "chat"
    if package == "tako_vertex" and rules_of(model).family == "claude":
        return "Messages (rawPredict)"
    return "Chat Completions" if needs_chat else APIS[package]


def current(table: ModelTable) -> list[Row]:
    """List the models that weren't turned off when the table was looked up."""
    seen = table.life.date
    return [row for row in table.rows if row.retires is None or seen is None or row.retires > seen][:MOST]


def line(table: ModelTable, row: Row) -> str:
    price = "" if row.usd_per_input_mtok is None else f"{row.usd_per_input_mtok:g} / {row.usd_per_output_mtok:g}"
    retires = f"[{row.retires}]({table.life.source})" if row.retires else ""
    retires += f", use `{row.replacement}`" if row.replacement else ""
    sources = [f"[{row.date}]({row.source})"]
    if row.id in {priced.id for priced in table.prices.model}:
        sources.append(f"[prices {table.prices.date}]({table.prices.source})")
    cells = [f"`{row.id}`", api(table.package, row.id), "; ".join(rules(table.package, row.id)), price, retires]
    return f"| {' | '.join([*cells, ', '.join(sources)])} |"


def page() -> str:
    parts: list[str] = []
    for package in APIS:
        table = ModelTable(package)
        parts += [f"## {package.replace('_', '-')}", ""]
        parts += ["| model | API | rules | price, in / out | retires | sources |", "|---|---|---|---|---|---|"]
        parts += [line(table, row) for row in current(table)] + [""]
    return "\n".join(parts).rstrip() + "\n"


def test_the_page_shows_the_current_models() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(page())


def test_the_page_has_every_vendor_with_a_table() -> None:
    assert set(APIS) == {path.parent.name for path in ROOT.glob("plugins/*/tako_*/models.toml")}


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, mark, tail = text.partition(MARK)
    PAGE.write_text(head + mark + tail.partition("\n")[0] + "\n\n" + page(), encoding="utf-8")
