"""Print a path for each Python that this machine has and tako supports, apart from the one that runs this.

A file on PATH may not be a Python that runs (some of pyenv's shims don't), so this starts every candidate.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST = (3, 11)
PROGRAM = (
    "import sys, sysconfig; assert sys.implementation.name == 'cpython' and sys.version_info.releaselevel == 'final';"
    "print(*sys.version_info[:3], int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))), sys.executable)"
)
FOLDERS = (
    (os.environ.get("PYENV_ROOT", "~/.pyenv"), "versions/*/bin"),
    (os.environ.get("UV_PYTHON_INSTALL_DIR", "~/.local/share/uv/python"), "*/bin"),
    ("/usr/local", "bin"),
    ("/opt", "python*/bin"),
)


def output(*command: str) -> str:
    """Return the output of a command, "" if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def candidates() -> Iterator[str]:
    """Yield paths that may be a Python, from uv, pyenv and PATH."""
    listed = output(shutil.which("uv") or "uv", "python", "list", "--only-installed", "--output-format", "json")
    yield from (entry["path"] for entry in json.loads(listed or "[]") if entry.get("path"))
    for root, pattern in FOLDERS:
        yield from (str(path) for path in Path(root).expanduser().glob(f"{pattern}/python3*"))
    for folder in os.get_exec_path():
        yield from (str(path) for path in Path(folder).glob("python3.*"))


def main() -> None:
    """Print one path for each minor version, with free-threaded builds as versions of their own: its newest release."""
    newest: dict[tuple[int, int, bool], tuple[int, str]] = {}
    for path in {os.path.realpath(candidate) for candidate in candidates()}:
        fields = output(path, "-c", PROGRAM).split(maxsplit=4)
        if len(fields) == len(("major", "minor", "micro", "free", "path")):
            major, minor, micro, free = map(int, fields[:4])
            key = (major, minor, bool(free))
            newest[key] = max(newest.get(key, (0, "")), (micro, fields[4].strip()))
    this = (*sys.version_info[:2], bool(sysconfig.get_config_var("Py_GIL_DISABLED")))
    for key, (_, path) in sorted(newest.items()):
        if key[:2] >= OLDEST and key != this:
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
