"""`tako chat --file`: files go to the model, and files of the model go to the current folder."""

from __future__ import annotations

import json
import os
import wave
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from tako.cli import main
from tako.testing.server import Reply, reply, serve, sse

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n picture"
WAV = b"RIFF\x24\0\0\0WAVEfmt sound"


def message(**fields: Any) -> Reply:
    body = {"role": "assistant", "content": None, **fields}
    return reply(json={"id": "x", "model": "m", "choices": [{"index": 0, "message": body, "finish_reason": "stop"}]})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "TAKO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-shown")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def chat(answer: Reply, *arguments: str) -> tuple[int, Any]:
    """Run the command; return its exit code, and the content of the request if one was sent."""
    with serve(answer) as server:
        code = main(["chat", "-m", "openai:m", "-o", f"base_url={server.url}", "-o", "max_retries=0", *arguments])
        content = server.requests[0].json["messages"][0]["content"] if server.requests else None
    return code, content


def test_files_and_images_are_sent_in_the_order_of_the_options(folder: Path) -> None:
    (folder / "report.pdf").write_bytes(b"%PDF-1.7")
    (folder / "a.png").write_bytes(PNG)
    (folder / "notes.txt").write_text("Buy milk.\n")
    options = ["--file", "report.pdf", "--image", "a.png", "--file", "notes.txt"]
    code, content = chat(message(content="Fine."), "--no-stream", *options, "Summarise")
    assert code == 0
    assert [block["type"] for block in content] == ["file", "image_url", "text", "text"]
    assert content[0]["file"]["filename"] == "report.pdf"
    assert [block["text"] for block in content[2:]] == ["notes.txt:\nBuy milk.\n", "Summarise"]


def test_an_address_is_sent_as_an_address_and_a_file_of_unknown_type_as_text(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "Makefile").write_text("all:\n")
    code, content = chat(
        message(content="Fine."), "--no-stream", "--file", "Makefile", "--file", "data:text/csv;base64,YSxi", "?"
    )
    assert (code, content) == (0, "Makefile:\nall:\na,b\n?")
    code, content = chat(message(content="Fine."), "--no-stream", "--file", "https://e.example/a.pdf", "?")
    assert (code, content) == (0, "?")
    assert "url_prefetch=True lets tako fetch it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "data", "message_part"),
    [("missing.pdf", None, "No such file"), ("blob", b"\xfe\xed\xfa\xce\0\xff", "utf-8"), (".", None, "directory")],
)
def test_a_file_that_cannot_be_sent_is_one_line_and_nothing_is_sent(
    name: str, data: bytes | None, message_part: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if data is not None:
        (folder / name).write_bytes(data)
    assert chat(message(content="Fine."), "--file", name, "?") == (2, None)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("tako: --file ")
    assert message_part.lower() in line.lower()


def image(data: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64encode(data).decode()}"}}


def test_images_of_the_model_never_overwrite_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "image-1.png").write_bytes(b"mine")
    answer = message(content="Look:", images=[image(PNG), image(PNG + b"2")])
    assert chat(answer, "--no-stream", "Draw")[0] == 0
    out, error = capsys.readouterr()
    assert (out, error.splitlines()) == ("Look:\n", ["tako: written to image-2.png", "tako: written to image-3.png"])
    assert [(folder / f"image-{n}.png").read_bytes() for n in (1, 2, 3)] == [b"mine", PNG, PNG + b"2"]


def test_streamed_audio_is_written_as_one_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
        return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    halves = [b64encode(half).decode() for half in (WAV[:7], WAV[7:])]
    pieces = [piece(audio={"id": "a", "data": data, "transcript": "Hi. "}) for data in halves]
    assert chat(reply(sse(*pieces, piece("stop"))), "Speak")[0] == 0
    assert capsys.readouterr() == ("Hi. Hi. \n", "tako: written to audio-1.wav\n")
    assert (folder / "audio-1.wav").read_bytes() == WAV


def test_raw_audio_gets_the_header_that_players_need(folder: Path) -> None:
    samples = bytes(range(200))
    sound = {"id": "a", "data": b64encode(samples).decode(), "transcript": "Hi."}
    assert chat(message(audio=sound), "--no-stream", "Speak")[0] == 0
    with wave.open(str(folder / "audio-1.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.readframes(1000)) == (24_000, 1, samples)


def test_with_json_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chat(message(content="Look:", images=[image(PNG)]), "--json", "Draw")[0] == 0
    parts = json.loads(capsys.readouterr().out)["message"]["content"]
    assert [part["type"] for part in parts] == ["text", "image"]
    assert list(folder.iterdir()) == []


def test_files_at_an_address_and_files_that_cannot_be_written_are_lines_on_stderr(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = {"type": "image_url", "image_url": {"url": "https://e.example/a.png"}}
    broken = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJDR"}}
    assert chat(message(content="Look:", images=[elsewhere, broken]), "--no-stream", "Draw")[0] == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "tako: the model made https://e.example/a.png"
    assert lines[1].startswith("tako: the image of the answer can't be written")
