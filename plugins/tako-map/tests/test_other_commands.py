"""Commands of other distributions: named in the help, imported when used, and broken for themselves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_command_is_imported_when_it_is_used_and_a_broken_one_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, summary in (("odd", ""), ("even", "Summary: Count the calls.\n")):
        info = tmp_path / f"tako_{name}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tako-{name}\nVersion: 1.5\n{summary}")
        (info / "entry_points.txt").write_text(f"[tako.commands]\n{name} = tako_{name}:command\n")
    (tmp_path / "tako_odd.py").write_text('raise RuntimeError("a wheel came off")\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def tako(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tako.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ.copy(), timeout=120)

    shown = tako("--help")
    assert shown.returncode == 0
    assert "  odd           added by tako-odd\n" in shown.stdout
    assert "  even          count the calls (from tako-even)\n" in shown.stdout
    assert "  map           send one prompt for each of many rows (from tako-map)\n" in shown.stdout
    assert tako("map", "--help").returncode == 0
    used = tako("odd")
    assert used.returncode == 2
    assert "tako-odd 1.5" in used.stderr
    assert "a wheel came off" in used.stderr
    assert len(used.stderr.splitlines()) == 1
