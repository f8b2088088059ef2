"""Virtual environments for tests of what is installed: plugins as wheels, called by name, and taken out again.

They need uv, beside what is tested.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Environment:
    """A virtual environment that sees what the running one has, tako included, beside its own packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        self.stderr = ""
        self._uv("venv", "-q", "--python", sys.executable, str(folder / "venv"))
        self.python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        found = next((folder / "venv").glob("lib/python*/site-packages"))
        here = [path for path in (*site.getsitepackages(), *sys.path) if path.endswith("site-packages")]
        lines = [f"import site; site.addsitedir({path!r})" for path in dict.fromkeys(here)]
        (found / "outer.pth").write_text("\n".join(lines) + "\n")
        self.wheels.mkdir()

    def install(self, *wheels: Path) -> None:
        """Install wheels, without what they depend on."""
        self._uv("pip", "install", "-q", "--no-deps", "--no-index", "--python", str(self.python), *map(str, wheels))

    def uninstall(self, *distributions: str) -> None:
        """Take distributions out again."""
        self._uv("pip", "uninstall", "-q", "--python", str(self.python), *distributions)

    def run(self, *code: str, **variables: str) -> Any:
        """Run code that sets ``result``, and return that; what it says on stderr is in ``stderr``."""
        program = (
            "import json, sys, warnings\nresult = {}\n"
            + "\n".join(map(textwrap.dedent, code))
            + "\nprint(json.dumps(result))"
        )
        done = self.call("-W", "always::UserWarning", "-c", program, variables=variables)
        assert done.returncode == 0, done.stderr
        self.stderr = done.stderr
        return json.loads(done.stdout)

    def call(
        self, *arguments: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run this environment's Python with these arguments, and none of the caller's settings."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TAKO_", "PYTHON", "COVERAGE"))
        }
        return subprocess.run(  # noqa: S603 - a test's own arguments
            [str(self.python), *arguments],
            env={**kept, **(variables or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _uv(self, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - as above
            [sys.executable, "-m", "uv", *arguments],
            check=True,
            capture_output=True,
            env={**os.environ, "UV_OFFLINE": "1"},
        )
