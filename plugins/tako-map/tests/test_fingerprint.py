"""`tako map` and an output that is there already: old answers are never served for answers to another question."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tako.cli import main
from tako.testing.server import Received, Reply, Server, reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("toy")


def answer(request: Received) -> Reply:
    return reply(json={"text": f"answer to {request.json['messages'][-1]['content']}"})


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(answer) as running:
        yield running


@pytest.fixture
def run(server: Server, rows: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what runs the command; it returns the exit code and how many calls were made."""
    monkeypatch.chdir(tmp_path)
    rows(3)
    (tmp_path / "label.json").write_text('{"type": "string"}')

    def map_(
        *more: str, out: str = "out.jsonl", prompt: str = "Topic: {text}", model: str = "toy:m"
    ) -> tuple[int, int]:
        before = len(server.requests)
        options = ["-m", model, "--option", f"url={server.url}"]
        code = main(["map", *options, "in.jsonl", "-o", out, "--prompt", prompt, *more])
        return code, len(server.requests) - before

    return map_


def texts(out: Path) -> dict[str, str]:
    records = (
        pq.read_table(out).to_pylist() if out.is_dir() else [json.loads(line) for line in out.read_text().splitlines()]
    )
    assert len({record["key"] for record in records}) == len(records)
    return {record["key"]: record["text"] for record in records}


