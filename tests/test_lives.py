"""Models have a life: tables know when they are turned off, replies say so, and pages name no such model."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from msgspec.structs import replace

from tako import Capabilities, ChatRequest, Message, Provider, providers
from tako.builtin.guard import NOTICE_PERIOD
from tako.cli import main
from tako.kit.completions.discovery import capabilities_in
from tako.kit.models import ModelTable
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
TABLES = [ModelTable(path.parent.name) for path in sorted(ROOT.glob("plugins/*/tako_*/models.toml"))]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("plugins/*/README.md"))]
MARK = "<!-- the tables are made"
"""What comes after it lists the tables, old models too."""
IN_TEXTS = [
    *PAGES,
    *sorted(ROOT.glob("tako/*.md")),
    *sorted(ROOT.glob("tako/**/*.py")),
    *ROOT.glob("plugins/*/tako_*/**/*.py"),
]
"""The pages, and what has help and messages."""
CURRENT = {
    "openai": ("gpt-6.2-sol", "gpt-6-luna"),
    "anthropic": ("claude-sonnet-5-5",),
    "gemini": ("gemini-3.8-flash",),
    "vertex": ("gemini-3.8-flash",),
    "mistral": ("mistral-medium-latest",),
}
"""The models that pages, help and messages name where any model would do: one of each vendor, and a small one."""
ID = re.compile(rf"\b(?<!-)({'|'.join(CURRENT)}):([a-z]+-[\w.-]*\d[\w.-]*\w)")
OF_A_VENDOR = re.compile(r"(?<![\w.-])(?:(?:gpt|claude|gemini|mistral)-(?>[\w.-]*\w)|o\d(?:-mini)?)(?![\w…])")
UNLISTED = {
    *(
        "claude-api",
        "gemini-api",
        "gemini-enterprise-agent-platform",
        "gpt-oss",
        "gpt-audio",
        "gpt-5-pro",
        "gpt-3.5",
        "gpt-4",
    ),
    *("mistral-large-latest", "mistral-small-latest"),
}
"""What isn't a model of the tables: families, parts of addresses, and models that a page is about for that reason."""
MODEL = re.compile(r"[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9.:@_-]*[A-Za-z0-9](?!\.?[A-Za-z0-9…-])")
"""A word like a model's name; one that ends in "…" is that of a family."""
TODAY = date.today()  # noqa: DTZ011 - as vendors name days
OK = {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}


def retired_in(text: str, ahead: timedelta = timedelta(days=90)) -> list[str]:
    """List the models that a text names and that are turned off soon after their table was looked up."""
    names = {name.rpartition(":")[2] if not name.partition(":")[2].isdigit() else name for name in MODEL.findall(text)}
    rows = [(name, row.retires, table.life.date) for name in names for table in TABLES if (row := table.row(name))]
    return sorted({name for name, day, seen in rows if day is not None and seen is not None and day - seen <= ahead})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_model_that_is_turned_off_soon(page: Path) -> None:
    assert retired_in(page.read_text(encoding="utf-8").partition(MARK)[0]) == []


