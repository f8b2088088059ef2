"""Commands and tako.toml: all use the same file, and its names never replace an installed provider."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tako.cli import main
from tako.testing.server import Server, reply, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = """
default = "openai"
[providers.openai]
use = "ollama:m"
base_url = "{url}/other"
[providers.mistral]
use = "mistral:small"
base_url = "{url}/mistral"
api_key = "k"
[providers.cheap]
use = "openai:gpt-5-mini"
base_url = "{url}/cheap"
api_key = "$ENV:CHEAP_KEY"
headers = {{ x-gate = "$ENV:GATE" }}
[providers.odd]
use = "opnai:m"
"""
OK = {"choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "TAKO_", "MISTRAL_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("CHEAP_KEY", "k")
    monkeypatch.setenv("GATE", "g")
    monkeypatch.chdir(tmp_path)
    with serve(lambda _: reply(json=OK)) as running:
        (tmp_path / "my.toml").write_text("allow_secrets = true\n" + FILE.format(url=running.url))
        (tmp_path / "rows.csv").write_text("text\nhi\n")
        yield running


COMMANDS: dict[str, list[str]] = {
    "chat": ["chat", "-c", "my.toml", "hi", "-m"],
    "map": ["map", "rows.csv", "-o", "out.jsonl", "--prompt", "{text}", "-c", "my.toml", "-m"],
    "map on a cluster": ["map", "rows.csv", "--engine=dask", "-o=o.jsonl", "--prompt={text}", "-c=my.toml", "-m"],
    "capabilities": ["capabilities", "-c", "my.toml"],
    "doctor": ["doctor", "-c", "my.toml"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("model", ["openai", "openai:gpt-5"])
def test_a_name_that_is_also_an_installed_providers_is_refused(
    command: str, model: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMANDS[command], model]) == 2
    err = capsys.readouterr().err
    assert "'openai' could be the installed provider, or [providers.openai] in my.toml, which uses 'ollama'" in err
    assert err.count("\n") == 1
    assert server.requests == []


def test_the_variable_does_not_bypass_the_refusal(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAKO_MODEL", "openai:gpt-5")
    monkeypatch.setenv("TAKO_CONFIG", str(tmp_path / "my.toml"))
    assert main(["chat", "hi"]) == 2
    assert "could be the installed provider" in capsys.readouterr().err


def test_the_same_provider_under_its_own_name_is_fine(server: Server) -> None:
    assert main(["chat", "-c", "my.toml", "-m", "mistral", "hi"]) == 0
    assert server.requests[-1].path.startswith("/mistral")
    address = f"base_url={server.url}/plain"
    assert main(["chat", "-c", "my.toml", "-m", "mistral:large", "-o", address, "-o", "api_key=k", "hi"]) == 0
    assert (server.requests[-1].path.startswith("/plain"), server.requests[-1].json["model"]) == (True, "large")


def test_the_files_own_default_means_its_own_names(server: Server) -> None:
    assert main(["chat", "-c", "my.toml", "hi"]) == 1  # the server isn't Ollama
    assert server.requests[-1].path.startswith("/other")


def test_map_takes_a_name_of_the_file(server: Server, tmp_path: Path) -> None:
    assert main([*COMMANDS["map"], "cheap"]) == 0
    assert server.requests[-1].path.startswith("/cheap")
    assert server.requests[-1].headers["x-gate"] == "g"
    assert json.loads((tmp_path / "out.jsonl").read_text())["text"] == "ok"


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    return {row["name"] + row["model"]: row for row in json.loads(capsys.readouterr().out)}


def test_doctor_looks_at_a_provider_of_the_file(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-c", "my.toml", "cheap", "--json"]) == 0
    row = rows(capsys)["cheapopenai:gpt-5-mini"]
    assert (row["plugin"], row["key"]) == ("ok", "present")
    assert row["endpoint"] == f"{server.url.removeprefix('http://')} reachable"


@pytest.mark.parametrize(("variable", "key"), [("CHEAP_KEY", "missing"), ("GATE", "")])
def test_doctor_names_a_variable_that_is_not_set(
    variable: str, key: str, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(variable)
    assert main(["doctor", "-c", "my.toml", "cheap", "--json"]) == 1
    row = rows(capsys)["cheapopenai:gpt-5-mini"]
    assert f"names the variable {variable}, which isn't set" in row["why"]
    assert row["key"] == key


def test_doctor_without_names_looks_at_all(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-c", "my.toml", "--json"]) == 1
    models = rows(capsys)
    assert {"openai", "openaiollama:m", "mistral", "mistralmistral:small", "cheapopenai:gpt-5-mini"} <= {*models}
    odd = models["oddopnai:m"]
    assert odd["plugin"] == "missing"
    assert "did you mean 'openai'?" in odd["why"]


def test_doctor_says_what_to_do_next_with_the_file_that_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my own.toml"
    file.write_text('default = "fast"\n[providers.fast]\nuse = "python:os:getcwd"\n')
    monkeypatch.setenv("TAKO_MODEL", "openai:another")
    main(["doctor", "-c", str(file)])
    assert f"next: tako chat -c '{file}' \"Hello\" asks fast" in capsys.readouterr().err
    main(["doctor"])
    assert 'next: tako chat "Hello" asks openai:another' in capsys.readouterr().err


def test_doctor_names_a_provider_of_the_file_by_the_name_that_it_has_there(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("TAKO_MODEL", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MISTRAL_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    Path("near.toml").write_text(
        f'[providers.near]\nuse = "openai:m"\napi_key = "$ENV:CHEAP_KEY"\nbase_url = "{server.url}"\n'
    )
    main(["doctor", "-c", "near.toml"])
    assert 'next: tako chat -c near.toml -m near "Hello"' in capsys.readouterr().err


def test_doctor_never_shows_a_model_that_nobody_named(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json"])
    models = rows(capsys)
    assert models["fallback"]["why"] == "needs providers, as in fallback:openai:…,anthropic:…"
    assert models["http-generic"]["why"] == "http-generic needs the options url and body_template"
    assert [row["name"] for row in models.values() if "doctor" in row["why"]] == []
