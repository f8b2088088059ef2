"""The general plugins of this repository take their options from ``[plugins]`` in tako.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tako_cache
import tako_prices
import tako_record

import tako
from tako.testing import isolated
from tako.testing.dialects import COMPLETIONS, Script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tako.testing.plugins import Plugins


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    for name in ("TAKO_CACHE_DIR", "TAKO_PRICES", "TAKO_RECORD_DIR"):
        monkeypatch.delenv(name, raising=False)
    with isolated() as plugins:
        for name, module in (("cache", tako_cache), ("prices", tako_prices), ("record", tako_record)):
            plugins.register(module, name)
        yield plugins
    for module in (tako_cache, tako_prices, tako_record):
        module.configure()


def load(folder: Path, text: str) -> None:
    (folder / "tako.toml").write_text(text)
    tako.load_config(folder / "tako.toml")


@pytest.mark.usefixtures("plugins")
def test_the_cache_has_its_directory_there(tmp_path: Path) -> None:
    load(tmp_path, f'[plugins.cache]\ndirectory = "{tmp_path / "replies"}"\nexpire = 60\n')
    with COMPLETIONS.serve(Script(text="Hi.")) as server:
        provider = tako.providers.OpenAI("m", api_key="k", base_url=server.url)
        assert [provider.blocking.chat("Hello").text for _ in range(2)] == ["Hi.", "Hi."]
    assert len(server.requests) == 1


@pytest.mark.usefixtures("plugins")
def test_a_tape_has_its_directory_there(tmp_path: Path) -> None:
    load(tmp_path, f'[plugins.record]\ndirectory = "{tmp_path / "tapes"}"\n')
    with COMPLETIONS.serve(Script(text="Hi.")) as server:
        tako.providers.OpenAI("m", api_key="k", base_url=server.url).blocking.chat("Hello")
    assert len(list((tmp_path / "tapes").glob("*.jsonl"))) == 1


@pytest.mark.usefixtures("plugins")
def test_prices_are_switched_there(tmp_path: Path) -> None:
    groq = {"base_url": "https://api.groq.com/openai/v1", "api_key": "k"}
    assert tako.providers.OpenAI("llama-3.3-70b-versatile", **groq).capabilities.usd_per_input_mtok is not None
    load(tmp_path, '[plugins.prices]\nmode = "off"\n')
    assert tako.providers.OpenAI("llama-3.3-70b-versatile", **groq).capabilities.usd_per_input_mtok is None
    load(tmp_path, '[plugins.prices]\nmode = "on"\n')
    with pytest.raises(tako.ConfigurationError, match=r"plugins\.prices: mode must be one of fill, override, off"):
        tako.providers.OpenAI("m", **groq).blocking.chat("Hi")
