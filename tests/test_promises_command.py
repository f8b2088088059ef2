"""`tako` where streams are closed, disks are full and bytes are no text: an exit code and at most one line, no bug."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tako.cli import main
from tako.testing.server import Server, reply, serve, sse
from tako.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK: dict[str, Any] = {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": "caf\xe9"}}]}
END: dict[str, Any] = {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve(reply(sse(CHUNK, END))) as running:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.delenv("TAKO_CONFIG", raising=False)
        yield running


def output_of(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    assert "a bug" not in text
    return text


def test_a_closed_output_is_no_bug(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # what Python makes of `>&-`
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["chat", "-m", "openai:m", "hello"]) == 0
    assert len(server.requests) == 1
    for stands_in in (sys.stdout, sys.stderr):
        stands_in.close()


def test_a_closed_input_holds_no_question(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["chat", "-m", "openai:m"]) == 2
    assert "the prompt is empty" in output_of(capsys)
    sys.stdin.close()  # what stood in
    assert server.requests == []


class FullDisk(io.StringIO):
    """What a file on a full disk does."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("arguments", [["chat", "-m", "openai:m", "hello"], ["--version"], ["doctor", "openai"]])
@pytest.mark.usefixtures("server")
def test_a_full_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", FullDisk())
    assert main(arguments) == 1
    assert os.strerror(errno.ENOSPC) in output_of(capsys)


class FullAtLast(io.StringIO):
    """A file that finds the disk full when its buffer is written."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_at_the_end_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", FullAtLast())
    assert main(["--version"]) == 1
    assert "can't write the output" in output_of(capsys)


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_question_that_is_no_text_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], errors: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff what?"), "utf-8", errors))
    assert main(["chat", "-m", "openai:m", "-"]) == 2
    assert "isn't UTF-8 text" in output_of(capsys)
    assert server.requests == []


def test_an_answer_that_the_output_cannot_spell_is_shown_all_the_same(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "ascii"))
    assert main(["chat", "-m", "openai:m", "hello"]) == 0
    assert shown.getvalue() == b"caf?\n"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat", "-m", "openai:m", "--image", "~nobody-has-this-name/x.png", "hello"],
        ["chat", "-c", "~nobody-has-this-name/tako.toml", "hello"],
        ["chat", "-m", "llamacpp:~nobody-has-this-name/x.gguf", "hello"],
        ["new-plugin", "acme", "--into", "~nobody-has-this-name"],
    ],
    ids=["image", "config", "model", "into"],
)
@pytest.mark.usefixtures("server")
def test_a_home_that_nobody_has_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "~nobody-has-this-name" in output_of(capsys)


def test_doctor_looks_for_credentials_where_a_call_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    assert main(["doctor", "bedrock", "vertex", "--json"]) == 1
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert [rows[name]["key"] for name in ("bedrock", "vertex")] == ["missing", "missing"]
    assert "has no AWS credentials" in rows["bedrock"]["why"]
    assert "none.json" in rows["vertex"]["why"]


def test_doctor_says_where_signed_requests_would_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-aws")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with serve(reply()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
        assert main(["doctor", "bedrock", "--json"]) == 0
        until(lambda: server.connections)  # the server's own thread counts
    text = capsys.readouterr().out
    [row] = json.loads(text)
    assert (row["key"], row["endpoint"]) == ("present", f"{server.url.removeprefix('http://')} reachable")
    assert "a-secret-of-aws" not in text
