"""The scripts of CI that decide something: which Pythons are there, and what a report of advisories says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPTS = Path(__file__).parent.parent / ".ci"


def run(script: str, *arguments: str, variables: Mapping[str, str] | None = None) -> list[str]:
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **(variables or {})})
    return done.stdout.splitlines()


def fake_python(path: Path, line: str) -> str:
    """Make a program that answers as a Python would when CI asks for its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def test_each_python_that_runs_is_found_once_and_the_newest_of_its_version(tmp_path: Path) -> None:
    versions = tmp_path / "pyenv" / "versions"
    older = fake_python(versions / "3.98.1" / "bin" / "python3.98", 'echo "3 98 1 0 $0"')
    newer = fake_python(versions / "3.98.2" / "bin" / "python3.98", 'echo "3 98 2 0 $0"')
    free = fake_python(versions / "3.98.2t" / "bin" / "python3.98", 'echo "3 98 2 1 $0"')
    too_old = fake_python(versions / "3.10.0" / "bin" / "python3.10", 'echo "3 10 0 0 $0"')
    shim = fake_python(tmp_path / "shims" / "python3.97", 'echo "command not found" >&2; exit 127')
    odd = fake_python(tmp_path / "shims" / "python3.96", "echo hello")
    places = {"PATH": f"{tmp_path / 'shims'}:/usr/bin:/bin", "PYENV_ROOT": str(tmp_path / "pyenv")}
    pythons = run("pythons.py", variables=places)
    assert {newer, free} <= set(pythons)
    assert {older, too_old, shim, odd, sys.executable, os.path.realpath(sys.executable)}.isdisjoint(pythons)


VULNERABLE = {
    "name": "acme",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"], "description": "…"}],
}
SOUND = {"name": "emca", "version": "2.0", "vulns": []}
SKIPPED = {"name": "other", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("dependencies", "lines"),
    [
        ([VULNERABLE, SOUND], ["2 checked: acme 1.0: PYSEC-1, CVE-1; fixed in 1.1"]),
        ([SOUND], ["1 checked: no known advisories"]),
        ([SOUND, SKIPPED], ["1 checked: NOT CHECKED: other"]),
        ([SKIPPED, SKIPPED], ["0 checked: NOT CHECKED: the advisory service can't be reached from here"]),
        (None, ["0 checked: NOT CHECKED: the advisory service can't be reached from here"]),
    ],
    ids=["an advisory", "none", "one unknown", "all unknown", "no report"],
)
def test_a_report_of_advisories_never_passes_for_a_check_that_was_not_made(
    dependencies: list[Any] | None, lines: list[str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    if dependencies is not None:
        report.write_text(json.dumps({"dependencies": dependencies, "fixes": []}))
    assert run("advisories.py", "lowest", str(report)) == [f"lowest versions, {line}" for line in lines]
