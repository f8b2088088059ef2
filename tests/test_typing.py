"""What users and plugin authors write passes the strict modes of both type checkers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("checker", [["mypy", "--strict"], ["pyright"]], ids=lambda command: command[0])
def test_what_people_write_is_typed(checker: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *checker, "tests/typing"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
