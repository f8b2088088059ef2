"""What tests of trust share: a folder like that of a repository that was just cloned, and a user in it."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tako.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., "Done"]
    Fill = Callable[..., Path]

CONFIG = 'default = "a"\n[providers.a]\nuse = "python:theirs:answer"\n'
MODULE = "open('it-ran', 'w').close()\ndef answer(request): return 'theirs answers'\n"
MODULES = ("theirs", "helper", "tools", "maybe", "pluggy")
"""Modules that the folders of these tests have; no run sees those that another one has imported."""


class Done(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def obeyed(self) -> bool:
        """Whether the file's own module answered."""
        return self.out.strip() == "theirs answers"


@pytest.fixture
def fill() -> Fill:
    """Return what writes a tako.toml, with lines after the usual ones, and the module that it names."""

    def fill(folder: Path, more: str = "", *, config: str = CONFIG, module: str = MODULE) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tako.toml").write_text(config + more)
        (folder / "theirs.py").write_text(module)
        return folder

    return fill


@pytest.fixture
def folder(tmp_path: Path, fill: Fill) -> Path:
    """Return a folder like that of a repository that somebody has just cloned."""
    return fill(tmp_path / "cloned")


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


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Return what runs the command, as often as is wanted, each time as in a process of its own."""
    before, path, finders = {*sys.modules}, sys.path[:], sys.meta_path[:]

    def forget() -> None:
        sys.path[:], sys.meta_path[:] = path, finders
        for name in {*sys.modules} - before:
            if name.partition(".")[0] in MODULES:
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
