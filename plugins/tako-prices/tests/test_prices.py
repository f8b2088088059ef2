"""Values from genai-prices, if tako doesn't know them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import tako_prices
from genai_prices import __version__
from genai_prices.data_snapshot import get_snapshot

import tako
from tako import Capabilities, Usage
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENAI = "https://api.openai.com/v1"


@pytest.fixture
def prices() -> Iterator[None]:
    tako.register(tako_prices)
    yield
    tako.unregister(tako_prices)


@pytest.mark.usefixtures("prices")
class TestInstalled:
    """The plugin, installed by its entry point."""

    def test_unknown_prices_and_windows_are_filled_in_with_their_origin(self, acme: Any) -> None:
        provider = acme("gpt-4o", base_url=OPENAI, supports_tools=True)
        capabilities = provider.capabilities
        assert (
            capabilities.usd_per_input_mtok,
            capabilities.usd_per_output_mtok,
            capabilities.usd_per_cached_mtok,
        ) == (2.5, 10.0, 1.25)
        assert (capabilities.max_context_tokens, capabilities.prices_up_to_tokens) == (128_000, None)
        assert capabilities.supports_tools
        assert capabilities.origins["usd_per_input_mtok"] == f"genai-prices {__version__}: openai/gpt-4o"
        assert f"genai-prices {__version__}" in provider.capability_origins()["max_context_tokens"]
        assert capabilities.cost(Usage(1_000_000, 100_000, 400_000)).total == Decimal("3.0")

    def test_known_values_stay(self, acme: Any) -> None:
        known = {"max_context_tokens": 1000, "usd_per_input_mtok": 1.0, "usd_per_output_mtok": 2.0}
        assert acme("gpt-4o", base_url=OPENAI, **known).capabilities == Capabilities(**known)

    def test_prices_of_two_sources_are_not_mixed(self, acme: Any) -> None:
        capabilities = acme("gpt-4o", base_url=OPENAI, usd_per_input_mtok=1.0).capabilities
        assert (
            capabilities.usd_per_input_mtok,
            capabilities.usd_per_output_mtok,
            capabilities.usd_per_cached_mtok,
        ) == (1.0, None, None)
        assert capabilities.max_context_tokens == 128_000

    def test_an_assumed_value_is_replaced(self, acme: Any) -> None:
        assumed = {"max_context_tokens": 1000, "origins": {"max_context_tokens": ""}}
        assert acme("gpt-4o", base_url=OPENAI, **assumed).capabilities.max_context_tokens == 128_000

    def test_capabilities_of_the_user_win(self, acme: Any) -> None:
        capabilities = Capabilities(usd_per_input_mtok=9.0)
        assert acme("gpt-4o", base_url=OPENAI, passed=capabilities).capabilities == capabilities

    @pytest.mark.parametrize(
        ("name", "base_url", "model", "source"),
        [
            ("openai", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
            ("anthropic", "https://api.anthropic.com", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
            ("mistral", "https://api.mistral.ai/v1", "mistral-large-latest", "mistral/mistral-large"),
            ("azure-openai", "https://mine.openai.azure.com", "gpt-4o", "azure/gpt-4o"),
            ("bedrock", None, "amazon.nova-lite-v1:0", "aws/amazon.nova-lite-v1:0"),
            ("vertex", None, "publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ],
    )
    def test_vendors_are_found_by_name_or_by_address(
        self, name: str, base_url: str | None, model: str, source: str, acme: Any
    ) -> None:
        origin = acme(model, name=name, base_url=base_url).capabilities.origins["usd_per_input_mtok"]
        assert origin == f"genai-prices {__version__}: {source}"

    @pytest.mark.parametrize(
        ("name", "base_url", "model"),
        [
            ("openai", "http://127.0.0.1:8000/v1", "gpt-4o"),
            ("openai", "https://models.mine.example/v1", "gpt-4o"),
            ("openai", OPENAI, "ft:mine"),
            ("azure-openai", "https://mine.openai.azure.com", "my-deployment"),
            ("python", None, "gpt-4o"),
        ],
    )
    def test_a_provider_without_a_vendor_has_no_price(
        self, name: str, base_url: str | None, model: str, acme: Any
    ) -> None:
        assert acme(model, name=name, base_url=base_url).capabilities == Capabilities()

    def test_longer_prompts_have_other_prices(self, acme: Any) -> None:
        capabilities = acme("gemini-2.5-pro", name="vertex").capabilities
        assert (capabilities.usd_per_input_mtok, capabilities.prices_up_to_tokens) == (1.25, 200_000)
        cost = capabilities.cost(Usage(200_001, 1_000_000))
        assert cost is not None
        assert (cost.input, cost.output) == (Decimal("0.5000025"), Decimal(15))

    def test_prices_by_the_hour_and_by_the_request_are_left_out(self, acme: Any) -> None:
        for url, model in (("https://api.deepseek.com", "deepseek-chat"), ("https://api.perplexity.ai", "sonar-pro")):
            assert get_snapshot().find_provider_model(model, None, None, url)
            assert acme(model, base_url=url).capabilities.usd_per_input_mtok is None

    def test_the_environment_overrides_or_leaves_out(self, acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        known = {"max_context_tokens": 1000, "usd_per_input_mtok": 1.0, "usd_per_cache_write_mtok": 7.0}
        monkeypatch.setenv("TAKO_PRICES", "override")
        capabilities = acme("gpt-4o", base_url=OPENAI, **known).capabilities
        assert (capabilities.max_context_tokens, capabilities.usd_per_input_mtok) == (128_000, 2.5)
        assert capabilities.usd_per_cache_write_mtok is None  # of the other source, so no part of these
        monkeypatch.setenv("TAKO_PRICES", "off")
        assert acme("gpt-4o", base_url=OPENAI).capabilities == Capabilities()


def test_override_is_an_option_too(acme: Any) -> None:
    plugin = tako_prices.Prices(override=True)
    tako.register(plugin)
    try:
        assert acme("gpt-4o", base_url=OPENAI, usd_per_input_mtok=1.0).capabilities.usd_per_input_mtok == 2.5
    finally:
        tako.unregister(plugin)


def test_an_unknown_mode_is_refused(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKO_PRICES", "sometimes")
    wrapper = tako_prices.tako_capabilities(acme("gpt-4o"))
    next(wrapper)
    with pytest.raises(ConfigurationError, match="fill, override, off"):
        wrapper.send(Capabilities())


def test_every_entry_of_the_data_can_be_read() -> None:
    from tako_prices.data import prices_of

    read = [prices_of(model) for owner in get_snapshot().providers for model in owner.models]
    assert sum("usd_per_input_mtok" in values for values in read) > 0.8 * len(read)
    assert all(value is None or value >= 0 for values in read for value in values.values())


PROGRAM = """
import json, sys
import tako
from tako.hooks import hookimpl

class Echo(tako.Provider):
    name = "echo"
    base_url = "http://127.0.0.1:1"

@hookimpl
def tako_capabilities():
    return tako.Capabilities()

provider = Echo("gpt-4o")
idle = provider.capabilities.usd_per_input_mtok, "genai_prices" in sys.modules, "tako_prices" in sys.modules
provider.base_url = "https://api.openai.com/v1"
provider.refresh()
found = provider.capabilities.usd_per_input_mtok, "genai_prices" in sys.modules
print(json.dumps([idle, found]))
"""


def test_the_installed_plugin_reads_no_data_until_a_vendor_needs_them() -> None:
    environment = {**os.environ, "TAKO_DISABLE_PLUGINS": "cache,otel,record"}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True
    )
    idle, loaded = json.loads(result.stdout)
    assert idle == [None, False, True]
    assert loaded == [2.5, True]
