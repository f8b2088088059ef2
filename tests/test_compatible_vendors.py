"""The page of compatible vendors: each block is read, and its requests reach the right place with the right key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import tako
from tako.cli import main
from tako.cli.models import choose_model
from tako.testing.dialects import COMPLETIONS, RESPONSES, Script

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parent.parent / "docs" / "providers" / "compatible.md").read_text(encoding="utf-8")
BLOCKS = PAGE.partition("## The blocks")[2].partition("```toml\n")[2].partition("```")[0]
VENDORS: dict[str, dict[str, Any]] = tomllib.loads(BLOCKS)["providers"]
LOCAL = {"vllm", "lmstudio", "llama-server"}


def variable(name: str) -> str:
    return str(VENDORS[name]["api_key"]).removeprefix("$ENV:")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Write the page's blocks, one of them with its server on loopback; returns the path."""
    monkeypatch.setenv("OPENAI_API_KEY", "of-somebody-else")
    for name in VENDORS.keys() - LOCAL:
        monkeypatch.setenv(variable(name), f"key-of-{name}")

    def write(name: str, server: str) -> str:
        parts = urlsplit(VENDORS[name]["base_url"])
        text = BLOCKS.replace(f'base_url = "{VENDORS[name]["base_url"]}"', f'base_url = "{server}{parts.path}"')
        assert server in text
        (tmp_path / "vendors.toml").write_text(text, encoding="utf-8")
        return str(tmp_path / "vendors.toml")

    return write


def test_there_are_twenty_vendors_and_more_each_with_its_source() -> None:
    assert len(VENDORS) >= 20
    sources = re.findall(r"\| \[[\w.-]+\]\((https://[^)]+)\) \|", PAGE)
    assert len(sources) == len(set(sources)) == len(VENDORS)


@pytest.mark.parametrize("name", VENDORS)
def test_a_block_reaches_its_vendor_with_its_key(name: str, config: Callable[[str, str], str]) -> None:
    api = VENDORS[name].get("api", "chat")
    dialect, end = {"chat": (COMPLETIONS, "/chat/completions"), "responses": (RESPONSES, "/responses")}[api]
    with dialect.serve(Script(text="Hello.")) as server:
        provider = tako.load_config(config(name, server.url)).provider(f"{name}:some/model")
        assert provider.blocking.chat("Hi").text == "Hello."
        assert provider.blocking.stream("Hi").response().text == "Hello."
        provider.blocking.close()
    assert (provider.id, provider.label) == ("openai:some/model", name)
    for request in server.requests:
        assert request.path == urlsplit(VENDORS[name]["base_url"]).path + end
        assert request.headers["authorization"] == ("Bearer none" if name in LOCAL else f"Bearer key-of-{name}")
        assert request.json["model"] == "some/model"


def test_a_block_s_defaults_go_out(config: Callable[[str, str], str]) -> None:
    with COMPLETIONS.serve(Script(text="Hello.")) as server:
        tako.load_config(config("minimax", server.url)).provider("minimax:m").blocking.chat("Hi")
    assert server.requests[0].json["reasoning_split"] is True


def test_the_name_of_a_block_stands_before_any_of_its_models(
    config: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    with COMPLETIONS.serve(Script(text="Hello.")) as server:
        path = config("groq", server.url)
        assert main(["chat", "-c", path, "-m", "groq:llama-3.3-70b", "--no-stream", "Hi"]) == 0
        assert main(["chat", "-c", path, "-m", "groq", "Hi"]) != 0
    assert [request.json["model"] for request in server.requests] == ["llama-3.3-70b"]
    out, complaint = capsys.readouterr()
    assert out == "Hello.\n"
    assert complaint.endswith("vendors.toml: providers.groq: openai needs a model, as in groq:MODEL\n")


def test_a_key_that_is_missing_is_named(config: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = config("xai", "http://127.0.0.1:9")
    monkeypatch.delenv("XAI_API_KEY")
    with pytest.raises(tako.ConfigurationError, match=r"providers\.xai.*XAI_API_KEY"):
        tako.load_config(path).provider("xai:m")


def test_a_table_of_rows_asks_it_the_same_way(config: Callable[[str, str], str]) -> None:
    id, options = choose_model("groq:llama", ["timeout=5"], config("groq", "http://127.0.0.1:9")).spec()
    assert (id, options["timeout"], options["api_key"]) == ("openai:llama", 5, "$ENV:GROQ_API_KEY")
