"""`tako map`: no row is lost or done twice, and each problem is a clear line."""

from __future__ import annotations

import base64
import csv
import json
import random
import threading
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tako.cli import main
from tako.testing.server import Received, Reply, reply, serve

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("toy")


def ok(text: str = "ok", **more: Any) -> Reply:
    return reply(json={"text": text, **more})


def tako_map(url: str, path: Path, out: Path, *more: str, prompt: str = "{text}") -> int:
    model = ["-m", "toy:m", "--option", f"url={url}"]
    return main(["map", *model, str(path), "-o", str(out), "--prompt", prompt, *more])


def results(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else pq.read_table(out).to_pylist()
    )
    return rows


@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_killed_at_any_moment_the_same_command_finishes_with_each_key_once(
    rows: Any, start: Any, wait_until: Any, tmp_path: Path, name: str
) -> None:
    out, count, concurrency, kills = tmp_path / name, 400, 8, 3 if name == "out.jsonl" else 1
    path = rows(count)
    chance = random.Random(7)
    with serve(reply(json={"text": "ok"}, delay=0.01)) as server:
        arguments = ["-m", "toy:m", "--option", f"url={server.url}", str(path), "-o", str(out)]
        arguments += ["--prompt", "{text}", "--concurrency", str(concurrency)]
        for _ in range(kills):
            command, seen = start(*arguments), len(server.requests) + chance.randint(1, 120)
            wait_until(lambda seen=seen: len(server.requests) >= seen)
            command.kill()
        with (out if out.is_file() else out / "part-00000.jsonl").open("ab") as file:
            file.write(b'{"key": "k1", "ro')  # as a kill during a write leaves it
        code, errors = start(*arguments).end()
    records = results(out)
    assert code == 0, errors
    assert "incomplete" in errors
    assert sorted(record["key"] for record in records) == sorted(f"k{i}" for i in range(count))
    assert len(server.requests) <= count + kills * concurrency


