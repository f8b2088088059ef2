"""The prompt: the words on the command line and piped input; neither is ever dropped."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tako.cli import main
from tako.testing.server import Server, reply, serve
from tako.testing.waiting import PATIENCE, until

from .terminals import CTRL_D, TAKO, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = {"choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "TAKO_"))]:
        monkeypatch.delenv(name)
    with serve(reply(json=ANSWER)) as running:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        yield running


CHAT = ["chat", "-m", "openai:m", "--no-stream"]


def last_question(server: Server) -> str:
    text: str = server.requests[-1].json["messages"][-1]["content"]
    return text


@pytest.mark.parametrize(
    ("args", "piped", "prompt"),
    [
        (["Explain", "this"], "+ a line\n", "Explain this\n\n+ a line"),
        (["Explain this"], "", "Explain this"),
        (["Explain this"], " \n", "Explain this"),
        (
            ["Translate:", "-", "Be", "brief."],
            "  Guten Tag\n\nHallo\n",
            "Translate:\n\n  Guten Tag\n\nHallo\n\nBe brief.",
        ),
        (["-", "What is it?"], "data", "data\n\nWhat is it?"),
        (["-"], "From a pipe?\n", "From a pipe?"),
        ([], "From a pipe?\n", "From a pipe?"),
        (["What is 5 - 3?"], "", "What is 5 - 3?"),
        (["Why?"], "\N{ZERO WIDTH NO-BREAK SPACE}a\tb\0c", "Why?\n\na\tb\0c"),
        (["Count"], "x" * 1_000_000, "Count\n\n" + "x" * 1_000_000),
    ],
)
def test_the_prompt_and_piped_input_are_one_message(
    server: Server, monkeypatch: pytest.MonkeyPatch, args: list[str], piped: str, prompt: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(piped))
    assert main([*CHAT, *args]) == 0
    assert last_question(server) == prompt


@pytest.mark.parametrize(
    "case",
    [
        ([], " \n", "the prompt is empty"),
        (["-"], "", "the prompt is empty"),
        ([""], "", "the prompt is empty"),
        (["-", "and", "-"], "x", "use - only once"),
    ],
)
def test_an_empty_prompt_and_a_second_dash_are_refused(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: tuple[list[str], str, str],
) -> None:
    args, piped, message = case
    monkeypatch.setattr(sys, "stdin", io.StringIO(piped))
    assert main([*CHAT, *args]) == 2
    assert message in capsys.readouterr().err
    assert server.requests == []


def test_empty_input_for_a_dash_is_a_line_on_stderr(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CHAT, "Explain", "-"]) == 0
    assert capsys.readouterr().err == "tako: standard input is empty\n"
    assert last_question(server) == "Explain"


def tako(*arguments: str, stdin: int | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TAKO, *arguments], stdin=stdin, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("args", [["Explain"], ["-"], []])
def test_input_that_is_not_text_is_one_line_before_any_call(server: Server, args: list[str]) -> None:
    binary, writer = os.pipe()
    os.write(writer, b"\x89PNG\r\n\x1a\n\xff")
    os.close(writer)
    result = tako(*CHAT, *args, stdin=binary)
    os.close(binary)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "tako: standard input isn't UTF-8 text (byte 0x89 at 1)\n"
    assert server.requests == []


def test_the_unreadable_input_of_nohup_is_ignored(server: Server) -> None:
    unreadable = os.open(os.devnull, os.O_WRONLY)
    result = tako(*CHAT, "Hello", stdin=unreadable)
    assert (result.returncode, result.stdout, result.stderr) == (0, "ok\n", "")
    assert last_question(server) == "Hello"
    result = tako(*CHAT, "Hello", "-", stdin=unreadable)
    assert (result.returncode, result.stderr) == (2, "tako: standard input can't be read: Bad file descriptor\n")
    os.close(unreadable)


def test_a_line_says_that_the_command_waits_for_slow_input(server: Server) -> None:
    process = subprocess.Popen(
        [*TAKO, *CHAT, "Explain"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "reading standard input" in process.stderr.readline()
    out, _ = process.communicate("slowly\n", timeout=PATIENCE)
    assert out == "ok\n"
    assert last_question(server) == "Explain\n\nslowly"


def test_a_dash_on_a_terminal_reads_what_is_typed(server: Server) -> None:
    screen = Terminal(*CHAT, "Explain", "-")
    screen.wait_for("Ctrl-D ends it")
    screen.press(f"typed\n{CTRL_D}")
    until(lambda: bool(server.requests))
    assert screen.close() == 0
    assert last_question(server) == "Explain\n\ntyped"
