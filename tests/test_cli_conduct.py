"""`tako conduct`, and tako.toml under `tako chat`: the answer goes to stdout, the progress to stderr."""

from __future__ import annotations

import json
import os
import re
import subprocess
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from tako.cli import main
from tako.testing.server import Condition, Received, Reply, Server, reply, serve, sse
from tako.testing.waiting import until

from .terminals import TAKO, Terminal, interrupted, without

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAN = {
    "workers": [{"name": "code", "task": "Write it"}, {"name": "math", "task": "Prove it"}],
    "join_strategy": "all",
    "next_step": "summarise",
}
FILE = """
default = "lead"
[providers.lead]
use = "openai:lead"
base_url = "{url}/lead"
max_retries = 0
[providers.code]
use = "openai:coder"
base_url = "{url}/code"
max_retries = 0
[providers.math]
use = "openai:mathematician"
base_url = "{url}/math"
max_retries = 0
[conductor]
coordinator = "lead"
workers = {{ code = "code", math = "math" }}
"""


class Vendor:
    """Answers by path; the plans of the coordinator are used in order."""

    def __init__(self) -> None:
        self.plans = [json.dumps(PLAN), "It is **proved**."]
        self.planning: float | Condition = 0.0
        self.answers: dict[str, Reply] = {
            "code": reply(sse(piece("x = "), piece("1"), piece(finish="stop"))),
            "math": reply(json={"error": {"message": "out of\x1b]0;title\x07 chalk"}}, status=400),
        }

    def __call__(self, received: Received) -> Reply:
        name = received.path.split("/")[1]
        if name != "lead":
            return self.answers[name]
        text = self.plans.pop(0)
        if received.json.get("stream"):
            return reply(sse(piece(text), piece(finish="stop")))
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 20, "completion_tokens": 10}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return reply(json={"choices": [choice], "usage": usage}, delay=self.planning)


def piece(text: str | None = None, finish: str | None = None) -> dict[str, Any]:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def server(vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "TAKO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-shown")
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    with serve(vendor) as running:
        (tmp_path / "work.toml").write_text(FILE.format(url=running.url))
        yield running