def test_parquet_shards_hold_each_key_once_across_stops(rows: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serve(ok()) as server:
        assert tako_map(server.url, rows(30), out) == 0
        (out / "part-00001.jsonl").write_text('{"key":"k30","row":31,"text":"ok","data":{"a":1},"cost":0.5}\n{"key"')
        (out / "part-00000.jsonl").write_text('{"key":"k0","row":1}\n')  # as a kill between file and journal leaves it
        assert tako_map(server.url, rows(40), out) == 0
    table = pq.read_table(out)
    assert sorted(table["key"].to_pylist()) == sorted(f"k{i}" for i in range(40))
    assert sorted(path.name for path in out.iterdir()) == ["_run.json", "part-00000.parquet", "part-00001.parquet"]
    assert len(server.requests) == 39
    assert '{"a":1}' in table["data"].to_pylist()


@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_a_failed_row_has_its_error_and_is_sent_again_with_retry_failed(rows: Any, tmp_path: Path, name: str) -> None:
    out, bad = tmp_path / name, [True]

    def answer(request: Received) -> Reply:
        return reply(status=400) if bad[0] and b"thing 3" in request.body else ok()

    def by_key() -> dict[str, Any]:
        records = results(out)
        assert len({record["key"] for record in records}) == len(records)
        return {record["key"]: record for record in records}

    with serve(answer) as server:
        assert tako_map(server.url, rows(5), out) == 1
        assert by_key()["k3"]["error"]["type"] == "BadRequestError"
        assert tako_map(server.url, rows(5), out) == 0
        assert len(server.requests) == 5
        bad[0] = False
        assert tako_map(server.url, rows(5), out, "--retry-failed") == 0
    assert len(by_key()) == 5
    assert by_key()["k3"]["text"] == "ok"
    assert len(server.requests) == 6


def test_ctrl_c_stops_cleanly_and_says_how_to_continue(
    rows: Any, start: Any, lines: Any, wait_until: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with serve(reply(json={"text": "ok"}, delay=0.02)) as server:
        arguments = ["-m", "toy:m", "--option", f"url={server.url}", str(rows(5000)), "-o", str(out)]
        command = start(*arguments, "--prompt", "{text}", "--concurrency", "4")
        wait_until(lambda: len(server.requests) >= 40)
        code, errors = command.interrupt()
    assert code == 130
    assert "the same command continues from here" in errors
    assert "Traceback" not in errors
    assert len(lines(out)) >= 30


def test_a_damaged_row_is_one_line_and_the_others_are_done(
    lines: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    good = b'{"id": "a", "text": "fine"}\n'
    huge = b'{"id": "huge", "text": "' + b"x" * (50 << 20) + b'"}\n'
    bad = [b'{"id": "b"}\n', b'{"id": "c", "text": \n', good, b'{"id": "d", "text": "\xe9t\xe9"}\n', b"[1]\n", huge]
    path.write_bytes(b"\xef\xbb\xbf" + good + b"".join(bad) + b'{"id": "z", "text": "last"}')
    with serve(ok()) as server:
        assert tako_map(server.url, path, out) == 1
    errors = capsys.readouterr().err.splitlines()
    for number, message in {
        2: "no column 'text'",
        3: "broken JSON",
        4: "the key 'a' appears twice",
        5: "not UTF-8",
        6: "not a list",
        7: "52,428,827 bytes",
    }.items():
        matches = [line for line in errors if f"row {number}:" in line]
        assert len(matches) == 1, (number, errors)
        assert message in matches[0]
    assert {record["key"]: record["text"] for record in lines(out) if record["error"] is None} == {"a": "ok", "z": "ok"}
    assert len(server.requests) == 2


def test_a_damaged_row_of_csv_is_one_line_too(lines: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    rows = [b"id,text,more", b"a,\xe9t\xe9,1", b"b,fine,2", b"c", b'd,"two\nlines",3', b"e,x,y,z", b"b,again,4"]
    path.write_bytes(b"\r\n".join(rows) + b"\r\nhuge," + b"x" * (50 << 20) + b",9\r\nlast,fine,5\r\n")
    with serve(ok()) as server:
        assert tako_map(server.url, path, out) == 1
    errors = capsys.readouterr().err
    assert [errors.count(f"row {number}:") for number in range(1, 9)] == [1, 0, 1, 0, 1, 1, 1, 0]
    assert "not UTF-8 (byte 0xe9 at 3)" in errors
    assert {record["key"] for record in lines(out) if record["error"] is None} == {"b", "d", "last"}
    assert b"two\\nlines" in b"".join(request.body for request in server.requests)


def test_a_quote_that_is_never_closed_costs_only_its_own_row(
    lines: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    path.write_text('id,text\na,fine\nb,"open\nc,more\nd,last')
    with serve(ok()) as server:
        assert tako_map(server.url, path, out) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if "in.csv" in line]
    assert len(errors) == 1
    assert "row 2: a quote is never closed" in errors[0]
    assert {record["key"]: record["error"] is None for record in lines(out)} == {
        "a": True,
        "b": False,
        "c": True,
        "d": True,
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", b"id,other\n1,2\n", "there is no column 'text' (columns: id, other)"),
        ("in.csv", "id,text\n".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        ("in.parquet", b"PAR0", "it isn't a readable Parquet file"),
        ("in.xlsx", b"", "rows are read from"),
    ],
)
def test_a_damaged_file_is_reported_before_anything_is_sent(
    name: str, content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with serve(ok()) as server:
        assert tako_map(server.url, tmp_path / name, tmp_path / "out.jsonl") == 2
    assert message in capsys.readouterr().err
    assert not server.requests


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_an_empty_file_is_no_failure(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_bytes(b"")
    with serve(ok()) as server:
        assert tako_map(server.url, tmp_path / name, tmp_path / "out.jsonl") == 0
    assert "has no rows" in capsys.readouterr().err
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_an_output_that_is_something_else_is_left_alone(
    rows: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rows(3)
    before = path.read_bytes()
    with serve(ok()) as server:
        assert tako_map(server.url, path, path) == 2
    assert "choose another file" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert not server.requests


@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_two_runs_never_write_one_output(rows: Any, start: Any, wait_until: Any, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    hold = threading.Event()

    def answer(_: Received) -> Reply:
        hold.wait(60)
        return ok()

    with serve(answer) as server:
        arguments = ["-m", "toy:m", "--option", f"url={server.url}", str(rows(1)), "-o", str(out), "--prompt", "{text}"]
        first = start(*arguments)
        wait_until(lambda: bool(server.requests))
        code, errors = start(*arguments).end()
        hold.set()
        assert first.end()[0] == 0
    assert code == 2
    assert "another run" in errors


def test_parquet_rows_with_images_in_bytes(tmp_path: Path, lines: Any) -> None:
    import pyarrow as pa

    png = b"\x89PNG\r\n\x1a\n" + b"0" * 16
    path, out = tmp_path / "in.parquet", tmp_path / "out.jsonl"
    pq.write_table(pa.table({"id": [1, 2], "text": ["a", "b"], "image": [png, b"no image"], "more": [0, 0]}), path)
    with serve(ok()) as server:
        assert tako_map(server.url, path, out, "--image-column", "image") == 1
    parts = server.requests[0].json["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image", "text"]
    assert parts[0]["data_b64"] == base64.b64encode(png).decode()
    assert {record["key"]: record["error"] and record["error"]["type"] for record in lines(out)} == {
        "1": None,
        "2": "RowError",
    }


LABEL = {"type": "object", "properties": {"label": {"enum": ["bug", "wish"]}}, "required": ["label"]}


@pytest.mark.parametrize("name", ["out.jsonl", "out"])
def test_an_answer_that_does_not_fit_the_schema_is_a_failed_row_with_its_text_and_its_cost(
    rows: Any, tmp_path: Path, name: str
) -> None:
    schema, out = tmp_path / "label.json", tmp_path / name
    schema.write_text(json.dumps(LABEL))
    replies = {0: '{"label": "bug"}', 1: "no json", 2: '{"label": "other"}', 3: "{}", 4: "[" * 5000}
    with serve(*[ok(text) for text in replies.values()]) as server:
        assert tako_map(server.url, rows(5), out, "--schema", str(schema), "--concurrency", "1") == 1
        assert server.requests[0].json["response_format"]["name"] == "label"
        assert tako_map(server.url, rows(5), out, "--schema", str(schema)) == 0  # failed rows count as done
    assert len(server.requests) == 5
    first, *others = results(out)
    assert first["data"] in ({"label": "bug"}, '{"label":"bug"}')
    assert first["error"] is None
    for number, message in {
        1: "isn't JSON",
        2: "'other' is not one of ['bug', 'wish'] at $.label",
        3: "required",
    }.items():
        record = others[number - 1]
        assert (record["text"], record["data"], record["finish_reason"]) == (replies[number], None, None)
        assert (record["error"]["type"], record["cost"]) == ("AnswerError", pytest.approx(15e-6))
        assert message in record["error"]["message"]
    assert others[3]["error"]["type"] == "AnswerError"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{", "isn't a JSON Schema"),
        ("[]", "isn't a JSON Schema"),
        ('{"$schema": 5}', "$schema isn't text"),
        ('{"type": "objekt"}', "'objekt' is not valid under any of the given schemas at $.type"),
        ('{"properties": {"a": {"$ref": "#/$defs/b"}}}', "refers to '#/$defs/b', which isn't in it"),
        ('{"items": {"$ref": "http://127.0.0.1:1/x.json"}}', "refers to 'http://127.0.0.1:1/x.json'"),
    ],
)
def test_an_invalid_schema_is_refused_before_anything_is_sent_or_written(
    rows: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], schema: str, message: str
) -> None:
    (tmp_path / "label.json").write_text(schema)
    with serve(ok()) as server:
        assert tako_map(server.url, rows(1), tmp_path / "out.jsonl", "--schema", str(tmp_path / "label.json")) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert not server.requests
    assert not (tmp_path / "out.jsonl").exists()


def test_max_cost_includes_earlier_runs(
    rows: Any, tmp_path: Path, lines: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    limit = ["--max-cost", "0.002", "--max-tokens", "50"]
    with serve(ok(**{"in": 20, "out": 50})) as server:
        assert tako_map(server.url, rows(100), out, *limit) == 1
        done = len(lines(out))
        assert "could cost more than is left of 0.002 USD" in capsys.readouterr().err
        assert tako_map(server.url, rows(100), out, *limit) == 1
    assert 20 < done <= 28
    assert sum(record["cost"] for record in lines(out)) <= 0.002
    assert len(lines(out)) == done


def test_the_help_names_the_command_without_importing_it_and_csv_stays_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["map", "--help"]) == 0
    assert "--retry-failed" in capsys.readouterr().out
    with (tmp_path / "in.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([["id", "text"], ["1", "a,b"]])
    with serve(ok()) as server:
        assert tako_map(server.url, tmp_path / "in.tsv", tmp_path / "out.jsonl") == 0
    assert server.requests[0].json["messages"][0]["content"] == "a,b"
