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
    info = tmp_path / "tako_odd-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tako-odd\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[tako.commands]\nodd = tako_odd:command\n")
    (tmp_path / "tako_odd.py").write_text('raise RuntimeError("a wheel came off")\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def tako(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tako.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ.copy(), timeout=120)

    shown = tako("--help")
    assert shown.returncode == 0
    assert "added by tako-odd" in shown.stdout
    assert "added by tako-map" in shown.stdout
    assert tako("map", "--help").returncode == 0
    used = tako("odd")
    assert used.returncode == 2
    assert "tako-odd 1.5" in used.stderr
    assert "a wheel came off" in used.stderr
    assert len(used.stderr.splitlines()) == 1
