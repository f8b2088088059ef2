"""The command's help, page, options and completion, and how little it imports."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser, _SubParsersAction
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tako.cli import main
from tako.cli.arguments import COMMANDS, command_summaries, parser_of
from tako.cli.completion import completions
from tako.cli.table import narrow, print_rows

from .terminals import TAKO, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent.parent / "docs" / "command.md"


def parsers(name: str) -> Iterator[tuple[str, ArgumentParser]]:
    """Yield a command's parser, and those of its actions."""
    parser = parser_of(name)
    yield name, parser
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for own, inner in action.choices.items():
                yield f"{name} {own}", inner


ALL = [pair for name in command_summaries() for pair in parsers(name)]


def section(name: str) -> str:
    """Return the section of the page about a command."""
    text = PAGE.read_text(encoding="utf-8")
    match = re.search(rf"^## `tako {re.escape(name)}\b.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return match[0] if match else ""


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_page_has_exactly_the_commands_and_options_that_exist(name: str) -> None:
    text = section(name)
    assert text, f"docs/command.md has no section on tako {name}"
    options = {
        option
        for _, parser in parsers(name)
        for action in parser._actions
        for option in action.option_strings
        if option not in ("-h", "--help", "--debug")
    }
    missing = sorted(option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", text))
    assert missing == []
    table = re.findall(r"^\| `(-.*?)` \|", text, re.MULTILINE)
    written = {option for cell in table for option in re.findall(r"(?<![\w-])--?[a-z][\w-]*", cell)}
    assert written - options == set()
    actions = [inner.split()[1] for inner, _ in parsers(name) if " " in inner]
    assert [one for one in actions if f"`tako {name} {one}" not in text and f"`{one}" not in text] == []


def test_each_letter_has_one_meaning_in_all_commands() -> None:
    meanings: dict[str, set[str]] = {}
    for _, parser in ALL:
        for action in parser._actions:
            long = next((one for one in action.option_strings if one.startswith("--")), "")
            for letter in (one for one in action.option_strings if not one.startswith("--")):
                meanings.setdefault(letter, set()).add(long)
    assert meanings.pop("-o") == {"--option", "--output"}  # `tako map` writes to its output
    assert {letter: longs for letter, longs in meanings.items() if len(longs) > 1} == {}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "completion"])
def test_every_command_has_the_option_json(name: str) -> None:
    for full, parser in parsers(name):
        inner = any(isinstance(action, _SubParsersAction) for action in parser._actions)
        assert inner or "--json" in parser.format_help(), full


@pytest.mark.parametrize("name", list(COMMANDS))
def test_both_spellings_of_help_show_examples_before_the_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    first = capsys.readouterr().out
    assert first.index("examples:") < first.index("options:")
    assert all(len(line) <= 120 for line in first.splitlines())
    assert main(["help", name]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("name", [name for name, _ in ALL])
def test_every_option_says_what_it_does(name: str) -> None:
    parser = dict(ALL)[name]
    assert [action.dest for action in parser._actions if not action.help and not action.choices] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["ch"], ["chat"]),
        (["logs", "pr"], ["prune"]),
        (["chat", "--temp"], ["--temperature"]),
        (["chat", "-m", "anthropic:"], ["anthropic:claude-sonnet-5-5"]),
        (["-m", "openai:gpt-6.2-s"], ["openai:gpt-6.2-sol"]),
        (["models", "open"], ["openai"]),
        (["completion", "f"], ["fish"]),
        (["map", "--eng"], ["--engine"]),
        (["chat", "--seed", ""], []),
        (["no-such-command", ""], []),
    ],
)
def test_the_last_word_is_completed(line: list[str], expected: list[str]) -> None:
    completed = completions(line)
    assert set(expected) <= set(completed)
    assert all(one.startswith(line[-1]) for one in completed)
    assert bool(expected) == bool(completed)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_read_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "tako completion words" in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} isn't installed")
    subprocess.run([program, "-n"], input=script, text=True, check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash isn't installed")
def test_bash_completes_a_model(tmp_path: Path) -> None:
    (tmp_path / "tako").write_text(f'#!/bin/sh\nexec {sys.executable} -m tako.cli "$@"\n')
    (tmp_path / "tako").chmod(0o755)
    script = (
        'eval "$(tako completion bash)"; COMP_WORDS=(tako chat -m openai : gpt-6.2-so); COMP_CWORD=5; '
        'COMP_LINE="tako chat -m openai:gpt-6.2-so"; COMP_POINT=${#COMP_LINE}; _tako; echo "${COMPREPLY[@]}"'
    )
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    result = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["gpt-6.2-sol"]


def test_version_and_help_import_hardly_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version", "--json"]) == 0
    assert capsys.readouterr().out == '{"version":"0.1.0"}\n'
    heavy = "{'sqlite3', 'rich', 'msgspec', 'pluggy', 'asyncio', 'prompt_toolkit', 'jsonschema', 'keyring'}"
    for arguments in (["--version"], ["chat", "--help"], ["logs", "--help"]):
        run = f"import sys\nfrom tako.cli import main\nmain({arguments})\n"
        code = f"{run}print({heavy} & set(sys.modules), file=sys.stderr)"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stderr == "set()\n"


def test_a_table_wraps_on_a_terminal_and_never_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert narrow([5, 40, 100], 80) == [5, 35, 36]
    rows = [{"name": "a", "why": "word " * 60}]
    print_rows(rows, as_json=False)
    assert len(capsys.readouterr().out.splitlines()) == 2
    screen = Terminal("providers", columns=100)
    screen.close()
    assert max(len(line) for line in screen.plain.replace("\r", "").splitlines()) <= 100


def test_doctor_tells_a_newcomer_what_to_do_next(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TAKO_ALLOW_PLUGINS": "tako-openai"}
    variables = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:9"}
    for more, advice in (
        ({}, "next: tako keys set openai"),
        ({**variables, "TAKO_MODEL": "openai:m"}, 'next: tako chat "Hello" asks openai:m'),
    ):
        command = [*TAKO, "doctor"]
        result = subprocess.run(command, env=env | more, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert advice in result.stderr
