"""A name that nobody knows: what it may have meant, and never a package that somebody else may own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tako
from tako.cli import main
from tako.errors import PluginError
from tako.kit.models import ModelTable
from tako.names import SHIPPED, _hint, unknown_provider

PLUGINS = Path(__file__).parent.parent / "plugins"


def hint(id: str, configured: tuple[str, ...] = ()) -> str:
    return unknown_provider(id, configured).partition("); ")[2]


def test_the_list_is_what_is_shipped() -> None:
    shipped = {}
    for file in PLUGINS.glob("*/pyproject.toml"):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        names = project.get("entry-points", {}).get("tako.providers", {})
        shipped |= dict.fromkeys(names, project["name"])
    assert dict(SHIPPED) == shipped


@pytest.mark.parametrize(
    ("id", "says"),
    [
        ("gpt-6.2-sol", "it is a model: write openai:gpt-6.2-sol"),
        ("gpt-4o", "it is a model: write openai:gpt-4o or azure-openai:gpt-4o"),
        ("claude-sonnet-4-5-20250929", "it is a model: write anthropic:claude-sonnet-4-5-20250929"),
        ("mistral-large-latest", "it is a model: write mistral:mistral-large-latest"),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "it is a model: write bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("gpt-6.2-soll", "did you mean openai:gpt-6.2-sol?"),
        ("claude-of-next-year", "did you mean anthropic:claude-of-next-year?"),
        ("openai/gpt-4o", "write openai:gpt-4o"),
        ("opnai:gpt-4o", "did you mean 'openai'?"),
        ("open-ai", "did you mean 'openai'?"),
        ("OpenAi", "did you mean 'OpenAI'?"),
        ("qqqq", ""),
    ],
)
def test_what_was_meant(id: str, says: str) -> None:
    assert hint(id) == says


@pytest.mark.parametrize("package", ["openai", "anthropic", "mistral", "vertex", "bedrock", "azure_openai"])
def test_every_model_of_a_table_is_answered_with_its_id(package: str) -> None:
    name = package.replace("_", "-")
    for row in ModelTable(f"tako_{package}").rows:
        if not row.suggested:
            continue
        assert f"{name}:{row.id}" in hint(row.id)


def test_names_of_the_file_are_near_too() -> None:
    assert hint("cheep", ("cheap", "clever")) == "did you mean 'cheap'? (tako.toml has it)"
    assert hint("nope") == ""
    assert hint("qqqq", ("cheap", "clever")) == "the configuration has cheap, clever"


@pytest.mark.parametrize("id", ["gpt-9", "tako-evil", "evil", "claude", "requests", "open_ai", "mistral-ai:x", "", "-"])
def test_no_package_is_made_up_of_what_was_typed(id: str) -> None:
    packages = re.findall(r"pip install (\S+?)[);,]*(?:\s|$)", unknown_provider(id))
    assert set(packages) <= set(SHIPPED.values())


def test_what_is_shipped_and_not_installed_is_the_only_advice_to_install() -> None:
    assert _hint("openai:gpt-4o", [], ()) == "pip install tako-openai"
    assert _hint("opnai:gpt-4o", [], ()) == "did you mean 'openai'? (pip install tako-openai)"
    assert _hint("acme:large", [], ()) == ""


def test_a_disabled_provider_is_still_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKO_DISABLE_PLUGINS", "openai")
    assert hint("opnai") == "did you mean 'openai'?"
    assert hint("gpt-6.2-sol") != "it is a model: write openai:gpt-6.2-sol"


def test_the_library_says_the_same() -> None:
    with pytest.raises(PluginError, match="write openai:gpt-4o"):
        tako.get_provider("gpt-4o")
    with pytest.raises(AttributeError, match="did you mean 'OpenAI'"):
        _ = tako.providers.OpenAi


def test_the_command_says_it_with_the_names_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text('default = "cheap"\n[providers.cheap]\nuse = "ollama:m"\n')
    for command in (["chat", "-c", "my.toml", "-m", "cheep", "hi"], ["doctor", "-c", "my.toml", "cheep"]):
        assert main(command) == 2
        assert "did you mean 'cheap'?" in capsys.readouterr().err
    assert main(["capabilities", "gpt-4o"]) == 2
    assert "write openai:gpt-4o" in capsys.readouterr().err


def test_a_misspelt_name_in_the_file_gets_the_near_one(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('default = "cheep"\n[providers.cheap]\nuse = "gpt-4o"\n')
    with pytest.raises(tako.ConfigurationError, match="did you mean 'cheap'"):
        tako.load_config(path)
    path.write_text('default = "cheap"\n[providers.cheap]\nuse = "gpt-4o"\n')
    with pytest.raises(PluginError, match="write openai:gpt-4o"):
        tako.load_config(path).provider()
    with pytest.raises(tako.ConfigurationError, match="did you mean 'cheap'"):
        tako.load_config(path).provider("cheep")


def test_composing_the_line_imports_no_vendor() -> None:
    code = "import sys; from tako.names import unknown_provider; print(unknown_provider('gpt-4o'), *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "openai:gpt-4o" in done.stdout
    assert " tako_" not in done.stdout


def test_the_name_that_is_unknown_within_another_provider_is_the_one_that_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = "fallback: no provider 'olama' is installed"
    with pytest.raises(PluginError, match=message):
        tako.get_provider("fallback:olama:qwen3")
    assert main(["chat", "-m", "fallback:olama:qwen3", "hi"]) == 2
    assert message in capsys.readouterr().err
