"""`tako plugins`: the plugins in each hook of a provider, their order, and their distributions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tako import Capabilities, hookimpl
from tako.cli import main
from tako.discovery import provider_entries
from tako.hooks import HOOKS
from tako.testing.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GENERAL = """
from tako import Capabilities, hookimpl

@hookimpl
def tako_capabilities(provider):
    return Capabilities() if provider.model == "m" else None

@hookimpl(wrapper=True)
def tako_chat(provider):
    return (yield)
"""
EXTENDED = "from tako_openai import OpenAI\nclass Mine(OpenAI):\n    name = 'mine'\n"


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment with a general plugin, a provider that extends another's class, and a broken one."""
    for name, version, points, code in (
        ("tako-general", "2.5", "[tako.plugins]\ngeneral = tako_general\n", GENERAL),
        ("tako-mine", "1.2", "[tako.providers]\nmine = tako_mine:Mine\n", EXTENDED),
        ("tako-broken", "0.3", "[tako.providers]\nbroken = tako_broken:Broken\n", "1 / 0\n"),
    ):
        module = name.replace("-", "_")
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(points)
        (tmp_path / f"{module}.py").write_text(code)
    allowed = "tako-general,tako-mine,tako-broken,tako-openai"  # what has nothing to do with it is not imported
    return {**os.environ, "PYTHONPATH": str(tmp_path), "TAKO_ALLOW_PLUGINS": allowed}


def tako(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tako.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=PATIENCE)


def chains(name: str, env: dict[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    """Return a provider's chains as tuples of plugin, role, distribution, version."""
    result = tako("plugins", name, "--json", env=env)
    assert result.returncode == 0, result.stderr
    [row] = json.loads(result.stdout)
    assert list(row["hooks"]) == list(HOOKS)
    keys = ("plugin", "role", "required", "distribution", "version")
    return {hook: [tuple(link[key] for key in keys) for link in links] for hook, links in row["hooks"].items()}


def test_a_chain_shows_wrappers_overrides_the_provider_and_the_defaults_in_order(installed: dict[str, str]) -> None:
    links_by_hook = chains("openai", installed)
    core = ("tako-core", "0.1.0")
    assert links_by_hook["tako_chat"] == [
        ("tako.integrity", "wraps", False, *core),
        ("general", "wraps", False, "tako-general", "2.5"),
        ("tako.guard", "wraps", False, *core),
        ("tako.deadline", "wraps", False, *core),
        ("tako.retries", "wraps", False, *core),
        ("tako.log", "wraps", False, *core),
        ("provider tako.kit.responses.provider", "provider", False, *core),
        ("provider tako.kit.completions.provider", "provider", False, *core),
        ("tako.defaults", "default", False, *core),
    ]
    assert links_by_hook["tako_capabilities"] == [
        ("general", "overrides", False, "tako-general", "2.5"),
        ("provider tako.kit.completions.provider", "provider", False, *core),
        ("tako.defaults", "default", False, *core),
    ]


def test_a_disabled_plugin_is_not_in_the_chain(installed: dict[str, str]) -> None:
    links_by_hook = chains("openai", {**installed, "TAKO_DISABLE_PLUGINS": "general,cache,otel,prices,record"})
    assert not [link for links in links_by_hook.values() for link in links if link[0] == "general"]


def test_a_hook_from_a_base_class_shows_the_distribution_of_that_class(installed: dict[str, str]) -> None:
    links_by_hook = chains("mine", installed)["tako_translator"]
    assert links_by_hook[0] == ("provider tako.kit.responses.provider", "provider", False, "tako-core", "0.1.0")
    result = tako("plugins", "mine", env=installed)
    assert result.stdout.splitlines()[1].split()[:2] == ["mine", "tako_capabilities"]


def test_a_broken_provider_is_named_with_the_reason(installed: dict[str, str]) -> None:
    result = tako("plugins", env=installed)
    assert result.returncode == 1
    [line] = [line for line in result.stdout.splitlines() if line.startswith("broken")]
    assert line.split()[:5] == ["broken", "broken", "tako-broken", "0.3", "ZeroDivisionError:"]
    result = tako("plugins", "broken", "--json", env=installed)
    row: dict[str, Any] = json.loads(result.stdout)[0]
    assert (row["state"], row["hooks"]) == ("broken", {})


def test_every_installed_provider_is_listed_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["PROVIDER", "HOOK", "PLUGIN", "ROLE", "DISTRIBUTION", "VERSION"]
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        entry.name for entry in provider_entries()
    ]


def test_a_plugin_that_the_program_registered_has_no_distribution(
    register: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    class Here:
        @hookimpl
        def tako_capabilities(self) -> Capabilities:
            return Capabilities()

    register(Here(), "here")
    assert main(["plugins", "openai", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    link = {"plugin": "here", "role": "overrides", "required": False, "distribution": "", "version": "", "options": {}}
    assert row["hooks"]["tako_capabilities"][0] == link


def test_a_name_in_the_configuration_means_the_provider_that_it_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tako.toml"
    file.write_text('[providers.code]\nuse = "openai:m"\n')
    assert main(["plugins", "code", "-c", str(file), "--json"]) == 0
    assert [row["provider"] for row in json.loads(capsys.readouterr().out)] == ["openai"]
    assert main(["plugins", "cod", "-c", str(file)]) == 2
    assert "did you mean 'code'" in capsys.readouterr().err


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "nope"]) == 2
    assert "no provider 'nope' is installed (installed: anthropic" in capsys.readouterr().err
