"""`tako map` and files that are damaged, odd or full: each problem is one line, and other rows are done."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tako_map.input.keyset import KeySet
from tako_map.input.prompt import Prompt
from tako_map.input.source import Source

from tako import ConfigurationError
from tako.cli import main
from tako.testing.server import Server, reply, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture(autouse=True)
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.chdir(tmp_path)
    with serve(reply(json={"text": "ok"})) as running:
        yield running


def arguments(server: Server, name: str, *more: str, out: str = "out.jsonl") -> list[str]:
    return ["map", "-m", "toy:m", "--option", f"url={server.url}", name, "-o", out, "--prompt", "{text}", *more]


def prompts(server: Server) -> list[str]:
    return sorted(request.json["messages"][-1]["content"] for request in server.requests)


NESTED = b"[" * 200_000 + b"]" * 200_000
FILES: dict[str, tuple[bytes, list[str], list[str]]] = {
    # a file, the prompts that are sent, and the errors
    "heading.tsv": (b"id\ttext\rx\n1\ta\n", ["a"], ["row 1: it has 1 cell, and the heading 2"]),
    "body.tsv": (b"id\ttext\n1\ta\rb\n2\tb\n", ["b"], ["row 1: broken CSV: a carriage return is outside quotes"]),
    "first.csv": (b"text,id\na\rb,1\nc,2\n", ["c"], ["row 1: broken CSV: a carriage return is outside quotes"]),
    "both.csv": (b"id,text\n1,a\r2,\xe9\n3,c\n", ["c"], ["row 1: not UTF-8 (byte 0xe9 at 7)"]),
    "inside.csv": (b'id,text\n1,"a\rb"\n2,b\n', ["a\rb", "b"], []),
    "mac.csv": (b"id,text\r1,a\r2,b\r", ["a", "b"], []),
    "mixed.csv": (b"id,text\r\n1,a\n2,b\r3,c\r\r\n4,d", ["a", "b", "c", "d"], []),
    "blank.csv": (b"\n\r\n\nid,text\n\n1,a\n", ["a"], []),
    "quoted.csv": (b'id,text\n1,"two\r\nlines, ""x"""\n2,b\n', ['two\r\nlines, "x"', "b"], []),
    "open.csv": (b'id,text\n1,a\n2,"open\n3,c\n', ["a", "c"], ["row 2: a quote is never closed"]),
    "later.csv": (b'id,text\n1,"a\n2,b"x,y\n3,c\n', ["c"], ["row 1: it has 3 cells, and the heading 2; it reaches"]),
    "ragged.csv": (b"text,id,more\na,1\nb\nc,3,x\nd,4,x,y\n", ["a", "c"], ["row 2: it has 1 cell,", "row 4: it has 4"]),
    "twice.csv": (b"id,text,more,more\n1,a,x,y\n", ["a"], []),
    "zero.csv": (b"id,text\n1,a\0b\n", ["a\0b"], []),
    "bom.csv": (b"\xef\xbb\xbfid,text\n1,a\n", ["a"], []),
    "latin.tsv": (b"id\ttext\n1\t\xe9t\xe9\n2\tb\n", ["b"], ["row 1: not UTF-8 (byte 0xe9 at 3)"]),
    "keys.csv": ("id,text\n\N{SNOWMAN},a\n\u00e9,b\ne\u0301,c\n".encode(), ["a", "b", "c"], []),
    "nested.jsonl": (
        b'{"id": 1, "text": ' + NESTED + b'}\n{"id": 2, "text": "b"}\n',
        ["b"],
        ["row 1: its JSON is nested"],
    ),
    "deep.jsonl": (b'{"id": 1, "text": ' + b"[" * 900 + b"]" * 900 + b"}\n", ["[" * 900 + "]" * 900], []),
    "mac.jsonl": (b'{"id": 1, "text": "a"}\r{"id": 2, "text": "b"}\r\n', ["a", "b"], []),
    "mixed.jsonl": (b'{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\r\r{"id": 3, "text": "c"}\n', ["a", "b", "c"], []),
    "space.jsonl": (b'{"id": 1, "text": "a"}\n{"id": 2,\r "text": "b"}\n', ["a", "b"], []),
    "half.jsonl": (b'{"id": 1, "text": "a"}\n{"id": 2, "te', ["a"], ["row 2: broken JSON"]),
    "zeros.jsonl": (b'{"id": 1, "text": "a"}\n' + bytes(100) + b"\n", ["a"], ["row 2: broken JSON"]),
    "surrogate.jsonl": (b'{"id": "\\ud800", "text": "a"}\n{"id": 2, "text": "b"}\n', ["b"], ["row 1: broken JSON"]),
    "kinds.jsonl": (
        b'{"id": {"a": 1}, "text": "a"}\n{"id": true, "text": "b"}\n{"id": null, "text": "c"}\n"d"\n',
        ["b"],
        ["row 1: there is no key", "row 3: there is no key", "row 4: there is no key"],
    ),
    "again.jsonl": (
        b'{"id": 1, "text": "a"}\n{"id": "1", "text": "b"}\n',
        ["a"],
        ["row 2: the key '1' appears twice"],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_row_is_one_line_with_file_and_row_and_the_others_are_done(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    content, expected, lines = FILES[name]
    (tmp_path / name).write_bytes(content)
    assert main(arguments(server, name)) == (1 if lines else 0)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"tako: {name}: ")]
    assert len(errors) == len(lines), errors
    assert all(line in errors[i] for i, line in enumerate(lines)), errors
    assert prompts(server) == sorted(expected)
    assert main(arguments(server, name)) in (0, 1)
    assert len(server.requests) == len(expected)  # rows that are done aren't sent again


