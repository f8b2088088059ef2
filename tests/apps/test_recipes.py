"""The five programs: short, and run by a real model in this process."""

from __future__ import annotations

import ast
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "five-programs.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$|^<!-- test\n(.*?)^-->$", re.MULTILINE | re.DOTALL)


def test_there_are_five_programs_under_25_lines() -> None:
    programs = [found[1] for found in BLOCK.finditer(PAGE.read_text()) if found[1]]
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
        for found in BLOCK.finditer(PAGE.read_text()):
            exec(compile(found[1] or found[2], str(PAGE), "exec", dont_inherit=True), vars(module))
