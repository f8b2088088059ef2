"""What users and plugin authors write, and what the scaffold writes for them, passes the checkers' strict modes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tako.cli import main

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parent.parent


def check(*command: str) -> None:
    run = [sys.executable, "-m", *command]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright_has_nothing_to_say() -> None:
    check("pyright", "--pythonpath", sys.executable, "tests/typing")


def test_mypy_has_nothing_to_say_of_that_or_of_what_the_scaffold_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-plugin", "acme", "--into", str(tmp_path)]) == 0
    assert main(["new-plugin", "emca", "--dialect", "completions", "--into", str(tmp_path)]) == 0
    acme, emca = tmp_path / "tako-acme", tmp_path / "tako-emca"
    check("mypy", "--strict", "tests/typing", f"{acme}/tako_acme", f"{acme}/tests", f"{emca}/tako_emca")