def test_such_a_model_would_be_found() -> None:
    assert retired_in('OpenAI("gpt-4o") and `openai:gpt-4o-2024-08-06`, not gpt-6.1-sol') == [
        "gpt-4o",
        "gpt-4o-2024-08-06",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_table_knows_each_model_that_a_page_names(page: Path) -> None:
    text = page.read_text(encoding="utf-8").partition(MARK)[0]
    names = set(OF_A_VENDOR.findall(text)) - UNLISTED
    assert {name for name in names if not any(table.row(name) for table in TABLES)} == set()


def test_pages_help_and_messages_name_one_current_model_of_each_vendor() -> None:
    named = {
        (str(path.relative_to(ROOT)), match[0])
        for path in IN_TEXTS
        for match in ID.finditer(path.read_text(encoding="utf-8").partition(MARK)[0])
        if match[2] not in CURRENT[match[1]]
    }
    assert named == set()


def test_models_that_would_be_found() -> None:
    assert OF_A_VENDOR.findall("openai:gpt-6.2-mini, `claude-sonnet-5-5`, o3, gpt-5…, my-gpt-4o") == [
        "gpt-6.2-mini",
        "claude-sonnet-5-5",
        "o3",
    ]
    assert [match[2] for match in ID.finditer("openai:gpt-5.4 and azure-openai:gpt-4o")] == ["gpt-5.4"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.package)
def test_every_day_has_a_source_and_replacements_are_known_to_live(table: ModelTable) -> None:
    dated = [row for row in table.rows if row.retires is not None]
    assert not dated or (table.life.source.startswith("https://") and table.life.date is not None)
    for row in dated:
        assert row.replacement != row.id
        assert table.find(row.id).origins["retires"].endswith(f"({table.life.date}, {table.life.source})")


def request_for(known: Capabilities, *, strict: bool = False, model: str | None = None) -> list[Any]:
    with serve(reply(json=OK)) as server:
        provider = providers.OpenAI("m", api_key="k", base_url=server.url, api="chat", capabilities=known)
        request = ChatRequest([Message.user("hi")], strict=strict, model=model)
        return provider.blocking.chat(request).notices


def test_a_model_that_is_turned_off_soon_is_noted() -> None:
    for days, verb in ((-1, "was retired"), (0, "retires"), (NOTICE_PERIOD.days, "retires")):
        day = TODAY + timedelta(days=days)
        notices = request_for(Capabilities(retires=day, replacement="m-2"), strict=True)
        assert [notice.code for notice in notices] == ["model_retires"]
        assert f"openai:m {verb} on {day}; use m-2" in notices[0].message


def test_a_model_that_lives_on_is_not_noted() -> None:
    assert request_for(Capabilities(retires=TODAY + NOTICE_PERIOD + timedelta(days=1))) == []
    assert request_for(Capabilities()) == []
    assert request_for(Capabilities(retires=TODAY), model="another") == []


def old_and_new() -> tuple[str, str]:
    """Return a model that the table says is turned off soon or was, and what replaces it."""
    row = next(row for row in ModelTable("tako_openai").rows if row.retires and row.retires < TODAY and row.replacement)
    return row.id, row.replacement or ""


def test_a_stream_notes_it_too_and_only_at_the_vendor_s_own_address() -> None:
    model, replacement = old_and_new()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=OK))
    for options, expected in (({}, [f"use {replacement}"]), ({"base_url": "https://other.example/v1"}, [])):
        provider = providers.OpenAI(model, api_key="k", api="chat", transport=transport, **options)
        assert provider.capabilities.retires is not None
        notices = provider.blocking.stream("hi").response().notices
        assert [notice.message.partition("; ")[2].partition(" (")[0] for notice in notices] == expected


@pytest.mark.parametrize("name", ["openai", "anthropic", "mistral", "vertex"])
def test_another_address_is_not_the_vendor_s(name: str, at: Callable[..., Provider]) -> None:
    assert not at(name, "http://localhost:1").at_vendor


def test_a_server_says_it_of_its_models() -> None:
    listed = {"id": "m", "shutdown_date": "2027-01-14"}
    assert capabilities_in({"data": [listed]}, "m")["retires"] == date(2027, 1, 14)
    mistral = {"id": "m", "deprecation": "2027-02-28T12:00:00Z", "deprecation_replacement_model": "m-2"}
    capabilities = capabilities_in({"data": [mistral]}, "m")
    assert (capabilities["retires"], capabilities["replacement"]) == (date(2027, 2, 28), "m-2")
    for odd in (None, "soon", 5, ""):
        assert "retires" not in capabilities_in(
            {"data": [{"id": "m", "shutdown_date": odd, "expiration_date": odd}]}, "m"
        )


def test_what_a_server_says_is_noted_at_any_address() -> None:
    listing = {"data": [{"id": "m", "shutdown_date": str(TODAY + timedelta(days=3))}]}
    with serve(reply(json=listing), reply(json=OK)) as server:
        provider = providers.OpenAI("m", api_key="k", base_url=server.url, api="chat")
        import asyncio

        async def both() -> Any:
            await provider.discover()
            return await provider.chat("hi")

        assert [notice.code for notice in asyncio.run(both()).notices] == ["model_retires"]


def test_doctor_warns_of_the_models_of_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    model, replacement = old_and_new()
    file = tmp_path / "my.toml"
    file.write_text(
        f'allow_secrets = true\n[providers.old]\nuse = "openai"\nmodel = "{model}"\napi_key = "sk-x"\nproxy = "http://localhost:1"\n'
    )
    main(["doctor", "-c", str(file), "old"])
    assert "the model was retired on" in capsys.readouterr().out
    assert replacement


def test_capabilities_are_values(tmp_path: Path) -> None:
    known = Capabilities(retires=TODAY)
    assert replace(known, replacement="m-2").replacement == "m-2"