def test_the_answer_is_on_stdout_and_the_progress_in_lines_on_stderr(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conduct", "-c", "work.toml", "Prove", "that"]) == 0
    out, err = capsys.readouterr()
    assert out == "It is **proved**.\n"
    lines = err.splitlines()
    assert lines[0] == "tako: step 1: code, math (all, then summarise)"
    assert {"tako: code: Write it", "tako: math: Prove it"} <= set(lines)
    assert any(re.match(r"tako: code: done in \d\.\d s, \d+ tokens", line) for line in lines)
    assert any("math: failed after" in line and "out of" in line for line in lines)
    assert lines[-1] == "tako: 1 step, 60 tokens"
    assert "\x1b" not in err
    assert all(line.startswith("tako: ") for line in lines)
    assert server.requests[0].json["messages"][-1] == {"role": "user", "content": "Prove that"}


def test_json_is_the_whole_result(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conduct", "--config", "work.toml", "--json", "Prove that"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["text"] == "It is **proved**."
    assert result["usage_by_role"]["coordinator"]["input_tokens"] == 40
    code, math = result["steps"][0]["results"]
    assert code["response"]["message"]["content"][0]["text"] == "x = 1"
    assert "chalk" in math["error"]


def test_the_file_is_found_and_the_task_may_come_from_a_pipe(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAKO_CONFIG", str(tmp_path / "work.toml"))
    result = subprocess.run([*TAKO, "conduct", "-"], input="Prove that\n", capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "It is **proved**.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["conduct", "Hello"], "no configuration: neither TAKO_CONFIG nor ./tako.toml"),
        (["conduct", "-c", "gone.toml", "Hello"], "gone.toml: no such file"),
        (["conduct", "-c", "chat.toml", "Hello"], "chat.toml: [conductor] is missing"),
        (["conduct", "-c", "broken.toml", "Hello"], "broken.toml: defualt: no such key"),
        (["chat", "-c", "gone.toml", "Hello"], "gone.toml: no such file"),
        (["chat", "-c", "nothing.toml", "Hello"], "nothing.toml: default isn't set"),
        (["chat", "-c", "work.toml", "-m", "law", "Hello"], "no provider 'law' is installed"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chat.toml").write_text('[providers.a]\nuse = "ollama:m"')
    (tmp_path / "broken.toml").write_text('defualt = "a"')
    (tmp_path / "nothing.toml").write_text("")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err


def test_a_run_that_fails_exits_with_1(server: Server, vendor: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    vendor.plans = ["nonsense", "more nonsense"]
    assert main(["conduct", "-c", "work.toml", "Hello"]) == 1
    assert "gave no plan" in capsys.readouterr().err


def test_a_run_without_an_end_says_so(server: Server, vendor: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    vendor.plans = [json.dumps(PLAN)] * 9
    assert main(["conduct", "-c", "work.toml", "Hello"]) == 0
    out, err = capsys.readouterr()
    assert out == "x = 1\n"
    assert "the run stopped at max_steps" in err
    assert "tako: step 8: " in err


def test_on_a_terminal_a_live_table_shows_the_workers(server: Server, vendor: Vendor) -> None:
    """The server sends the plan and each word only when the previous text is on the screen."""
    vendor.planning = lambda: "planning" in screen.text
    events = sse(*[piece(f"word{n} ") for n in range(4)], piece(finish="stop"))
    shown_on_screen = [partial(lambda text: text in screen.text, f"word{n}") for n in range(4)]
    vendor.answers["code"] = reply([*chain(*zip(events, shown_on_screen, strict=False)), *events[4:]])
    screen = Terminal("conduct", "-c", "work.toml", "Prove that", columns=100)
    assert screen.close() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.text)
    assert "planning" in plain
    assert "step 1: code, math (all, then summarise)" in plain
    frames = [frame.split() for frame in re.findall(r"code +\d+\.\d s +(word0[^\r\n]*)", plain)]
    for count in range(1, 5):
        assert [f"word{n}" for n in range(count)] in frames
    assert re.search(r"✓ code +done in \d+\.\d s", plain)
    assert re.search(r"✗ math +failed", plain)
    assert "It is proved." in plain
    assert "]0;title" not in plain.replace("\N{REPLACEMENT CHARACTER}]0;title", "")


def test_without_rich_a_terminal_has_lines(server: Server, vendor: Vendor, tmp_path: Path) -> None:
    vendor.answers["code"] = reply(sse(piece("It works."), piece(finish="stop")))
    env = without("rich", folder=tmp_path)
    screen = Terminal("conduct", "-c", "work.toml", "Prove that", columns=100, env=env)
    assert screen.close() == 0
    assert "tako: step 1: code, math (all, then summarise)" in screen.text
    assert "tako: code: done in" in screen.text
    assert "It is **proved**." in screen.text


def test_ctrl_c_stops_all_workers(server: Server, vendor: Vendor) -> None:
    for name in ("code", "math"):
        vendor.answers[name] = reply(sse(piece("On and on "), done=False), ending="hang")
    everyone_is_asked = partial(until, lambda: len(server.requests) == 3)
    code, out, err = interrupted("conduct", "-c", "work.toml", "Hello", when=lambda _: everyone_is_asked())
    assert (code, out) == (130, "")
    assert err.endswith("tako: interrupted\n")
    assert "Traceback" not in err
    until(lambda: server.open == 0)


# --- tako.toml under `tako chat`


def requested_model(server: Server) -> str:
    return str(server.requests[-1].json["model"])


def test_chat_uses_the_default_and_the_names_of_the_file(
    server: Server, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.plans = ["Hi."] * 5
    vendor.answers["math"] = vendor.answers["code"]
    (tmp_path / "work.toml").rename(tmp_path / "tako.toml")
    assert main(["trust", "--yes"]) == 0
    assert main(["chat", "Hello"]) == 0
    assert requested_model(server) == "lead"
    assert main(["chat", "-m", "code", "Hello"]) == 0
    assert requested_model(server) == "coder"
    monkeypatch.setenv("TAKO_MODEL", "math")
    assert main(["chat", "Hello"]) == 0
    assert requested_model(server) == "mathematician"
    assert main(["chat", "-c", "tako.toml", "Hello"]) == 0
    assert requested_model(server) == "lead"
    assert main(["chat", "-m", "code", "-o", "organization=12345", "Hello"]) == 0
    assert server.requests[-1].headers["openai-organization"] == "12345"
    assert "no model was chosen" not in capsys.readouterr().err


def test_an_id_works_without_a_file_and_with_a_broken_one(
    server: Server, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tako.toml").write_text("broken")
    assert main(["chat", "-m", "openai:other", "-o", f"base_url={server.url}/code", "Hello"]) == 0
    assert requested_model(server) == "other"
    assert main(["chat", "-m", "code", "Hello"]) == 2
    monkeypatch.setenv("TAKO_MODEL", "openai:other")
    assert main(["chat", "-o", f"base_url={server.url}/code", "Hello"]) == 0


def test_a_file_without_a_default_leaves_the_choice_as_it_was(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tako.toml").write_text("")
    monkeypatch.setenv("TAKO_DISABLE_PLUGINS", "llamacpp")
    assert main(["chat", "Hello"]) == 2
    assert "a default in tako.toml" in capsys.readouterr().err