def test_a_messages_column_that_is_nested_too_deeply_costs_its_row(server: Server, tmp_path: Path) -> None:
    valid = '[{"role": "user", "content": [{"type": "text", "text": "a"}]}]'
    rows = [{"id": 1, "messages": valid}, {"id": 2, "messages": "[" * 200_000}, {"id": 3, "messages": '[{"role": 5}]'}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = arguments(server, "in.jsonl")
    assert main(command[: command.index("--prompt")]) == 1
    assert len(server.requests) == 1


FAULTY: dict[str, tuple[bytes | None, str]] = {
    "open.csv": (b'"id,text\n1,a\n', "the heading has a quote that is never closed"),
    "latin.csv": (b"id,text,\xe9\n1,a,b\n", "the heading is not UTF-8"),
    "twice.csv": (b"id,text,text\n1,a,b\n", "there are 2 columns 'text'"),
    "lacks.tsv": (b"id,text\n1,a\n", "there is no column 'text' (columns: id,text)"),
    "array.json": (b'[\n  {"id": 1, "text": "a"}\n]\n', "it is one JSON array; write one object on each line"),
    "half.parquet": (b"PAR1" + bytes(50), "it isn't a readable Parquet file"),
    "missing.csv": (None, "no such file"),
    "in.xlsx": (b"", "rows are read from .jsonl, .csv, .tsv or .parquet files"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_damaged_file_is_one_line_before_anything_is_sent_or_written(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    content, error = FAULTY[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(arguments(server, name)) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"tako: {name}: ")
    assert error in errors
    assert errors.count("\n") == 1
    assert not server.requests
    assert not (tmp_path / "out.jsonl").exists()


def test_folders_and_devices_are_no_files_of_rows(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "null.csv").symlink_to(os.devnull)
    problems = {
        "folder.csv": "it is a folder",
        "pipe.csv": "it isn't a regular file",
        "null.csv": "it isn't a regular file",
    }
    for name, problem in problems.items():
        assert main(arguments(server, name)) == 2
        assert capsys.readouterr().err == f"tako: {name}: {problem}; rows are read from one file\n"


def parquet(path: Path, **columns: Any) -> bytes:
    pq.write_table(pa.table(columns), path, row_group_size=100, compression="none", use_dictionary=False)
    return path.read_bytes()


def test_damage_in_parquet_costs_the_rest_of_its_row_group(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.parquet"
    data = bytearray(parquet(path, id=list(range(300)), text=[f"thing {i}" for i in range(300)]))
    place = pq.ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    data[place : place + 20] = bytes(20)
    path.write_bytes(data)
    assert main(arguments(server, "in.parquet")) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if "in.parquet" in line]
    assert len(errors) == 1
    assert "rows 101 to 200 can't be read (row group 2): " in errors[0]
    assert prompts(server) == sorted(f"thing {i}" for i in range(300) if not 100 <= i < 200)


def test_a_cell_of_parquet_that_is_no_text_or_no_date_costs_its_row(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = pa.array([b"a", b"\xff", b"c", b"d"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 4, raw.buffers())
    parquet(tmp_path / "in.parquet", id=[date(2026, 1, i) for i in range(1, 5)], text=text)
    assert main(arguments(server, "in.parquet")) == 1
    assert "row 2: the column 'text' can't be read: 'utf-8' codec" in capsys.readouterr().err
    assert prompts(server) == ["a", "c", "d"]
    far = pa.array([0, 10**17, 1], pa.timestamp("ms"))
    parquet(tmp_path / "far.parquet", id=[Decimal(1), Decimal(2), Decimal(3)], text=far)
    assert main(arguments(server, "far.parquet", out="far.jsonl")) == 1
    assert "row 2: the column 'text' can't be read" in capsys.readouterr().err
    assert len(server.requests) == 5


@given(st.sampled_from([".csv", ".tsv", ".jsonl"]), st.binary(max_size=300))
def test_any_bytes_are_rows_or_errors(tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    heading = b"" if suffix == ".jsonl" else b"id,text\n" if suffix == ".csv" else b"id\ttext\n"
    for data in (content, heading + content):
        path.write_bytes(data)
        try:
            rows = list(Source(path, Prompt("{text}"), done_keys=KeySet()))
        except ConfigurationError:
            continue
        assert len(rows) <= data.count(b"\n") + data.count(b"\r") + 1


@given(st.lists(st.sampled_from([b"a", b'"', b"\n", b"\r", b",", b"\r\n", b"1,x\n"]), max_size=40))
def test_a_sound_row_at_the_end_is_read_whatever_was_before_unless_a_quote_is_open(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    path, before = tmp_path_factory.getbasetemp() / "before.csv", b"".join(pieces)
    path.write_bytes(b"id,text\n" + before + b"\nlast,row\n")
    rows = list(Source(path, Prompt("{text}"), done_keys=KeySet()))
    if b'"' not in before:
        assert (rows[-1].key, rows[-1].problem) == ("last", None)
        assert rows[-1].number <= len(rows)


# --- where results go


def test_a_dash_is_standard_output_and_nothing_else_is_written(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a\n2,b\n")
    for _ in range(2):
        assert main(arguments(server, "in.csv", out="-")) == 0
        out, err = capsys.readouterr()
        assert sorted(json.loads(line)["key"] for line in out.splitlines()) == ["1", "2"]
        assert "done" in err
    assert len(server.requests) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("flag", ["-o", "-o=", "--output", "--output="])
@pytest.mark.parametrize("option", ["base_url=http://x/v1", "api_key=sk-very-secret", "max-tokens=5", "url="])
def test_an_option_is_no_output(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, option: str
) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a\n")
    command = arguments(server, "in.csv")
    place = command.index("-o")
    command[place : place + 2] = [flag + option] if flag.endswith("=") else [flag, option]
    assert main(command) == 2
    errors = capsys.readouterr().err
    assert "--option KEY=VALUE" in errors
    assert option.partition("=")[0] in errors
    assert "secret" not in errors
    assert not server.requests
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_folder_with_an_equals_sign_can_be_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a\n")
    assert main(arguments(server, "in.csv", out="./date=2026-01-01/out.jsonl")) == 0
    assert (tmp_path / "date=2026-01-01" / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("", "it is empty"),
        ("out.csv", "results go to a .jsonl file, to a folder of Parquet files, or to - (stdout)"),
        ("/dev/full", "results go to"),
        ("full.jsonl", "it isn't a regular file; - is standard output"),
        ("folder.jsonl", "Is a directory"),
        ("in.csv/out.jsonl", "in.csv isn't a folder"),
        ("./in.jsonl", "./in.jsonl is input and output at once"),
    ],
)
def test_an_output_that_cannot_be_is_one_line_before_anything_is_asked(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, message: str
) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a\n")
    (tmp_path / "in.jsonl").write_text('{"id": "1", "text": "a"}\n')
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    (tmp_path / "folder.jsonl").mkdir()
    assert main(arguments(server, "in.jsonl" if out == "./in.jsonl" else "in.csv", out=out)) == 2
    errors = capsys.readouterr().err
    assert message.removeprefix("./in.jsonl ") in errors
    assert errors.count("\n") == 1
    assert not server.requests


def test_a_part_of_the_output_is_no_input(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a\n")
    assert main(arguments(server, "in.csv", out="out")) == 0
    part = tmp_path / "out" / "part-00000.parquet"
    before = part.read_bytes()
    assert main(arguments(server, "out/part-00000.parquet", "--restart", out="out")) == 2
    assert "is input and output at once" in capsys.readouterr().err
    assert part.read_bytes() == before


@pytest.mark.parametrize("out", ["out.jsonl", "out"])
def test_a_full_disk_ends_the_run_with_a_line_and_the_same_command_continues(
    server: Server, tmp_path: Path, out: str, lines: Any
) -> None:
    """A limit of file sizes replaces the full disk; -B, because Python would write half of its compiled files."""
    (tmp_path / "in.csv").write_text("id,text\n" + "".join(f"{i},{'x' * 50}\n" for i in range(100)))
    limit = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, {resource.RLIM_INFINITY}))\n"
    command = [sys.executable, "-B", "-c", f"{limit}from tako.cli import main; sys.exit(main())"]
    done = subprocess.run(
        [*command, *arguments(server, "in.csv", out=out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "File too large; the same command continues from here" in done.stderr
    assert "Traceback" not in done.stderr
    assert main(arguments(server, "in.csv", out=out)) == 0
    records = lines(tmp_path / out) if out == "out.jsonl" else pq.read_table(tmp_path / out).to_pylist()
    assert sorted(int(record["key"]) for record in records) == list(range(100))
    assert len(server.requests) <= 100 + 64 + 1


def test_a_full_standard_output_is_one_line_and_a_reader_that_leaves_is_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n" + "".join(f"{i},a\n" for i in range(300)))
    command = [sys.executable, "-m", "tako.cli", *arguments(server, "in.csv", "--concurrency", "4", out="-")]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "continues from here" not in done.stderr
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_without_rich_a_run_has_plain_lines(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,a\n2,b\n")
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError('no rich', name='rich')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    command = [sys.executable, "-m", "tako.cli", *arguments(server, "in.csv")]
    master, slave = os.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
    os.close(slave)
    errors = b""
    while piece := read_terminal(master):
        errors += piece
    os.close(master)
    assert process.wait(60) == 0
    assert re.search(rb"  done +2\r\n  failed +0\r\n", errors), errors


def read_terminal(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError:  # the other end is closed
        return b""


def test_numbers_of_the_command_line_are_refused_in_plain_words(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag, value, message in (
        ("--temperature", "warm", "'warm' isn't a number"),
        ("--rpm", "nan", "'nan' isn't a number"),
        ("--max-tokens", "1.5", "'1.5' isn't a whole number"),
        ("--rpm", "-1", "rpm is -1.0; it must be more than 0"),
    ):
        assert main(arguments(server, "in.csv", f"{flag}={value}")) == 2
        errors = capsys.readouterr().err
        if value != "-1":
            assert message in errors
        assert "float" not in errors
