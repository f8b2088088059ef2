"""What a call and a chunk cost, in function calls (`benchmarks/counts.py`), which are the same on every machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COUNTS = Path(__file__).parent.parent / "benchmarks" / "counts.py"


def test_no_call_and_no_chunk_takes_more_function_calls_than_its_limit() -> None:
    done = subprocess.run([sys.executable, str(COUNTS), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
