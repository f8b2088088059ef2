"""Conversations in a real terminal (tmux): pastes, Ctrl-C, completion, the arrows, and continuing the next day."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tako.cli import main
from tako.testing.server import Received, Reply, Server, reply, serve, sse
from tako.testing.waiting import until

from .tmux import Tmux, needs_tmux

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = needs_tmux


def piece(text: str | None, finish: str | None = None) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def answers(request: Received) -> Reply:
    """Answer with the number of messages, the model and the mode; never end if the prompt says so."""
    if request.json["messages"][-1]["content"] == "forever":
        return reply(sse(piece("On and on "), done=False), ending="hang")
    usage = {**piece(None), "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}
    text = f"answer {len(request.json['messages'])} of {request.json['model']}"
    return reply(sse(piece(text, "stop"), usage))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "TAKO_")) and name != "TAKO_DISABLE_PLUGINS":
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.chdir(tmp_path)
    with serve(answers) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        yield running


@pytest.fixture
def tmux(tmp_path: Path, server: Server) -> Iterator[Callable[..., Tmux]]:
    opened: list[Tmux] = []

    def start(*arguments: str) -> Tmux:
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        opened.append(Tmux(folder, "chat", *arguments))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def questions(server: Server) -> list[Any]:
    return [request.json["messages"][-1]["content"] for request in server.requests]


def test_a_paste_is_one_turn_and_ctrl_c_only_stops_the_answer(tmux: Callable[..., Tmux], server: Server) -> None:
    screen = tmux("-m", "openai:m")
    screen.wait_for_prompt()
    screen.paste("one\ntwo\n\nthree")
    screen.wait_for("three")
    screen.press("Enter")
    screen.wait_for("answer 1 of m")
    screen.type("forever", "Enter")
    screen.wait_for("On and on")
    screen.press("C-c")
    screen.wait_for("that turn is forgotten")
    screen.type("half", "C-c")
    screen.type("and now", "Enter")
    screen.wait_for("answer 3 of m")
    screen.wait_for_prompt()
    screen.press("C-d")
    screen.wait_for("ended with 0")
    assert questions(server) == ["one\ntwo\n\nthree", "forever", "and now"]


def test_tab_completes_commands_models_and_files(tmux: Callable[..., Tmux], server: Server, tmp_path: Path) -> None:
    (tmp_path / "a-note.txt").write_text("remember")
    screen = tmux("-m", "openai:m")
    screen.type("first", "Enter")
    screen.wait_for("answer 1 of m")
    screen.type("/un", "Tab", "Enter")
    screen.wait_for("are forgotten")
    screen.type("/mod", "Tab")
    screen.press("Space")
    screen.run("send-keys", "-t", "tako", "-l", "openai:gpt-6.2-so")
    screen.press("Tab", "Enter")
    screen.wait_for("openai:gpt-6.2-sol answers from now on.")
    screen.type("/system Be kind.", "Enter")
    screen.type("/file a-n", "Tab", "Enter")
    screen.wait_for("a-note.txt goes with your next question.")
    screen.type("second", "Enter")
    screen.wait_for("answer 2 of gpt-6.2-sol")
    screen.type("/cost", "Enter")
    screen.wait_for("1 turn, 10 tokens in, 2 out")
    screen.type("/save kept", "Enter")
    screen.wait_for("Written to kept.json")
    screen.type("/exit", "Enter")
    screen.wait_for("ended with 0")
    sent = server.requests[-1].json["messages"]
    assert sent[0]["content"] == "Be kind."
    assert "remember" in json.dumps(sent[1])
    kept = json.loads((tmp_path / "kept.json").read_text())
    assert (kept["kind"], kept["system"], len(kept["messages"])) == ("tako.conversation", "Be kind.", 2)


def test_a_conversation_continues_the_next_day_and_the_arrows_bring_back_questions(
    tmux: Callable[..., Tmux], server: Server
) -> None:
    assert main(["logs", "on"]) == 0
    first = tmux("-m", "openai:m")
    first.type("a long question", "Enter")
    first.wait_for("answer 1 of m")
    first.wait_for_prompt()
    first.press("C-d")
    first.wait_for("ended with 0")
    second = tmux("-C")
    second.wait_for("continuing")
    second.wait_for_prompt()
    second.press("Up")
    second.wait_for("> a long question")
    second.press("Enter")
    second.wait_for("answer 3 of m")
    second.wait_for_prompt()
    second.press("C-d")
    second.wait_for("ended with 0")
    until(lambda: len(server.requests) == 2)
    assert questions(server) == ["a long question"] * 2
