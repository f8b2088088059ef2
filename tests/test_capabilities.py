"""What is known of a model, who said so, and what it costs."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tako import Around, Capabilities, PluginError, Usage, hookimpl, providers
from tako.cli import main
from tako.kit.models import ModelTable, refine
from tako.testing.server import reply, serve
from tako.types import Cost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TABLE = """
source = "https://acme.example/models"
date = 2026-11-22

[default]
supports_tools = true

[[model]]
id = "acme"
max_context_tokens = 1000

[[model]]
id = "acme-2"
max_context_tokens = 2000
supports_vision = false
usd_per_input_mtok = 1
usd_per_output_mtok = 2.5

[[model]]
id = "acme-2-mini"
source = "https://acme.example/mini"
date = 2026-01-31
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModelTable]:
    """Return a maker of tables that a package called tako_acme ships."""

    def make(text: str = TABLE) -> ModelTable:
        package = tmp_path / "tako_acme"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        (package / "models.toml").write_text(text, encoding="utf-8")
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, "tako_acme", raising=False)
        return ModelTable("tako_acme")

    return make


@pytest.mark.parametrize(
    ("model", "row"),
    [
        ("acme-2", "acme-2"),
        ("ACME-2", "acme-2"),
        ("acme-2-2026-01-31", "acme-2"),
        ("acme-2-20260131", "acme-2"),
        ("acme-2-latest", "acme-2"),
        ("acme-2@001", "acme-2"),
        ("acme-2-preview-09-2025", "acme-2"),
        ("acme-2-20260131-v1:0", "acme-2"),
        ("acme-2-mini-2026-01-31", "acme-2-mini"),
        ("acme", "acme"),
        ("acme-3", None),
        ("acme-2.1", None),
        ("acme-2-9", None),
        ("acme-2-pro", None),
        ("acme-20", None),
        ("acme-2-minimal", None),
        ("other", None),
        ("", None),
    ],
)
def test_a_model_has_the_longest_row_that_its_name_is_a_version_of(
    model: str, row: str | None, table: Callable[..., ModelTable]
) -> None:
    matched_row = table().row(model)
    assert (matched_row and matched_row.id) == row


def test_a_row_stands_over_the_default_and_names_its_source(table: Callable[..., ModelTable]) -> None:
    known = table().find("acme-2-latest")
    assert (known.max_context_tokens, known.supports_tools, known.supports_vision) == (2000, True, False)
    where = "tako-acme: acme-2 (2026-11-22, https://acme.example/models)"
    assert known.origins["supports_vision"] == known.origins["usd_per_input_mtok"] == where
    assert known.origins["supports_tools"] == ""  # an assumption
    assert "usd_per_cached_mtok" not in known.origins
    assert [row.source for row in table().rows if row.id == "acme-2-mini"] == ["https://acme.example/mini"]


def test_an_unknown_model_has_the_default_and_nothing_is_known(table: Callable[..., ModelTable]) -> None:
    known = table().find("other")
    assert (known.supports_tools, known.max_context_tokens) == (True, None)
    assert set(known.origins.values()) == {""}


@pytest.mark.parametrize("text", ["[[model]]\nname = 'x'", "[[model]]\nid = 'x'\nprice = 1", "nonsense"])
def test_a_broken_table_is_the_plugins_fault(text: str, table: Callable[..., ModelTable]) -> None:
    with pytest.raises(PluginError, match=r"tako_acme: models\.toml is broken"):
        table(text).find("x")


def test_what_a_server_said_stands_over_the_table(table: Callable[..., ModelTable]) -> None:
    known = refine(table().find("acme-2"), {"max_context_tokens": 5, "supports_vision": True}, "the server")
    assert (known.max_context_tokens, known.supports_vision, known.usd_per_input_mtok) == (5, True, 1)
    assert known.origins["max_context_tokens"] == "the server"


# --- who said so


def test_a_plugin_that_changes_a_value_is_its_origin(
    vendor: Callable[..., Any], register: Callable[..., None], table: Callable[..., ModelTable]
) -> None:
    rows = table()

    def tako_capabilities(provider: Any) -> Capabilities:
        return rows.find(provider.model)

    class Patch:
        @hookimpl(wrapper=True)
        def tako_capabilities(self) -> Around[Capabilities]:
            known = yield
            return msgspec.structs.replace(known, max_context_tokens=7)

    class Teach:
        @hookimpl(wrapper=True)
        def tako_capabilities(self) -> Around[Capabilities]:
            known = yield
            return msgspec.structs.replace(known, supports_vision=True, usd_per_cached_mtok=0.1)

    provider = vendor(tako_capabilities=tako_capabilities)("acme-2")
    assert provider.capability_origins()["max_context_tokens"].startswith("tako-acme: acme-2")
    register(Patch(), "patch")
    register(Teach(), "teach")
    origins = provider.capability_origins()
    assert (provider.capabilities.max_context_tokens, provider.capabilities.supports_vision) == (7, True)
    assert origins["max_context_tokens"] == "plugin patch"
    assert origins["supports_vision"] == origins["usd_per_cached_mtok"] == "plugin teach"
    assert origins["usd_per_input_mtok"].startswith("tako-acme: acme-2")
    assert "supports_tools" not in origins  # assumed
    assert "usd_per_cache_write_mtok" not in origins  # unknown


