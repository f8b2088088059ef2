"""`tako chat`: answers go to stdout, everything else to stderr, and the exit code shows success."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tako.cli import main
from tako.testing.server import Server, reply, serve, sse
from tako.testing.waiting import PATIENCE, until

from .terminals import TAKO, Terminal, interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIXEL = b"\x89PNG\r\n\x1a\n" + b"\0" * 16


def chunk(text: str | None = None, finish: str | None = None) -> dict[str, Any]:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def completion(text: str, finish: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}


STREAM = sse(chunk("The answer "), chunk("is **42**."), chunk(finish="stop"))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "TAKO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-shown")


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(reply(STREAM)) as running:
        yield running


def chat(server: Server | str, *arguments: str, model: str = "openai:m") -> int:
    url = server if isinstance(server, str) else server.url
    return main(["chat", "-m", model, "-o", f"base_url={url}", "-o", "max_retries=0", *arguments])


@pytest.mark.parametrize("mode", [[], ["--no-stream"], ["--json"]], ids=repr)
def test_parameters_of_the_request_go_out(mode: list[str]) -> None:
    options = [
        "--temperature",
        "0.5",
        "--top-p",
        "0.9",
        "--max-tokens",
        "20",
        "--seed",
        "7",
        "--stop",
        "a",
        "--stop",
        "b",
    ]
    with serve(reply(json=completion("42")) if mode else reply(STREAM)) as server:
        assert chat(server, *options, *mode, "hi", model="openai:gpt-4.1") == 0
    body = server.requests[0].json
    names = ("temperature", "top_p", "max_tokens", "seed", "stop")
    assert [body[name] for name in names] == [0.5, 0.9, 20, 7, ["a", "b"]]


@pytest.mark.parametrize(("option", "sent"), [("low", "low"), ("2000", "low")])
def test_reasoning_is_a_word_or_a_budget(option: str, sent: str, server: Server) -> None:
    assert chat(server, "--reasoning", option, "hi", model="openai:gpt-6.2-sol") == 0
    assert server.requests[0].json["reasoning_effort"] == sent


@pytest.mark.parametrize(
    ("ending", "code", "error"),
    [(3, 3, ""), (None, 0, ""), ("out of luck", 1, "tako: out of luck\n")],
)
def test_a_callable_that_ends_the_program_ends_the_command(
    ending: object, code: int, error: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    module = ModuleType("leaving")
    module.__dict__["go"] = lambda request: sys.exit(ending)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "leaving", module)
    assert main(["chat", "-m", "python:leaving:go", "hi"]) == code
    assert capsys.readouterr() == ("", error)


def test_the_answer_goes_to_stdout_unchanged(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert chat(server, "What", "is it?") == 0
    assert capsys.readouterr() == ("The answer is **42**.\n", "")
    body = server.requests[0].json
    assert body["stream"] is True
    assert body["messages"] == [{"role": "user", "content": "What is it?"}]


def test_a_single_question_imports_neither_the_line_editor_nor_rich(server: Server) -> None:
    script = "import sys\nfrom tako.cli import main\nmain()\nprint({'prompt_toolkit', 'rich'} & set(sys.modules))"
    command = [sys.executable, "-c", script, "chat", "-m", "openai:m", "-o", f"base_url={server.url}", "Hello"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert result.stdout == "The answer is **42**.\nset()\n"


def test_without_a_stream_it_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(reply(json=completion("It is 42."))) as server:
        assert chat(server, "--no-stream", "--system", "Be kind.", "What is it?") == 0
    assert capsys.readouterr().out == "It is 42.\n"
    assert "stream" not in server.requests[0].json
    assert server.requests[0].json["messages"][0] == {"role": "system", "content": "Be kind."}


def test_json_is_the_whole_response(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(reply(json=completion("It is 42."))) as server:
        assert chat(server, "--json", "What is it?") == 0
    response = json.loads(capsys.readouterr().out)
    assert response["message"]["content"][0]["text"] == "It is 42."
    assert response["finish_reason"] == "stop"
    assert response["raw"]["id"] == "x"


def test_images_come_from_files_and_addresses(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(PIXEL)
    (tmp_path / "a.txt").write_text("no image")
    assert chat(server, "--image", str(tmp_path / "a.png"), "--image", "https://x.example/b.png", "What?") == 0
    kinds = [block["type"] for block in server.requests[0].json["messages"][0]["content"]]
    assert kinds == ["image_url", "image_url", "text"]
    for path, message in (("missing.png", "No such file"), (str(tmp_path / "a.txt"), "not an image")):
        assert chat(server, "--image", path, "What?") == 2
        assert message in capsys.readouterr().err


def test_options_reach_the_provider_with_their_types(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert chat(server, "-o", "timeout=50", "-o", "organization=12345", "Hello") == 0
    assert server.requests[0].headers["openai-organization"] == "12345"
    for option, message in (("timeout", "KEY=VALUE"), ("nonsense=1", "nonsense"), ("timeout=soon", "timeout")):
        assert chat(server, "-o", option, "Hello") == 2
        assert message in capsys.readouterr().err


def test_the_model_may_come_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAKO_MODEL", "openai:from-the-environment")
    assert main(["chat", "-o", f"base_url={server.url}", "Hello"]) == 0
    assert server.requests[0].json["model"] == "from-the-environment"


@pytest.mark.parametrize("model", ["junk", "openai", ":", "openai:m"])
def test_an_error_about_the_model_of_the_environment_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    monkeypatch.setenv("TAKO_MODEL", model)
    monkeypatch.delenv("OPENAI_API_KEY")
    assert main(["chat", "Hello"]) == 2
    assert f"TAKO_MODEL={model}: " in one_line(capsys)


def test_without_a_model_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TAKO_DISABLE_PLUGINS", "llamacpp")
    assert main(["chat", "Hello"]) == 2
    assert "no model is chosen" in one_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "nope:m"], "no provider 'nope' is installed"),
        (["-m", "opnai:m"], "did you mean 'openai'?"),
        (["-m", ":m"], "isn't a model id"),
        (["-m", "openai"], "openai needs a model, as in openai:MODEL"),
        (["-m", "openai:"], "openai needs a model, as in openai:MODEL"),
        (["-m", "openai:m", "-o", "model=x"], "model isn't an option"),
        (["-m", "openai:m", "-o", "id=x"], "has no option 'id'"),
        (["-m", "openai:m", "-o", "self=x"], "has no option 'self'"),
        (["-m", "openai:m", "-o", "capabilities=5"], "the option capabilities is a JSON object of its fields"),
        (["-m", "openai:m", "-o", "timeout=" + "[" * 200_000], "the option timeout is nested too deeply"),
        (
            ["-m", "llamacpp", "-o", "nonsense=1"],
            "has no option 'nonsense' (known: n_threads, n_ctx, capabilities, deadline, defaults)",
        ),
        (["-m", "http-generic:m"], "needs the options url and body_template"),
        (["-m", "openai:m", "-o", "base_url=example"], "isn't a base URL"),
        (["-m", "openai:m", "-o", "api_key=$ENV:NO_SUCH_KEY"], "NO_SUCH_KEY"),
        (["-m", "openai:m", "-o", "api_key=sk-secret\nX: y"], "line break"),
        (["--nonsense"], "--nonsense"),
        (["-m", "openai:m", "--temperature", "warm"], "--temperature: 'warm' isn't a number"),
        (["-m", "openai:m", "--max-tokens", "1.5"], "--max-tokens: '1.5' isn't a whole number"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "Hello", *arguments]) == 2
    error = one_line(capsys)
    assert message in error
    assert "sk-" not in error
    assert "argument 'nonsense'" not in error
    assert "positional" not in error


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert main(["chat", "-m", "openai:m", "Hello"]) == 2
    assert "OPENAI_API_KEY" in one_line(capsys)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "wrong key"), (404, "no such model"), (429, "slow down"), (500, "we are down"), (503, "too busy")],
)
def test_a_vendors_refusal_is_one_line_with_its_message(
    status: int, message: str, capsys: pytest.CaptureFixture[str], *, streamed: bool
) -> None:
    with serve(reply(json={"error": {"message": message}}, status=status)) as server:
        assert chat(server, "Hello", *([] if streamed else ["--no-stream"])) == 1
    error = one_line(capsys)
    assert message in error
    assert str(status) in error
    assert "openai:m" in error


def test_other_failures_are_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(reply(b"<html><body>Log in</body></html>", headers={"content-type": "text/html"})) as server:
        for stream in ([], ["--no-stream"]):
            assert chat(server, "Hello", *stream) == 1
            assert "HTML" in (error := one_line(capsys)) or "isn't JSON" in error
    assert chat(server, "Hello") == 1  # the server is gone
    assert "127.0.0.1" in one_line(capsys)


def test_a_stream_that_stops_early_prints_its_text_and_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(reply(sse(chunk("Half an "), done=False))) as server:
        assert chat(server, "Hello") == 1
    captured = capsys.readouterr()
    assert captured.out == "Half an \n"
    assert "ended without" in captured.err
    assert captured.err.count("\n") == 1


def test_notices_and_a_cut_answer_are_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(reply(sse(chunk("The ans"), chunk(finish="length")))) as server:
        assert chat(server, "--image", "gs://bucket/a.png", "Hello") == 0
    lines = capsys.readouterr().err.splitlines()
    assert any("messages[0].content[0]" in line for line in lines)
    assert any("limit of tokens" in line for line in lines)


def test_a_traceback_is_shown_on_request_and_shows_no_key(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(reply(json={"error": {"message": "wrong key"}}, status=401)) as refusing:
        assert chat(refusing, "--debug", "Hello") == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "sk-not-to-be-shown" not in error


def test_a_vendors_text_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with serve(reply(json={"error": {"message": "a\x1b]0;title\x07b\nc"}}, status=400)) as server:
        assert chat(server, "Hello") == 1
    assert "\x1b" not in one_line(capsys)


def test_ctrl_c_stops_the_request_and_exits_with_130() -> None:
    def has_begun(process: Any) -> None:
        assert process.stdout.read(9) == "On and on"

    with serve(reply(sse(chunk("On and on "), done=False), ending="hang")) as server:
        command = ["chat", "-m", "openai:m", "-o", f"base_url={server.url}", "Hello"]
        code, out, err = interrupted(*command, when=has_begun)
        until(lambda: server.open == 0)
    assert (code, out.strip(), err) == (130, "", "tako: interrupted\n")


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    """The pipe is smaller than the answer, so the command can't end before the reader leaves."""
    endless = reply([b"data: " + json.dumps(chunk("word " * 1000)).encode() + b"\n\n"] * 200)
    with serve(endless) as server:
        process = subprocess.Popen(
            [*TAKO, "chat", "-m", "openai:m", "-o", f"base_url={server.url}", "Hello"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.read(4) == b"word"
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()


def test_on_a_terminal_markdown_is_rendered_and_a_conversation_remembers() -> None:
    with serve(reply(STREAM), reply(sse(chunk("You said hi."), chunk(finish="stop")))) as server:
        screen = Terminal("chat", "-m", "openai:m", "-o", f"base_url={server.url}")
        screen.type("hi\r")
        screen.wait_for("42")
        screen.type("again\r")
        screen.wait_for("You said hi.")
        screen.type("\x04")
        assert screen.close() == 0
    assert "**42**" not in screen.text
    assert [message["role"] for message in server.requests[1].json["messages"]] == ["user", "assistant", "user"]


@pytest.mark.usefixtures("llamacpp")
def test_the_embedded_model_answers_if_no_other_is_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    threads = set(threading.enumerate())
    assert main(["chat", "What is the capital of France?"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "The capital of France is Paris.\n"
    assert "no model was chosen" in captured.err
    assert "loading" in captured.err
    until(lambda: not set(threading.enumerate()) - threads)  # its threads go with the command


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the only line of stderr; stdout is empty."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("tako: ")
    assert "Traceback" not in captured.err
    return captured.err
