"""Files that nest without end: one line that names the file, whoever reads it."""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tako.cli import main
from tako.config import load_config
from tako.errors import ConfigurationError
from tako.providers import HttpGeneric
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEPTHS = (150, 900, 5000)
GENERIC = 'id = "acme"\nmodel = "m"\nurl = "http://127.0.0.1:9"\n'
CONFIGURATIONS = {
    "array": '[providers.x]\nuse = "openai"\nmodel = "m"\nheaders = {array}\n',
    "inline": '[providers.x]\nuse = "openai"\nheaders = {inline}\n',
    "dotted": '[providers.x]\nuse = "openai"\nmodel = "m"\nheaders.{dotted} = 1\n',
    "table": "[providers.{dotted}]\nuse = 'openai'\n",
    "default": "default = {array}\n",
    "conductor": "[conductor]\nworkers = {array}\n",
    "plugins": "[plugins]\norder = {array}\n",
    "generic": '[providers.x]\nuse = "http-generic"\nmodel = "m"\nurl = "http://x"\nbody_template = {array}\n',
}
ENDPOINTS = {
    "array.toml": f"{GENERIC}body_template = {{array}}\n",
    "dotted.toml": f"{GENERIC}body_template.{{dotted}} = 1\n",
    "object.json": '{"id": "acme", "model": "m", "url": "http://x", "body_template": {object}}',
}


@pytest.fixture(autouse=True)
def _no_finalizers() -> Iterator[None]:
    """Collect nothing while the stack is full: a finalizer of another test's garbage would fail there."""
    gc.disable()
    yield
    gc.enable()


def text(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def filled(content: str, depth: int) -> str:
    forms = {
        "{array}": "[" * depth + "]" * depth,
        "{inline}": "{a = " * depth + "1" + "}" * depth,
        "{dotted}": ".".join(["a"] * depth),
        "{object}": text(depth),
    }
    for form, value in forms.items():
        content = content.replace(form, value)
    return content


def problem(work: Any) -> str:
    """Return the text of the ConfigurationError that a function raises, "" where it raises none."""
    try:
        work()
    except ConfigurationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_a_configuration(kind: str, depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    file = tmp_path / "tako.toml"
    file.write_text(filled(CONFIGURATIONS[kind], depth))
    message = problem(lambda: load_config(file).provider("x"))
    assert str(file) in message or (kind == "generic" and depth < DEPTHS[1])
    assert len(message) < 2000


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_s_file(name: str, depth: int, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(filled(ENDPOINTS[name], depth))
    message = problem(partial(HttpGeneric.from_file, file))
    assert str(file) in message
    assert len(message) < 500


@pytest.mark.parametrize("depth", DEPTHS)
def test_options_and_files_of_the_command(
    depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tako.toml").write_text(filled(CONFIGURATIONS["array"], depth))
    (tmp_path / "rows.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "schema.json").write_text(filled('{"type": "object", "properties": {"p": {object}}}', depth))
    rows = ["rows.jsonl", "-o", "out.jsonl", "--prompt", "{text}", "-m", "openai:m"]
    for arguments in (
        ["chat", "-m", "openai:m", "-o", f"headers={text(depth)}", "hi"],
        ["chat", "-m", "openai:m", "-o", f"timeout={'[' * depth}", "hi"],
        ["-c", "tako.toml", "chat", "hi"],
        ["-c", "tako.toml", "doctor"],
        ["capabilities", "openai:m", "-o", f"capabilities={text(depth)}"],
        ["map", *rows, "--schema", "schema.json"],
        ["map", *rows, "--option", f"headers={text(depth)}"],
    ):
        code = main(arguments)
        output = capsys.readouterr()
        assert code in (0, 1, 2), (arguments[:2], output.err[:300])
        assert "a bug" not in output.err


@pytest.mark.parametrize("depth", DEPTHS)
def test_rows_of_tako_map(depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    deep = text(depth)
    rows = [
        f'{{"id": "1", "text": {deep}}}',
        '{"id": "2", "text": "fine"}',
        f'{{"id": "3", "messages": {deep}, "text": "x"}}',
        f'{{"id": "4", "text": "x", "other": {"[" * depth}{"]" * depth}}}',
        f'{{"id": {deep}, "text": "x"}}',
        '{"id": "6", "text": "fine"}',
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    body = {"choices": [{"message": {"content": deep}, "finish_reason": "stop"}]}
    with serve(reply(json=body)) as server:
        common = ["-m", "openai:m", "--option", f"base_url={server.url}", str(tmp_path / "rows.jsonl")]
        for prompt in ("--prompt={text}", "--system=x"):
            out = tmp_path / f"out{len(prompt)}.jsonl"
            assert main(["map", *common, "-o", str(out), prompt]) in (0, 1)
            assert {f'{{"key":"{key}"' for key in "26"} <= {line[:10] for line in out.read_text().splitlines()}
    assert "a bug" not in capsys.readouterr().err
