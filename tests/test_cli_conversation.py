"""A conversation on a terminal, with and without the line editor: no input is lost, or sent by mistake."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tako.testing.server import Received, Reply, Server, reply, serve, sse
from tako.testing.waiting import until

from .terminals import ALT_ENTER, CTRL_C, CTRL_D, ENTER, Terminal, without

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def piece(text: str | None = None, finish: str | None = None) -> dict[str, Any]:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def answers(request: Received) -> Reply:
    """Answer with the number of messages."""
    return reply(sse(piece(f"answer {len(request.json['messages'])}"), piece(finish="stop")))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "TAKO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "k")


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(answers) as running:
        yield running


Open = "Callable[..., Terminal]"


@pytest.fixture(params=["editor", "plain"])
def talk(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Return a function that opens a conversation, with prompt_toolkit and rich or without both."""
    env = without("prompt_toolkit", "rich", folder=tmp_path) if request.param == "plain" else {}

    def start(server: Server, **options: Any) -> Terminal:
        address = f"base_url={server.url}"
        return Terminal("chat", "-m", "openai:m", "-o", address, env={**env, **options.pop("env", {})}, **options)

    return start


def questions(server: Server) -> list[str]:
    """Return the last message of each request."""
    return [request.json["messages"][-1]["content"] for request in server.requests]


def test_pasted_lines_are_one_turn_and_so_is_a_text_between_fences(server: Server, talk: Open) -> None:
    screen = talk(server)
    screen.wait_for_prompt()
    screen.paste("Sum this up:\nline one\n\n  line two")
    screen.wait_for("line two")
    screen.press(ENTER)
    screen.wait_for("answer 1")
    screen.type(f'"""{ENTER}first{ENTER}{ENTER}second"""{ENTER}')
    screen.wait_for("answer 3")
    screen.type(CTRL_D)
    assert screen.close() == 0
    assert questions(server) == ["Sum this up:\nline one\n\n  line two", "first\n\nsecond"]


def test_ctrl_c_at_the_prompt_clears_the_line_and_the_conversation_continues(server: Server, talk: Open) -> None:
    screen = talk(server)
    screen.type(f"Hello{ENTER}")
    screen.wait_for("answer 1")
    screen.type("half a ques")
    screen.wait_for("half a ques")
    for _ in range(3):
        seen = len(screen.text)
        screen.press(CTRL_C)
        until(lambda seen=seen: "\n" in screen.text[seen:] and screen.plain.rstrip().endswith(">"))
    screen.press(f"a whole one{ENTER}")
    screen.wait_for("answer 3")
    screen.type(CTRL_D)
    assert screen.close() == 0
    assert [message["content"] for message in server.requests[1].json["messages"]] == [
        "Hello",
        "answer 1",
        "a whole one",
    ]


def test_ctrl_c_during_an_answer_stops_that_answer_only(talk: Open) -> None:
    endless = reply(sse(piece("On and on "), done=False), ending="hang")
    with serve(endless, answers) as server:
        screen = talk(server)
        screen.type(f"Tell me{ENTER}")
        screen.wait_for("On and on")
        screen.press(CTRL_C)
        screen.wait_for("that turn is forgotten")
        until(lambda: server.open == 0)
        screen.type(f"And now?{ENTER}")
        screen.wait_for("answer 1")
        screen.type(CTRL_D)
        assert screen.close() == 0
    assert questions(server) == ["Tell me", "And now?"]
    assert screen.settings_after == screen.settings_before


def test_ctrl_c_pressed_repeatedly_only_stops_the_answer(talk: Open) -> None:
    endless = reply(sse(piece("On and on "), done=False), ending="hang")
    with serve(endless, answers) as server:
        screen = talk(server)
        screen.type(f"Tell me{ENTER}")
        screen.wait_for("On and on")
        for _ in range(3):
            screen.press(CTRL_C)
        screen.wait_for("that turn is forgotten")
        screen.wait_for_prompt()
        screen.press(f"And now?{ENTER}")
        screen.wait_for("answer 1")
        screen.type(CTRL_D)
        assert screen.close() == 0
    assert "Traceback" not in screen.text


def test_help_and_exit_are_commands_and_other_lines_are_sent(server: Server, talk: Open) -> None:
    screen = talk(server)
    screen.type(f"/help{ENTER}")
    screen.wait_for("/exit")
    screen.type(f"/hepl{ENTER}")
    screen.wait_for("/hepl isn't a command")
    screen.type(f"/etc/hosts is a file?{ENTER}")
    screen.wait_for("answer 1")
    screen.type(f" /help{ENTER}")
    screen.wait_for("answer 3")
    screen.type(f"/exit now{ENTER}")
    screen.wait_for("/exit doesn't take any text after it")
    screen.type(f"/tmp or not?{ENTER}")
    screen.wait_for("answer 5")
    screen.type(f"/EXIT{ENTER}")
    assert screen.close() == 0
    assert questions(server) == ["/etc/hosts is a file?", " /help", "/tmp or not?"]