def test_an_override_is_the_origin_of_what_differs(vendor: Callable[..., Any], register: Callable[..., None]) -> None:
    def tako_capabilities() -> Capabilities:
        return Capabilities(max_context_tokens=10, supports_tools=True)

    class Override:
        @hookimpl
        def tako_capabilities(self, provider: Any) -> Capabilities | None:
            mine = Capabilities(max_context_tokens=20, supports_tools=True, origins={"max_context_tokens": "measured"})
            return mine if provider.model == "mine" else None

    register(Override(), "override")
    cls = vendor(tako_capabilities=tako_capabilities)
    assert cls("mine").capability_origins()["max_context_tokens"] == "plugin override: measured"
    own = f"{cls.__module__}.Vendor"
    assert cls("mine").capability_origins()["supports_tools"] == own
    assert cls("other").capability_origins()["max_context_tokens"] == own


def test_what_the_user_gives_is_theirs(vendor: Callable[..., Any]) -> None:
    mine = Capabilities(max_context_tokens=5)
    origins = vendor()("m", capabilities=mine).capability_origins()
    assert set(origins.values()) == {"given as capabilities="}
    assert "usd_per_input_mtok" not in origins
    assert vendor()("m").capability_origins() == {}


# --- what servers tell


LISTED: dict[str, tuple[Any, dict[str, Any]]] = {
    "vllm": ({"data": [{"id": "m", "object": "model", "max_model_len": 32768}]}, {"max_context_tokens": 32768}),
    "llama.cpp": (
        {
            "models": [{"name": "m.gguf", "capabilities": ["completion", "multimodal"]}],
            "data": [{"id": "/models/m.gguf", "meta": {"n_vocab": 128256, "n_ctx_train": 131072}}],
        },
        {"max_context_tokens": 131072, "supports_vision": True},
    ),
    "openrouter": (
        {
            "data": [
                {"id": "other"},
                {
                    "id": "m",
                    "context_length": 200000,
                    "architecture": {"input_modalities": ["text"]},
                    "top_provider": {"context_length": 128000},
                    "supported_parameters": ["tools", "max_tokens"],
                    "pricing": {
                        "prompt": "0.000003",
                        "completion": "0.000015",
                        "input_cache_read": "0.0000003",
                        "request": "0",
                        "image": "0.0048",
                    },
                },
            ]
        },
        {
            "max_context_tokens": 128000,
            "supports_vision": False,
            "supports_documents": False,
            "supports_audio": False,
            "supports_video": False,
            "supports_tools": True,
            "supports_json_mode": False,
            "usd_per_input_mtok": 3.0,
            "usd_per_output_mtok": 15.0,
            "usd_per_cached_mtok": 0.3,
        },
    ),
    "lm studio": (
        {"data": [{"id": "m", "type": "vlm", "max_context_length": 32768, "loaded_context_length": 4096}]},
        {"max_context_tokens": 4096, "supports_vision": True},
    ),
    "mistral": (
        {
            "data": [
                {"id": "x"},
                {
                    "id": "m-2512",
                    "aliases": ["m"],
                    "max_context_length": 262144,
                    "capabilities": {"completion_chat": True, "function_calling": True, "vision": False},
                },
            ]
        },
        {"max_context_tokens": 262144, "supports_tools": True, "supports_vision": False},
    ),
    "groq": ({"data": [{"id": "m", "context_window": 8192}, {"id": "n"}]}, {"max_context_tokens": 8192}),
    "together": ([{"id": "m", "context_length": 4096}], {"max_context_tokens": 4096}),
    "depends": (
        {"data": [{"id": "m", "pricing": {"prompt": "-1", "completion": "-1"}, "context_length": 2}]},
        {"max_context_tokens": 2},
    ),
    "per call": ({"data": [{"id": "m", "pricing": {"prompt": "0.1", "completion": "0.1", "request": "0.02"}}]}, {}),
    "openai": ({"data": [{"id": "m", "object": "model", "owned_by": "openai"}]}, {}),
    "nonsense": ({"data": [{"id": "m", "context_length": "long", "meta": 3, "pricing": {"prompt": "x"}}, 7]}, {}),
    "none": ({"data": None}, {}),
    "absent": ({"data": [{"id": "a", "max_model_len": 1}, {"id": "b", "max_model_len": 2}]}, {}),
}


