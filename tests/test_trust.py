"""A tako.toml that merely lies in the current folder does nothing until its user trusts it, as it is."""

from __future__ import annotations

import importlib.util
import io
import os
import py_compile
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

import tako
from tako import trust
from tako.cli import main
from tako.config import UntrustedWarning
from tako.errors import ConfigurationError

from .terminals import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., "Done"]

CONFIG = 'default = "a"\n[providers.a]\nuse = "python:theirs:answer"\n'
MODULE = "open('it-ran', 'w').close()\ndef answer(request): return 'theirs answers'\n"
UNTRUSTED = "./tako.toml isn't trusted, so it isn't used; to see what it does, and to trust it: tako trust"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder like that of a repository that somebody has just cloned."""
    (tmp_path / "cloned").mkdir()
    return fill(tmp_path / "cloned")


def fill(folder: Path, config: str = CONFIG, module: str = MODULE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tako.toml").write_text(config)
    (folder / "theirs.py").write_text(module)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of a user who has no embedded model, and is in the folder."""
    for name in [name for name in os.environ if name.startswith(("TAKO_", "XDG_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / "state"))
    monkeypatch.setenv("TAKO_DISABLE_PLUGINS", "cache,otel,prices,record,llamacpp")
    monkeypatch.chdir(folder)
    return tmp_path / "home"


class Done(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Return what runs the command, as often as is wanted: no run sees a module that another one has imported."""
    before, path, finders = {*sys.modules}, sys.path[:], sys.meta_path[:]

    def forget() -> None:
        sys.path[:], sys.meta_path[:] = path, finders
        for name in {*sys.modules} - before:
            if name.partition(".")[0] in ("theirs", "helper", "tools", "maybe", "pluggy"):
                del sys.modules[name]
        importlib.invalidate_caches()

    def run(*arguments: str, cwd: Path | None = None, stdin: str = "", **env: str) -> Done:
        with monkeypatch.context() as during:
            during.setattr(sys, "stdin", io.StringIO(stdin))
            for name, value in env.items():
                during.setenv(name, value)
            if cwd is not None:
                during.chdir(cwd)
            code = main(arguments)
        forget()
        return Done(code, *capsys.readouterr())

    yield run
    forget()


def obeyed(done: Done) -> bool:
    return done.out.strip() == "theirs answers"


# --- until it is trusted


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat", "hi"],
        ["chat", "-m", "a", "hi"],
        ["conduct", "hi"],
        ["capabilities", "a"],
        ["doctor"],
        ["map", "rows.csv", "-o", "out.jsonl", "-m", "a", "--prompt", "{text}"],
    ],
    ids=" ".join,
)
def test_every_command_leaves_it_alone_and_says_so(arguments: list[str], run: Run, folder: Path) -> None:
    (folder / "rows.csv").write_text("text\nhi\n")
    done = run(*arguments)
    assert not (folder / "it-ran").exists()
    assert f"tako: {UNTRUSTED}\n" in done.err
    assert done.err.count("isn't trusted") == 1


def test_an_id_of_an_installed_provider_needs_no_file_and_the_line_comes_all_the_same(run: Run) -> None:
    done = run("chat", "-m", "openai:m", "hi")
    assert UNTRUSTED in done.err
    assert "OPENAI_API_KEY" in done.err


def test_the_users_own_file_is_used_in_its_place(run: Run, home: Path) -> None:
    own = home / ".config" / "tako"
    own.mkdir(parents=True)
    (own / "tako.toml").write_text(
        'default = "mine"\n[providers.mine]\nuse = "ollama:m"\nbase_url = "http://127.0.0.1:9"\n'
    )
    done = run("chat", "hi")
    assert UNTRUSTED in done.err
    assert f"tako: using {own / 'tako.toml'}\n" in done.err
    assert "ollama:m" in done.err


def test_what_is_named_needs_no_trust(run: Run, folder: Path) -> None:
    assert obeyed(run("chat", "-c", "tako.toml", "hi"))
    done = run("chat", "hi", TAKO_CONFIG=str(folder / "tako.toml"))
    assert obeyed(done)
    assert f"tako: using {folder / 'tako.toml'}" in done.err


def test_a_file_of_a_folder_above_is_not_looked_for(run: Run, folder: Path) -> None:
    run("trust", "--yes")
    (folder / "below").mkdir()
    done = run("chat", "hi", cwd=folder / "below")
    assert done.code == 2
    assert "no model is chosen" in done.err


# --- tako trust


def test_trust_shows_what_the_file_does_and_asks(run: Run, folder: Path) -> None:
    gate = '[providers.b]\nuse = "openai:m"\nbase_url = "https://gate.example/v1"\nheaders = { x-t = "$ENV:GATE" }\n'
    fill(folder, CONFIG + gate)
    done = run("trust", stdin="y\n")
    assert done.code == 0
    for part in (str(folder / "tako.toml"), "python:theirs:answer", "https://gate.example/v1", "GATE", "theirs.py"):
        assert part in done.err
    assert "Trust it? [y/N]" in done.err
    done = run("chat", "hi")
    assert obeyed(done)
    assert "tako: using ./tako.toml\n" in done.err


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yellow\n"], ids=repr)
def test_no_answer_and_any_other_trust_nothing(answer: str, run: Run, folder: Path) -> None:
    done = run("trust", stdin=answer)
    assert done.code == 1
    assert "--yes" in done.err
    assert not obeyed(run("chat", "hi"))
    assert not (folder / "it-ran").exists()


def test_on_a_terminal_it_asks(run: Run) -> None:
    screen = Terminal("trust")
    screen.wait_for("Trust it?")
    os.write(screen.master, b"y\n")
    assert screen.close() == 0
    assert obeyed(run("chat", "hi"))


def test_yes_asks_nothing_and_a_folder_stands_for_its_file(run: Run, folder: Path, tmp_path: Path) -> None:
    done = run("trust", "--yes", str(folder), cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"tako: {folder / 'tako.toml'} is trusted as it is now\n"
    assert obeyed(run("chat", "hi"))


def test_list_shows_what_is_trusted_and_revoke_ends_it(run: Run, folder: Path, tmp_path: Path) -> None:
    assert "you trust no files" in run("trust", "--list").err
    run("trust", "--yes")
    other = fill(tmp_path / "other")
    run("trust", "--yes", cwd=other)
    (other / "theirs.py").write_text("changed = 1\n")
    lines = run("trust", "--list").out.splitlines()[1:]
    assert [line.split(maxsplit=1) for line in lines] == [
        [str(folder / "tako.toml"), "trusted"],
        [str(other / "tako.toml"), "changed since, so not used"],
    ]
    (other / "tako.toml").unlink()
    assert run("trust", "--list").out.splitlines()[2].split(maxsplit=1) == [str(other / "tako.toml"), "gone or broken"]
    assert run("trust", "--revoke").code == 0
    assert not obeyed(run("chat", "hi"))
    assert run("trust", "--revoke", str(other / "tako.toml")).code == 0
    assert run("trust", "--list").out == ""
    done = run("trust", "--revoke")
    assert (done.code, done.err) == (2, "tako: tako.toml isn't trusted\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trust", "gone/tako.toml", "--yes"], "gone/tako.toml: there is no such file"),
        (["trust", "theirs.py", "--yes"], "only a tako.toml needs trust"),
        (["trust", "broken", "--yes"], "broken/tako.toml: not TOML"),
    ],
)
def test_what_cannot_be_trusted_is_one_line(arguments: list[str], says: str, run: Run, folder: Path) -> None:
    fill(folder / "broken", "default = ")
    done = run(*arguments)
    assert done.code == 2
    assert says in done.err
    assert done.err.count("\n") == 1


# --- trust is in a place and a content


def test_another_folder_with_the_same_content_is_not_trusted(run: Run, tmp_path: Path) -> None:
    run("trust", "--yes")
    other = fill(tmp_path / "another")
    assert not obeyed(run("chat", "hi", cwd=other))
    assert not (other / "it-ran").exists()


def test_a_link_to_a_trusted_file_is_not_trusted(run: Run, folder: Path, tmp_path: Path) -> None:
    run("trust", "--yes")
    other = fill(tmp_path / "another", module=MODULE.replace("theirs", "others"))
    (other / "tako.toml").unlink()
    (other / "tako.toml").symlink_to(folder / "tako.toml")
    done = run("chat", "hi", cwd=other)
    assert UNTRUSTED in done.err
    assert not (other / "it-ran").exists()


def test_a_folder_by_another_way_is_the_same_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(folder)
    assert run("trust", "--yes", cwd=tmp_path / "way").code == 0
    assert obeyed(run("chat", "hi"))


def test_a_linked_file_whose_target_changes_is_not_trusted(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(CONFIG)
    (folder / "tako.toml").unlink()
    (folder / "tako.toml").symlink_to(tmp_path / "real.toml")
    run("trust", "--yes")
    assert obeyed(run("chat", "hi"))
    (tmp_path / "real.toml").write_text(CONFIG + "# changed")
    assert "has changed since you trusted it" in run("chat", "hi").err


def change_config(folder: Path) -> None:
    (folder / "tako.toml").write_text(CONFIG + "# harmless\n")


def change_module(folder: Path) -> None:
    (folder / "theirs.py").write_text(MODULE + "# harmless\n")


def change_import(folder: Path) -> None:
    (folder / "helper.py").write_text("# changed\n")


def change_import_of_a_package(folder: Path) -> None:
    (folder / "tools" / "deep.py").write_text("# changed\n")


def add_an_import(folder: Path) -> None:
    (folder / "maybe.py").write_text("open('it-ran', 'w').close()\n")


def add_a_package_that_goes_before(folder: Path) -> None:
    fill(folder / "theirs").joinpath("__init__.py").write_text(MODULE)


def add_an_extension(folder: Path) -> None:
    (folder / "helper.so").write_bytes(b"\x7fELF")


CHANGES = [value for name, value in list(globals().items()) if name.startswith(("change_", "add_"))]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_it_runs_is_trusted_with_it(change: Callable[[Path], None], run: Run, folder: Path) -> None:
    imports = "import helper\nfrom tools import deep\ntry:\n    import maybe\nexcept ImportError:\n    pass\n"
    (folder / "theirs.py").write_text(imports + MODULE)
    (folder / "helper.py").write_text("")
    (folder / "tools").mkdir()
    (folder / "tools" / "__init__.py").write_text("")
    (folder / "tools" / "deep.py").write_text("from . import deeper")
    (folder / "tools" / "deeper.py").write_text("")
    (folder / "unrelated.py").write_text("")
    run("trust", "--yes")
    (folder / "unrelated.py").write_text("x = 1")
    assert obeyed(run("chat", "hi"))
    (folder / "it-ran").unlink()
    change(folder)
    done = run("chat", "hi")
    assert "has changed since you trusted it, so it isn't used" in done.err
    assert not (folder / "it-ran").exists()
    run("trust", "--yes")
    assert "tako: using ./tako.toml" in run("chat", "hi").err


def test_settings_that_it_reads_are_trusted_with_it(run: Run, folder: Path) -> None:
    settings = 'id = "gate"\nurl = "http://127.0.0.1:9/"\n[body_template]\nq = "{{ messages }}"\n'
    (folder / "gate.toml").write_text(settings)
    fill(folder, 'default = "g"\n[providers.g]\nuse = "http-generic:m"\nfile = "gate.toml"\nmax_retries = 0\n')
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
    assert obeyed(run("chat", "hi"))


def test_a_module_that_changes_after_the_check_is_run_as_it_was_checked(run: Run, folder: Path) -> None:
    run("trust", "--yes")
    config = tako.load_config()
    (folder / "theirs.py").write_text("def answer(request): return 'changed'")
    assert config.provider().blocking.chat("hi").text == "theirs answers"


def test_what_is_installed_goes_before_a_module_beside_the_file(run: Run, folder: Path) -> None:
    fill(folder, 'default = "a"\n[providers.a]\nuse = "python:pluggy:PluginManager"\n')
    (folder / "pluggy.py").write_text("open('it-ran', 'w').close()\nPluginManager = print\n")
    run("trust", "--yes")
    run("chat", "hi")
    assert not (folder / "it-ran").exists()


# --- the records are the user's own


@pytest.mark.parametrize("state", [".", "state"])
def test_a_relative_state_folder_is_not_heeded(state: str, run: Run, folder: Path, home: Path) -> None:
    run("trust", "--yes")
    records = home / "state" / "tako" / "trusted"
    theirs = folder / state / "tako" / "trusted"
    theirs.mkdir(parents=True)
    for record in records.iterdir():
        record.rename(theirs / record.name)
    assert not obeyed(run("chat", "hi", XDG_STATE_HOME=state))


@pytest.mark.parametrize("home", [".", ""])
def test_a_relative_home_is_not_heeded(home: str, run: Run, folder: Path) -> None:
    for place in (folder / ".config" / "tako", folder / "tako"):
        fill(place)
    done = run("chat", "hi", HOME=home, XDG_CONFIG_HOME=".")
    assert not obeyed(done)
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
    assert "others could have written" in done.err
    assert not obeyed(done)
    assert run("trust", "--yes").code == (0 if "*" in place else 2)


@pytest.mark.parametrize("content", ["", "{}", "no JSON", '{"path": "/x/tako.toml", "sha256": "0"}', "\x00"], ids=repr)
def test_a_broken_record_trusts_nothing_and_is_named(content: str, run: Run, home: Path) -> None:
    run("trust", "--yes")
    record = next(home.glob("state/tako/trusted/*.json"))
    record.write_text(content)
    done = run("chat", "hi")
    assert f"{record} is broken" in done.err
    assert not obeyed(done)
    run("trust", "--yes")
    assert obeyed(run("chat", "hi"))


def test_a_record_moved_to_another_files_name_trusts_nothing(run: Run, home: Path, tmp_path: Path) -> None:
    run("trust", "--yes")
    folder = home / "state" / "tako" / "trusted"
    first = {*folder.iterdir()}
    other = fill(tmp_path / "another", CONFIG + "# another\n")
    run("trust", "--yes", cwd=other)
    second = next(path for path in folder.iterdir() if path not in first)
    second.write_text(next(iter(first)).read_text())
    assert not obeyed(run("chat", "hi", cwd=other))


def test_a_state_folder_that_cannot_be_used_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("trust", "--yes", XDG_STATE_HOME=str(tmp_path / "file"))
    assert done.code == 2
    assert "cannot be remembered in" in done.err
    assert done.err.count("\n") == 1
    done = run("chat", "hi", XDG_STATE_HOME=str(tmp_path / "file"))
    assert "./tako.toml" in done.err
    assert not obeyed(done)


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
        (b"\xff\xfe", "cannot be read"),
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


def test_a_files_text_cannot_move_the_cursor(run: Run, folder: Path) -> None:
    fill(folder, '[providers."a\\u001b[2J\\nTrust it?"]\nuse = "openai:m"\n')
    done = run("trust")
    assert "\x1b" not in done.err
    assert done.err.count("Trust it? [y/N]") == 1


# --- the library


def test_a_program_is_warned_and_gets_an_error_if_nothing_else_is_there() -> None:
    with pytest.warns(UntrustedWarning, match="isn't trusted"), pytest.raises(ConfigurationError, match="tako trust"):
        tako.load_config()


def test_a_program_that_names_the_file_means_it() -> None:
    assert tako.load_config("tako.toml").default == "a"


def test_a_program_obeys_a_trusted_file_without_a_word(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("trust", "--yes")
    assert tako.load_config().default == "a"
    assert capsys.readouterr() == ("", "")


def test_the_users_own_file_in_its_own_folder_needs_no_trust(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = home / ".config" / "tako"
    own.mkdir(parents=True)
    fill(own)
    monkeypatch.chdir(own)
    assert tako.load_config().default == "a"


def test_a_record_names_files_and_holds_none_of_their_content(run: Run, folder: Path) -> None:
    run("trust", "--yes")
    (record,) = trust.records()
    assert record.path == str(folder.resolve() / "tako.toml")
    assert set(record.beside) == {"theirs.py"}
    assert {len(hash) for hash in (record.sha256, *record.beside.values())} == {64}