def test_a_file_that_cant_be_written_is_a_line_and_the_conversation_continues(server: Server, talk: Open) -> None:
    screen = talk(server)
    screen.wait_for("/help")
    for place, problem in (("~nobody-of-that-name/x", "No such file or directory"), ("/dev/null/x", "Not a directory")):
        screen.press(f"/save {place}{ENTER}")
        screen.wait_for(f"tako: {place}.json can't be written: {problem}")
    screen.press(f"Hello{ENTER}")
    screen.wait_for("answer 1")
    screen.press(f"/exit{ENTER}")
    assert screen.close() == 0


def test_bytes_that_are_not_text_are_not_sent(server: Server, talk: Open) -> None:
    screen = talk(server, env={"PYTHONIOENCODING": "utf-8:strict"})
    screen.wait_for_prompt()
    os.write(screen.master, b"caf\xe9t\xe9 x\r")
    screen.wait_for("that isn't UTF-8 text")
    screen.type(CTRL_D)
    assert screen.close() == 0
    assert server.requests == []


def test_a_refusal_ends_a_turn_and_not_the_conversation(talk: Open) -> None:
    with serve(reply(json={"error": {"message": "slow down"}}, status=400), answers) as server:
        screen = talk(server)
        screen.type(f"Hello{ENTER}")
        screen.wait_for("slow down")
        screen.type(f"Again{ENTER}")
        screen.wait_for("answer 1")
        screen.type(CTRL_D)
        assert screen.close() == 0


def test_only_answers_go_to_a_pipe_and_the_prompt_goes_to_the_terminal(server: Server, talk: Open) -> None:
    screen = talk(server, stdout=subprocess.PIPE)
    screen.type(f"Hello{ENTER}")
    until(lambda: len(server.requests) == 1)
    screen.type(CTRL_D)
    assert screen.close() == 0
    assert screen.process.stdout is not None
    assert screen.process.stdout.read() == b"answer 1\n"
    screen.process.stdout.close()


def test_a_dumb_terminal_has_conversations_too(server: Server, talk: Open) -> None:
    screen = talk(server, env={"TERM": "dumb"})
    screen.type(f"Hello{ENTER}")
    screen.wait_for("answer 1")
    screen.type(CTRL_D)
    assert screen.close() == 0
    assert "\x1b[" not in screen.text.replace("\x1b[?2004h", "").replace("\x1b[?2004l", "")


def test_what_is_typed_or_pasted_during_an_answer_waits_for_the_prompt(talk: Open) -> None:
    go_on = threading.Event()

    def wait_then_answer(request: Received) -> Reply:
        if len(request.json["messages"]) == 1:
            go_on.wait(60)
        return answers(request)

    with serve(wait_then_answer) as server:
        screen = talk(server)
        screen.type(f"Hello{ENTER}")
        until(lambda: len(server.requests) == 1)
        screen.paste("two\nlines")
        screen.press(ENTER)
        go_on.set()
        screen.wait_for("answer 3")
        screen.type(CTRL_D)
        assert screen.close() == 0
    assert questions(server) == ["Hello", "two\nlines"]


def test_the_editor_starts_a_line_with_alt_enter_and_has_a_history(server: Server) -> None:
    screen = Terminal("chat", "-m", "openai:m", "-o", f"base_url={server.url}")
    screen.type(f"first{ALT_ENTER}second{ENTER}")
    screen.wait_for("answer 1")
    screen.type(f"\x1b[A{ENTER}")
    screen.wait_for("answer 3")
    screen.type(CTRL_D)
    assert screen.close() == 0
    assert questions(server) == ["first\nsecond"] * 2


def test_without_rich_an_answer_on_a_terminal_is_plain_text(tmp_path: Path) -> None:
    env = without("prompt_toolkit", "rich", folder=tmp_path)
    with serve(reply(sse(piece("It is **42**.\x1b]0;title\x07"), piece(finish="stop")))) as server:
        screen = Terminal("chat", "-m", "openai:m", "-o", f"base_url={server.url}", "What?", env=env)
        assert screen.close() == 0
    assert "It is **42**." in screen.text
    assert "title\x07" not in screen.text
