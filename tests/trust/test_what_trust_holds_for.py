"""Trust is in one place and one content, in records that are the user's own, whatever else lies in the folder."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import tako

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Fill, Run


# --- trust is in a place and a content


def test_another_folder_with_the_same_content_is_not_trusted(run: Run, tmp_path: Path, fill: Fill) -> None:
    run("trust", "--yes")
    other = fill(tmp_path / "another")
    assert not run("chat", "hi", cwd=other).obeyed
    assert not (other / "it-ran").exists()


def test_a_link_to_a_trusted_file_is_not_trusted(run: Run, folder: Path, tmp_path: Path, fill: Fill) -> None:
    run("trust", "--yes")
    other = fill(tmp_path / "another", module="open('it-ran', 'w').close()")
    (other / "tako.toml").unlink()
    (other / "tako.toml").symlink_to(folder / "tako.toml")
    done = run("chat", "hi", cwd=other)
    assert "isn't trusted" in done.err
    assert not (other / "it-ran").exists()


def test_a_folder_by_another_way_is_the_same_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(folder)
    assert run("trust", "--yes", cwd=tmp_path / "way").code == 0
    assert run("chat", "hi").obeyed


def test_a_linked_file_whose_target_changes_is_not_trusted(run: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "tako.toml").rename(tmp_path / "real.toml")
    (folder / "tako.toml").symlink_to(tmp_path / "real.toml")
    run("trust", "--yes")
    assert run("chat", "hi").obeyed
    (tmp_path / "real.toml").write_text((tmp_path / "real.toml").read_text() + "# changed")
    assert "has changed since you trusted it" in run("chat", "hi").err


def add(file: Path) -> None:
    file.write_text(f"{file.read_text()}# harmless\n")


def change_config(folder: Path) -> None:
    add(folder / "tako.toml")


def change_module(folder: Path) -> None:
    add(folder / "theirs.py")


def change_import(folder: Path) -> None:
    (folder / "helper.py").write_text("# changed\n")


def change_import_of_a_package(folder: Path) -> None:
    (folder / "tools" / "deep.py").write_text("# changed\n")


def add_an_import(folder: Path) -> None:
    (folder / "maybe.py").write_text("open('it-ran', 'w').close()\n")


def add_a_package_that_goes_before(folder: Path) -> None:
    (folder / "theirs").mkdir()
    (folder / "theirs" / "__init__.py").write_text((folder / "theirs.py").read_text())


def add_an_extension(folder: Path) -> None:
    (folder / "helper.so").write_bytes(b"\x7fELF")


CHANGES = [value for name, value in list(globals().items()) if name.startswith(("change_", "add_"))]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_it_runs_is_trusted_with_it(change: Callable[[Path], None], run: Run, folder: Path) -> None:
    imports = "import helper\nfrom tools import deep\ntry:\n    import maybe\nexcept ImportError:\n    pass\n"
    (folder / "theirs.py").write_text(imports + (folder / "theirs.py").read_text())
    (folder / "helper.py").write_text("")
    (folder / "tools").mkdir()
    (folder / "tools" / "__init__.py").write_text("")
    (folder / "tools" / "deep.py").write_text("from . import deeper")
    (folder / "tools" / "deeper.py").write_text("")
    (folder / "unrelated.py").write_text("")
    run("trust", "--yes")
    (folder / "unrelated.py").write_text("x = 1")
    assert run("chat", "hi").obeyed
    (folder / "it-ran").unlink()
    change(folder)
    done = run("chat", "hi")
    assert "has changed since you trusted it, so it isn't used" in done.err
    assert not (folder / "it-ran").exists()
    run("trust", "--yes")
    assert "tako: using ./tako.toml" in run("chat", "hi").err


@pytest.mark.parametrize("use", ["theirs:answer", "tools.deep.theirs:answer"])
def test_a_folder_without_an_init_file_is_a_package_as_in_python(use: str, run: Run, folder: Path, fill: Fill) -> None:
    deep = folder / "tools" / "deep"
    deep.mkdir(parents=True)
    (deep / "helper.py").write_text("")
    fill(folder, config=f'default = "a"\n[providers.a]\nuse = "python:{use}"\n')
    module = "from tools.deep import helper\n" + (folder / "theirs.py").read_text()
    (folder / "theirs.py").write_text(module)
    (deep / "theirs.py").write_text(module)
    done = run("trust", stdin="y\n")
    assert "runs or reads tools/deep/helper.py" in done.err
    assert run("chat", "hi").obeyed
    (folder / "it-ran").unlink()
    add(deep / "helper.py")
    assert "has changed since you trusted it" in run("chat", "hi").err
    assert not (folder / "it-ran").exists()


def test_settings_that_it_reads_are_trusted_with_it(run: Run, folder: Path, fill: Fill) -> None:
    settings = 'id = "gate"\nurl = "http://127.0.0.1:9/"\n[body_template]\nq = "{{ messages }}"\n'
    (folder / "gate.toml").write_text(settings)
    fill(folder, config='default = "g"\n[providers.g]\nuse = "http-generic:m"\nfile = "gate.toml"\nmax_retries = 0\n')
    run("trust", "--yes")
    assert "gate:m" in run("chat", "hi").err
    (folder / "gate.toml").write_text(settings.replace("127.0.0.1", "127.0.0.2"))
    assert "gate.toml, which ./tako.toml runs or reads, has changed" in run("chat", "hi").err


# --- what is run is what was checked


def test_byte_code_beside_a_trusted_module_is_not_run(run: Run, folder: Path) -> None:
    """Python takes byte code that calls itself unchecked whatever the source says, and a clone may bring it along."""
    evil = folder / "evil.py"
    evil.write_text("def answer(request): return 'byte code answers'")
    place = importlib.util.cache_from_source("theirs.py")
    py_compile.compile("evil.py", place, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    run("trust", "--yes")
    assert run("chat", "hi").obeyed


def test_a_module_that_changes_after_the_check_is_run_as_it_was_checked(run: Run, folder: Path) -> None:
    run("trust", "--yes")
    config = tako.load_config()
    (folder / "theirs.py").write_text("def answer(request): return 'changed'")
    assert config.provider().blocking.chat("hi").text == "theirs answers"


def test_what_is_installed_goes_before_a_module_beside_the_file(run: Run, folder: Path, fill: Fill) -> None:
    fill(folder, config='default = "a"\n[providers.a]\nuse = "python:pluggy:PluginManager"\n')
    (folder / "pluggy.py").write_text("open('it-ran', 'w').close()\nPluginManager = print\n")
    run("trust", "--yes")
    run("chat", "hi")
    assert not (folder / "it-ran").exists()


def test_an_import_that_nobody_could_see_finds_nothing_in_the_folder(run: Run, folder: Path, fill: Fill) -> None:
    fill(folder, module="from importlib import import_module as load\ndef answer(request): return load('may' + 'be').x")
    run("trust", "--yes")
    (folder / "maybe.py").write_text("open('it-ran', 'w').close()\nx = 'hidden'")
    assert "No module named 'maybe'" in run("chat", "hi").err
    assert not (folder / "it-ran").exists()


def test_the_users_own_file_runs_no_module_of_the_current_folder(
    run: Run, folder: Path, home: Path, fill: Fill
) -> None:
    own = fill(home / ".config" / "tako", module="def answer(request): return 'my own'")
    (folder / "tako.toml").unlink()
    assert run("chat", "hi").out == "my own\n"
    (own / "theirs.py").unlink()
    done = run("chat", "hi")
    assert "theirs can't be imported" in done.err
    assert not (folder / "it-ran").exists()


def test_a_file_that_is_named_has_modules_beside_it_or_in_the_current_folder(
    run: Run, folder: Path, tmp_path: Path, fill: Fill
) -> None:
    other = fill(tmp_path / "other", module="def answer(request): return 'beside'")
    assert run("chat", "-c", str(other / "tako.toml"), "hi").out == "beside\n"
    (other / "theirs.py").unlink()
    assert run("chat", "-c", str(other / "tako.toml"), "hi").obeyed


def test_a_module_that_is_installed_opens_no_folder_to_later_imports(run: Run, folder: Path, fill: Fill) -> None:
    fill(folder, config='default = "a"\n[providers.a]\nuse = "python:json:dumps"\n')
    before = sys.path[:]
    tako.load_config("tako.toml").provider()
    assert sys.path == before


# --- the records are the user's own


@pytest.mark.parametrize("state", [".", "state"])
def test_a_relative_state_folder_is_not_heeded(state: str, run: Run, folder: Path, home: Path) -> None:
    run("trust", "--yes")
    records = home / "state" / "tako" / "trusted"
    theirs = folder / state / "tako" / "trusted"
    theirs.mkdir(parents=True)
    for record in records.iterdir():
        record.rename(theirs / record.name)
    assert not run("chat", "hi", XDG_STATE_HOME=state).obeyed


@pytest.mark.parametrize("home", [".", ""])
def test_a_relative_home_is_not_heeded(home: str, run: Run, folder: Path, fill: Fill) -> None:
    for place in (folder / ".config" / "tako", folder / "tako"):
        fill(place)
    done = run("chat", "hi", HOME=home, XDG_CONFIG_HOME=".")
    assert not done.obeyed
    assert not (folder / "it-ran").exists()


@pytest.mark.skipif(os.name == "nt", reason="modes say nothing there")
@pytest.mark.parametrize("place", ["", "trusted", "trusted/*.json"])
def test_records_that_others_could_have_written_count_for_nothing(place: str, run: Run, home: Path) -> None:
    run("trust", "--yes")
    top = home / "state" / "tako"
    assert stat.S_IMODE(top.stat().st_mode) == stat.S_IMODE((top / "trusted").stat().st_mode) == 0o700
    written = next(top.glob(place)) if place else top
    assert stat.S_IMODE(written.stat().st_mode) & 0o077 == 0
    written.chmod(0o777)
    done = run("chat", "hi")
    assert "other users can write to" in done.err
    assert not done.obeyed
    assert run("trust", "--yes").code == (0 if "*" in place else 2)


@pytest.mark.parametrize("content", ["", "{}", "no JSON", '{"path": "/x/tako.toml", "sha256": "0"}', "\x00"], ids=repr)
def test_a_broken_record_trusts_nothing_and_is_named(content: str, run: Run, home: Path) -> None:
    run("trust", "--yes")
    record = next(home.glob("state/tako/trusted/*.json"))
    record.write_text(content)
    done = run("chat", "hi")
    assert f"{record} is broken" in done.err
    assert not done.obeyed
    run("trust", "--yes")
    assert run("chat", "hi").obeyed


def test_a_record_moved_to_another_files_name_trusts_nothing(run: Run, home: Path, tmp_path: Path, fill: Fill) -> None:
    run("trust", "--yes")
    folder = home / "state" / "tako" / "trusted"
    first = {*folder.iterdir()}
    other = fill(tmp_path / "another", "# another\n")
    run("trust", "--yes", cwd=other)
    second = next(path for path in folder.iterdir() if path not in first)
    second.write_text(next(iter(first)).read_text())
    assert not run("chat", "hi", cwd=other).obeyed


def test_a_state_folder_that_cannot_be_used_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("trust", "--yes", XDG_STATE_HOME=str(tmp_path / "file"))
    assert done.code == 2
    assert "can't save trusted files in" in done.err
    assert done.err.count("\n") == 1
    done = run("chat", "hi", XDG_STATE_HOME=str(tmp_path / "file"))
    assert "./tako.toml" in done.err
    assert not done.obeyed


def test_a_distribution_that_lies_in_the_folder_is_not_installed(folder: Path) -> None:
    info = folder / "evil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tako.plugins]\nevil = theirs\n[tako.providers]\nevil = theirs:answer\n")
    (folder / "tako.toml").unlink()
    done = subprocess.run([sys.executable, "-m", "tako.cli", "providers"], capture_output=True, text=True, check=False)
    assert "openai" in done.stdout
    assert "evil" not in done.stdout
    assert not (folder / "it-ran").exists()


# --- odd files


def test_a_folder_of_that_name_is_no_configuration(run: Run, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    (odd / "tako.toml").mkdir(parents=True)
    done = run("chat", "hi", cwd=odd)
    assert "no model is chosen" in done.err
    assert "trusted" not in done.err
    assert "Traceback" not in run("trust", "--yes", cwd=odd).err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_of_that_name_is_not_waited_for(run: Run, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    os.mkfifo(odd / "tako.toml")
    assert "no model is chosen" in run("chat", "hi", cwd=odd).err
    assert run("trust", "--yes", cwd=odd).code == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "can't be read"),
        (b"#" * (1024 * 1024 + 1), "larger than 1024 KiB"),
        (b"a = " + b"[" * 50_000, "nested too deeply"),
        (b'[providers.a]\nuse = "openai"\nx = ' + b"{y=" * 5_000, "nested too deeply"),
    ],
    ids=["no text", "huge", "arrays", "tables"],
)
def test_an_odd_file_is_one_line_and_never_trusted(content: bytes, says: str, run: Run, folder: Path) -> None:
    (folder / "tako.toml").write_bytes(content)
    done = run("trust", "--yes")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert says in done.err
    done = run("chat", "-c", "tako.toml", "hi")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert says in done.err


def test_a_current_folder_that_was_deleted_has_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fill: Fill, run: Run
) -> None:
    named = fill(tmp_path / "elsewhere", module="def answer(request): return 1") / "tako.toml"
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "no model is chosen" in run("chat", "hi").err
    assert tako.load_config(named).provider().id == "python:theirs:answer"
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("trick", ["\\u001b[2J", "\\n", "\\u202e", "\\u200b", "\\u0430", "x" * 500], ids=ascii)
def test_a_files_text_cannot_look_like_another(trick: str, run: Run, folder: Path, fill: Fill) -> None:
    name = f'"a{trick}Trust it?"'
    fill(folder, config=f'[providers.{name}]\nuse = "openai:m"\nbase_url = "https://gate.example"\n')
    done = run("trust")
    lines = done.err.splitlines()
    assert lines[1].startswith("[providers.a")
    assert lines[1].isascii() or lines[1].endswith("…")
    assert lines[1].isprintable()
    assert lines[2] == "  base_url 'https://gate.example'"
