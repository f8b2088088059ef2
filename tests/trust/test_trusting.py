"""A tako.toml that merely lies in the current folder does nothing until its user trusts it; and `tako trust`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

import tako
from tako import trust
from tako.config import UntrustedWarning
from tako.errors import ConfigurationError

from ..terminals import Terminal  # noqa: TID252 - tests are no installed package

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Fill, Run

UNTRUSTED = "./tako.toml isn't trusted, so it isn't used; to see what it does, and to trust it: tako trust"


# --- until it is trusted


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat", "hi"],
        ["chat", "-m", "a", "hi"],
        ["conduct", "hi"],
        ["capabilities", "a"],
        ["doctor", "openai"],
        ["map", "rows.csv", "-o", "out.jsonl", "-m", "a", "--prompt", "{text}"],
    ],
    ids=" ".join,
)
def test_every_command_leaves_it_alone_and_says_so(arguments: list[str], run: Run, folder: Path) -> None:
    (folder / "rows.csv").write_text("text\nhi\n")
    done = run(*arguments)
    assert not (folder / "it-ran").exists()
    assert f"tako: {UNTRUSTED}\n" in done.err
    assert done.err.count("isn't trusted") == 1


def test_an_id_of_an_installed_provider_needs_no_file_and_the_line_comes_all_the_same(run: Run) -> None:
    done = run("chat", "-m", "openai:m", "hi")
    assert UNTRUSTED in done.err
    assert "OPENAI_API_KEY" in done.err


def test_the_users_own_file_is_used_in_its_place(run: Run, home: Path) -> None:
    own = home / ".config" / "tako"
    own.mkdir(parents=True)
    (own / "tako.toml").write_text(
        'default = "mine"\n[providers.mine]\nuse = "ollama:m"\nbase_url = "http://127.0.0.1:9"\nmax_retries = 0\n'
    )
    done = run("chat", "hi")
    assert UNTRUSTED in done.err
    assert f"tako: using {own / 'tako.toml'}\n" in done.err
    assert "ollama:m" in done.err


def test_what_is_named_needs_no_trust(run: Run, folder: Path) -> None:
    assert run("chat", "-c", "tako.toml", "hi").obeyed
    done = run("chat", "hi", TAKO_CONFIG=str(folder / "tako.toml"))
    assert done.obeyed
    assert f"tako: using {folder / 'tako.toml'}" in done.err


def test_a_file_of_a_folder_above_is_not_looked_for(run: Run, folder: Path) -> None:
    run("trust", "--yes")
    (folder / "below").mkdir()
    done = run("chat", "hi", cwd=folder / "below")
    assert done.code == 2
    assert "no model is chosen" in done.err


# --- tako trust


def test_trust_shows_what_the_file_does(run: Run, folder: Path, fill: Fill) -> None:
    gate = '[providers.b]\nuse = "openai:m"\nbase_url = "https://gate.example/v1"\nheaders = { x-t = "$ENV:GATE" }\n'
    fill(folder, gate)
    done = run("trust")
    for part in (str(folder / "tako.toml"), "python:theirs:answer", "https://gate.example/v1", "GATE", "theirs.py"):
        assert part in done.err


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yellow\n"], ids=repr)
def test_no_answer_and_any_other_trust_nothing(answer: str, run: Run, folder: Path) -> None:
    done = run("trust", stdin=answer)
    assert done.code == 1
    assert "isn't trusted; without a terminal, use tako trust --yes\n" in done.err
    assert not run("chat", "hi").obeyed
    assert not (folder / "it-ran").exists()


def test_an_answer_that_is_piped_in_counts(run: Run) -> None:
    assert run("trust", stdin="y\n").code == 0
    assert run("chat", "hi").obeyed


def test_on_a_terminal_it_asks(run: Run) -> None:
    screen = Terminal("trust")
    screen.wait_for("Trust it?")
    os.write(screen.master, b"y\n")
    assert screen.close() == 0
    done = run("chat", "hi")
    assert done.obeyed
    assert "tako: using ./tako.toml\n" in done.err


def test_any_other_answer_on_a_terminal_trusts_nothing(run: Run) -> None:
    screen = Terminal("trust")
    screen.wait_for("Trust it?")
    os.write(screen.master, b"yellow\n")
    assert screen.close() == 1
    assert not run("chat", "hi").obeyed


def test_a_file_that_is_not_there_is_said_to_be_missing(run: Run) -> None:
    for name in ("nosuch", "nosuch/tako.toml"):
        done = run("trust", name)
        assert (done.code, done.err.startswith(f"tako: {name}: no such file")) == (2, True)


def test_yes_asks_nothing_and_a_folder_stands_for_its_file(run: Run, folder: Path, tmp_path: Path) -> None:
    done = run("trust", "--yes", str(folder), cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"tako: {folder / 'tako.toml'} is trusted as it is now\n"
    assert run("chat", "hi").obeyed


def test_list_shows_what_is_trusted_and_revoke_ends_it(run: Run, folder: Path, tmp_path: Path, fill: Fill) -> None:
    assert "you don't trust any files" in run("trust", "--list").err
    run("trust", "--yes")
    other = fill(tmp_path / "other")
    run("trust", "--yes", cwd=other)
    (other / "theirs.py").write_text("changed = 1\n")
    lines = run("trust", "--list").out.splitlines()[1:]
    assert [line.split(maxsplit=1) for line in lines] == [
        [str(folder / "tako.toml"), "trusted"],
        [str(other / "tako.toml"), "changed since, so it isn't used"],
    ]
    (other / "tako.toml").unlink()
    assert run("trust", "--list").out.splitlines()[2].split(maxsplit=1) == [str(other / "tako.toml"), "gone or broken"]
    done = run("trust", "--revoke", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"file": str(folder / "tako.toml"), "trusted": False})
    assert json.loads(run("trust", "--yes", "--json").out)["trusted"]
    assert run("trust", "--revoke").code == 0
    assert not run("chat", "hi").obeyed
    assert run("trust", "--revoke", str(other / "tako.toml")).code == 0
    assert run("trust", "--list").out == ""
    done = run("trust", "--revoke")
    assert (done.code, done.err) == (2, "tako: tako.toml isn't trusted\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trust", "gone/tako.toml", "--yes"], "gone/tako.toml: no such file"),
        (["trust", "theirs.py", "--yes"], "only a tako.toml needs trust"),
        (["trust", "broken", "--yes"], "broken/tako.toml: not TOML"),
    ],
)
def test_what_cannot_be_trusted_is_one_line(
    arguments: list[str], says: str, run: Run, folder: Path, fill: Fill
) -> None:
    fill(folder / "broken", config="default = ")
    done = run(*arguments)
    assert done.code == 2
    assert says in done.err
    assert done.err.count("\n") == 1


# --- the library


def test_a_program_is_warned_and_gets_an_error_if_nothing_else_is_there() -> None:
    with pytest.warns(UntrustedWarning, match="isn't trusted"), pytest.raises(ConfigurationError, match="tako trust"):
        tako.load_config()


def test_a_program_that_names_the_file_means_it() -> None:
    assert tako.load_config("tako.toml").default == "a"


def test_a_program_obeys_a_trusted_file_without_a_word(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("trust", "--yes")
    assert tako.load_config().default == "a"
    assert capsys.readouterr() == ("", "")


def test_the_users_own_file_in_its_own_folder_needs_no_trust(
    home: Path, monkeypatch: pytest.MonkeyPatch, fill: Fill
) -> None:
    own = home / ".config" / "tako"
    own.mkdir(parents=True)
    fill(own)
    monkeypatch.chdir(own)
    assert tako.load_config().default == "a"


def test_a_record_names_files_and_holds_none_of_their_content(run: Run, folder: Path) -> None:
    run("trust", "--yes")
    (record,) = trust.records()
    assert record.path == str(folder.resolve() / "tako.toml")
    assert set(record.beside) == {"theirs.py"}
    assert {len(hash) for hash in (record.sha256, *record.beside.values())} == {64}


CODE = "It can run code as you, and send your keys and prompts to any address."
ADDRESS = "It can send your keys and prompts to any address. It doesn't run code."
MODELS = "It chooses models, which you pay for. It doesn't run code, and uses the vendors' usual addresses."
ELSEWHERE = '{ id = "openai:m", options = { base_url = "https://gate.example" } }'
OPENAI = '[providers.a]\nuse = "openai:gpt-6.2-sol"\n'


@pytest.mark.parametrize(
    ("config", "summary"),
    [
        (OPENAI, MODELS),
        (f'default = "a"\n{OPENAI}timeout = 5\ndefaults = {{ system = "Be brief." }}\n', MODELS),
        (f'{OPENAI}headers = {{ x-team = "$ENV:TEAM" }}\n', MODELS),
        (f'{OPENAI}[aliases]\nfast = "mistral:m"\n[chat]\nsystem = "Be brief."\n', MODELS),
        (f'{OPENAI}[providers.b]\nuse = "fallback"\nproviders = ["a", "mistral:m"]\n', MODELS),
        (f'{OPENAI}[conductor.workers]\nmath = "a"\n', MODELS),
        (f'{OPENAI}base_url = "https://gate.example/v1"\n', ADDRESS),
        (f'{OPENAI}proxy = "http://proxy.example:3128"\n', ADDRESS),
        ('[providers.a]\nuse = "bedrock:m"\nendpoint_url = "https://gate.example"\n', ADDRESS),
        ('[providers.a]\nuse = "HttpGeneric:m"\n', ADDRESS),
        (f'[providers.b]\nuse = "fallback"\nproviders = [{ELSEWHERE}]\n', ADDRESS),
        ('[providers.a]\nuse = "python:os:getcwd"\n', CODE),
        ('[providers.a]\nuse = "PythonProvider"\nmodel = "os:getcwd"\n', CODE),
        ('[aliases]\nfast = "python:os:getcwd"\n', CODE),
        ('[providers.b]\nuse = "fallback:openai:m"\nproviders = ["python:os:getcwd"]\n', CODE),
        (f'{OPENAI}[chat]\ntools = ["os:getcwd"]\n', CODE),
        (f'{OPENAI}[chat]\nschema = "os:PathLike"\n', CODE),
        (f'{OPENAI}[templates.t]\nprompt = "hi"\nmodel = "python:os:getcwd"\n', CODE),
        (f'{OPENAI}[templates.t]\nprompt = "hi"\ntools = ["theirs:answer"]\n', CODE),
        ('[providers.a]\nuse = "acme:m"\n', CODE),
        (f'{OPENAI}[plugins.audit]\nsend_to = "https://x.example"\n', CODE),
    ],
)
def test_trust_says_what_this_file_can_do_at_most(config: str, summary: str, run: Run, folder: Path) -> None:
    (folder / "tako.toml").write_text(config)
    assert [line for line in run("trust", stdin="n\n").err.splitlines() if line in (CODE, ADDRESS, MODELS)] == [summary]