@pytest.mark.parametrize("server", LISTED)
def test_discover_reads_what_each_kind_of_server_lists(server: str) -> None:
    listing, expected = LISTED[server]
    with serve(reply(json=listing)) as host:
        provider = providers.OpenAI("m", api_key="k", base_url=host.url)
        before = provider.capabilities
        known = asyncio.run(provider.discover())
    assert [(request.method, request.path, request.body) for request in host.requests] == [("GET", "/models", b"")]
    assert known == refine(before, expected, f"{host.url}/models")
    assert provider.capabilities is known  # remembered, without another request
    assert {name for name, origin in provider.capability_origins().items() if origin == f"{host.url}/models"} == set(
        expected
    )


def test_plugins_and_users_stand_over_what_was_discovered(register: Callable[..., None]) -> None:
    class Patch:
        @hookimpl(wrapper=True)
        def tako_capabilities(self) -> Around[Capabilities]:
            known = yield
            return msgspec.structs.replace(known, max_context_tokens=(known.max_context_tokens or 0) // 2)

    register(Patch(), "patch")
    mine = Capabilities(max_context_tokens=1)
    listing = reply(json={"data": [{"id": "m", "max_model_len": 32768}]})
    with serve(listing, listing) as host:
        provider = providers.OpenAI("m", api_key="k", base_url=host.url)
        assert asyncio.run(provider.discover()).max_context_tokens == 16384
        assert provider.capability_origins()["max_context_tokens"] == "plugin patch"
        configured = providers.OpenAI("m", api_key="k", base_url=host.url, capabilities=mine)
        assert asyncio.run(configured.discover()) is mine


# --- cost


PRICES = st.none() | st.decimals(0, 1000, places=4).map(float)
COUNTS = st.integers(0, 10**9)


@given(st.tuples(*[PRICES] * 4), st.tuples(*[COUNTS] * 4))
def test_the_parts_of_a_cost_are_exact_and_sum_to_the_whole(
    prices: tuple[float | None, ...], counts: tuple[int, ...]
) -> None:
    plain, out, cached, written = counts
    cost = Capabilities(
        usd_per_input_mtok=prices[0],
        usd_per_output_mtok=prices[1],
        usd_per_cached_mtok=prices[2],
        usd_per_cache_write_mtok=prices[3],
    ).cost(Usage(plain + cached + written, out, cached, written))
    needed = list(zip(counts, prices, strict=True))
    if not any(counts) or any(price is None for count, price in needed if count):
        assert cost is None
        return
    parts = [count * Decimal(str(price)) / 10**6 if count else Decimal(0) for count, price in needed]
    assert cost is not None
    assert [cost.input, cost.output, cost.cached, cost.cache_write] == parts
    assert cost.total == sum(parts)


def test_a_cost_that_is_not_known_is_none() -> None:
    known = Capabilities(usd_per_input_mtok=1.0, usd_per_output_mtok=2.0, prices_up_to_tokens=100)
    assert known.cost(Usage(100, 10)) == Cost(Decimal("0.0001"), Decimal("0.00002"))
    assert known.cost(Usage(101, 10)) is None  # long prompts have other prices
    assert known.cost(Usage(50, 10, cached_tokens=1)) is None  # the price of cached reads is not known
    assert known.cost(Usage(5, 1, cached_tokens=9)) is None  # more is cached than there is
    assert known.cost(Usage()) is None


def test_responses_and_streams_say_what_they_cost() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    chat_reply = reply(json={"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}], "usage": usage})

    async def ask(url: str) -> None:
        async with providers.OpenAI("gpt-4.1-2025-04-14", api_key="k", base_url=url) as provider:
            for response in (await provider.chat("Hi"), await provider.stream("Hi").response()):
                assert response.cost is not None
                assert response.cost.input == Decimal("0.0012")
                assert response.cost.cached == Decimal("0.0002")
                assert response.cost.total == Decimal("0.0022")
            other = msgspec.structs.replace(provider.capabilities, usd_per_output_mtok=None)
            async with providers.OpenAI("gpt-4.1", api_key="k", base_url=url, capabilities=other) as unpriced:
                assert (await unpriced.chat("Hi")).cost is None

    with serve(chat_reply, chat_reply, chat_reply) as server:
        asyncio.run(ask(server.url))


def test_capabilities_never_ask_the_network() -> None:
    with serve() as server:
        for model in ("gpt-5", "unheard-of"):
            provider = providers.OpenAI(model, api_key="k", base_url=server.url)
            assert provider.capabilities.supports_tools
            assert provider.capability_origins() is not None
    assert server.connections == 0


def test_the_command_shows_values_and_origins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", "anthropic:claude-opus-5-5", "--json"]) == 0
    rows = {row["capability"]: (row["value"], row["origin"]) for row in json.loads(capsys.readouterr().out)}
    value, origin = rows["max_context_tokens"]
    assert value == 1_000_000
    assert origin.startswith("tako-anthropic ")
    assert "claude-opus-5-5 (20" in origin
    assert "https://platform.claude.com/" in origin
    assert rows["supports_streaming"] == (True, "assumed")
    assert rows["prices_up_to_tokens"] == (None, "")
