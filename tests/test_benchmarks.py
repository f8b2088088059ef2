"""The comparison with other clients: what can be chosen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMPARE = [sys.executable, str(Path(__file__).parent.parent / "benchmarks" / "compare")]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMPARE, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_an_operation_or_a_client_that_there_is_not_is_one_line_with_those_that_there_are() -> None:
    for arguments in (["--operations", "call"], ["--only", "call"]):
        done = run(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert ("stream" if "--operations" in arguments else "httpx") in done.stderr


def test_the_help_has_each_option_and_its_values() -> None:
    text = run("--help").stdout
    assert "``" not in text
    assert "{chat,stream,hold,import}" in text
    assert "how often each client is measured" in text
