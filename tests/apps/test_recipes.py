"""The five programs: short, and run by a real model in this process. With a scripted vendor, test_docs runs them."""

from __future__ import annotations

import ast
import runpy
import sys
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "five-programs.md"
READER = runpy.run_path(str(Path(__file__).parents[1] / "test_docs.py"))


def test_there_are_five_programs_under_25_lines() -> None:
    programs = [code for _, code in READER["blocks"](PAGE)]
    lines = [len([line for line in program.splitlines() if line.strip()]) for program in programs]
    assert len(lines) == 5
    assert max(lines) < 25
    for program in programs:
        ast.parse(program)


@pytest.mark.usefixtures("llamacpp")
def test_they_run_with_the_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKO_MODEL", "llamacpp")
    module = ModuleType("__programs__")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with ExitStack() as stack:
        vars(module)["stack"] = stack
        ran = [path for path, line, code in READER["steps"](PAGE) if run(module, path, line, code)]
    assert len(ran) == 5 + 6  # the programs, and the cells that try what they made


def run(module: ModuleType, path: Path, line: int, code: str) -> bool:
    exec(compile("\n" * line + code, str(path), "exec", dont_inherit=True), vars(module))
    return True