CHANGES: dict[str, tuple[list[str], dict[str, str], str]] = {
    "prompt": ([], {"prompt": "Mood: {text}"}, "prompt was 'Topic: {text}', now 'Mood: {text}'"),
    "model": ([], {"model": "toy:n"}, "model was 'toy:m', now 'toy:n'"),
    "system": (["--system", "Be brief."], {}, "system was not given, now 'Be brief.'"),
    "temperature": (["--temperature", "0"], {}, "temperature was not given, now '0.0'"),
    "max_tokens": (["--max-tokens", "9"], {}, "max-tokens was not given, now '9'"),
    "schema": (["--schema", "label.json"], {}, "schema was not given, now"),
    "key": (["--key", "text"], {}, "key was 'id', now 'text'"),
    "image": (["--image-column", "text"], {}, "image-column was not given, now 'text'"),
    "option": (["--option", "style=formal"], {}, "option style was not given, now 'formal'"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("out", ["out.jsonl", "out"])
def test_a_run_with_changes_is_refused_with_a_list_of_them(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, change: str
) -> None:
    more, arguments, message = CHANGES[change]
    assert run(out=out) == (0, 3)
    assert run(out=out) == (0, 0)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("out*/**/*") if path.is_file()}
    capsys.readouterr()
    assert run(*more, out=out, **arguments) == (2, 0)
    assert run(*more, "--retry-failed", out=out, **arguments) == (2, 0)
    line = capsys.readouterr().err.splitlines()[0]
    assert message in line
    assert "--restart sends everything again, --keep keeps them and continues" in line
    assert before == {path.name: path.read_bytes() for path in tmp_path.glob("out*/**/*") if path.is_file()}


@pytest.mark.parametrize("out", ["out.jsonl", "out"])
def test_restart_sends_every_row_again_and_keep_only_new_ones(
    run: Any, rows: Callable[[int], Path], tmp_path: Path, out: str
) -> None:
    assert run(out=out) == (0, 3)
    assert run("--restart", out=out, prompt="Mood: {text}") == (0, 3)
    assert texts(tmp_path / out) == {f"k{i}": f"answer to Mood: thing {i}" for i in range(3)}
    rows(4)
    assert run("--keep", out=out) == (0, 1)
    assert texts(tmp_path / out) == {f"k{i}": f"answer to {'Topic' if i == 3 else 'Mood'}: thing {i}" for i in range(4)}
    assert run(out=out) == (0, 0)


def test_restart_and_keep_exclude_each_other_and_have_no_meaning_for_standard_output(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--restart", "--keep") == (2, 0)
    for flag in ("--restart", "--keep", "--retry-failed"):
        assert run(flag, out="-") == (2, 0)
        assert f"{flag} is for a file" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["out.jsonl", "out"])
@pytest.mark.parametrize("left", [None, b"", b'{"prompt"', b"[]", b"\xff", b"[" * 200_000])
def test_an_output_without_a_fingerprint_is_continued_with_one_line_that_says_so(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, left: bytes | None
) -> None:
    assert run(out=out) == (0, 3)
    notes = tmp_path / out / "_run.json" if out == "out" else tmp_path / f"{out}.run.json"
    notes.unlink()
    if left is not None:
        notes.write_bytes(left)
    capsys.readouterr()
    assert run(out=out) == (0, 0)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tako:")]
    assert errors == [f"tako: {out}: tako doesn't know which prompt and model its answers are from; it keeps them"]
    assert run(out=out) == (0, 0)
    assert "recorded" not in capsys.readouterr().err
    assert run(out=out, prompt="Mood: {text}") == (2, 0)


def test_secrets_timeouts_prices_and_the_engine_are_no_part_of_it(run: Any, tmp_path: Path) -> None:
    secret = ["--option", "api_key=sk-very-secret", "--option", 'headers={"Authorization": "Bearer sk-very-secret"}']
    place = ["--option", "place=https://user:sk-very-secret@example.com/v1?key=sk-very-secret"]
    assert run(*secret, *place, "--option", "timeout=5") == (0, 3)
    notes = (tmp_path / "out.jsonl.run.json").read_text()
    assert "secret" not in notes
    assert json.loads(notes)["options"]["place"] == "https://example.com/v1"
    prices = ["--option", 'capabilities={"usd_per_input_mtok": 1, "usd_per_output_mtok": 2}']
    assert run("--option", "place=https://example.com/v1", "--option", "max_retries=9", *prices) == (0, 0)
    pace = ["--rpm", "1000", "--concurrency", "2", "--attempts", "3", "--max-cost", "5"]
    assert run("--option", "place=https://example.com/v1", *pace) == (0, 0)


def test_the_fingerprint_of_a_provider_in_a_file_is_what_the_file_says(
    run: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    monkeypatch.setenv("TAKO_CONFIG", str(file))
    file.write_text(f'[providers.cheap]\nuse = "toy:m"\nurl = "{server.url}"\n')
    assert run(model="cheap") == (0, 3)
    assert run(model="toy:m") == (0, 0)
    file.write_text(f'[providers.cheap]\nuse = "toy:n"\nurl = "{server.url}"\n')
    assert run(model="cheap") == (2, 0)
    assert "model was 'toy:m', now 'toy:n'" in capsys.readouterr().err
    file.write_text(f'[providers.cheap]\nuse = "toy:m"\nurl = "{server.url}"\nstyle = "formal"\n')
    assert run(model="cheap") == (2, 0)
    assert "option style was not given, now 'formal'" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["out.jsonl", "out"])
def test_a_row_whose_cells_have_changed_keeps_its_answer_only_with_a_line_and_an_exit_code(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    assert run(out=out) == (0, 3)
    lines = (tmp_path / "in.jsonl").read_text().splitlines(keepends=True)
    changed = [lines[0], '{"id": "k1", "text": "another", "more": 1}\n', lines[2].replace("}", ', "more": 1}')]
    (tmp_path / "in.jsonl").write_text("".join(changed))
    capsys.readouterr()
    assert run(out=out) == (1, 0)
    assert "1 row changed since the answer was made, the first is row 2" in capsys.readouterr().err
    assert run("--keep", out=out) == (0, 0)
    assert run("--restart", out=out) == (0, 3)
    assert texts(tmp_path / out)["k1"] == "answer to Topic: another"


def test_rows_that_are_known_by_their_numbers_are_noticed_when_they_move(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    assert run() == (0, 2)
    (tmp_path / "in.jsonl").write_text('{"text": "new"}\n{"text": "a"}\n{"text": "b"}\n')
    assert run() == (1, 1)
    assert "2 rows changed since the answer was made" in capsys.readouterr().err


def test_a_link_stays_a_link_and_its_file_has_one_fingerprint(run: Any, tmp_path: Path) -> None:
    (tmp_path / "linked.jsonl").symlink_to("out.jsonl")
    assert run(out="linked.jsonl") == (0, 3)
    assert run(out="out.jsonl") == (0, 0)
    broken = (tmp_path / "out.jsonl").read_text().replace('"error":null', '"error":{"type":"X","message":"y"}', 1)
    (tmp_path / "out.jsonl").write_text(broken)
    assert run("--retry-failed", out="linked.jsonl") == (0, 1)
    assert (tmp_path / "linked.jsonl").is_symlink()
    assert len(texts(tmp_path / "out.jsonl")) == 3
    assert run(out="linked.jsonl", prompt="Mood: {text}") == (2, 0)


def test_a_refused_run_leaves_a_journal_as_it_is(run: Any, tmp_path: Path) -> None:
    assert run(out="out") == (0, 3)
    journal = tmp_path / "out" / "part-00001.jsonl"
    journal.write_text('{"key":"k9","row":9,"text":"paid for","cost":0.5}\n')  # as a kill leaves it
    (tmp_path / "out" / "part-00000.parquet").write_bytes(b"PAR1 damaged PAR1")
    assert run(out="out") == (2, 0)
    assert run(out="out", prompt="Mood: {text}") == (2, 0)
    assert "paid for" in journal.read_text()
    (tmp_path / "out" / "part-00000.parquet").unlink()
    assert run(out="out") == (0, 3)
    assert texts(tmp_path / "out")["k9"] == "paid for"


def test_restart_leaves_other_files_alone(run: Any, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text('{"somebody": "else"}\n')
    assert run("--restart") == (2, 0)
    assert (tmp_path / "out.jsonl").read_text() == '{"somebody": "else"}\n'
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-00000-3f6c.snappy.parquet").write_bytes(b"of Spark")
    assert run("--restart", out="out") == (2, 0)
    assert (tmp_path / "out" / "part-00000-3f6c.snappy.parquet").read_bytes() == b"of Spark"
