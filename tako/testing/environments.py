"""Virtual environments for tests of what is installed: plugins as wheels, called by name, and taken out again.

::

    environment = Environment(tmp_path)
    code = "import tako; Acme = type('Acme', (tako.Provider,), {'name': 'acme'})"
    points = {"tako.providers": {"acme": "tako_acme:Acme"}}
    environment.install(wheel(environment.wheels, "tako-acme", {"tako_acme.py": code}, points))
    assert environment.run("import tako; result = tako.get_provider('acme:m').id") == "acme:m"

They need uv, beside what is tested.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import site
import subprocess
import sys
import textwrap
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


PATIENCE = 600.0
"""Seconds after which a program hangs; no measure of anything."""


class Environment:
    """A virtual environment that sees what the running one has, tako included, beside its own packages.

    ``variables`` are set for all that runs in it; the caller's own ``TAKO_`` and ``PYTHON`` variables are not.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.variables = dict(variables or {})
        self.wheels = folder / "wheels"
        self.stderr = ""
        self._uv("venv", "-q", "--python", sys.executable, str(folder / "venv"))
        self.python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        site_packages = next((folder / "venv").glob("lib/python*/site-packages"))
        outer_folders = [path for path in (*site.getsitepackages(), *sys.path) if path.endswith("site-packages")]
        lines = [f"import site; site.addsitedir({path!r})" for path in dict.fromkeys(outer_folders)]
        (site_packages / "outer.pth").write_text("\n".join(lines) + "\n")
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
        completed = self.call("-W", "always::UserWarning", "-c", program, variables=variables)
        assert completed.returncode == 0, completed.stderr
        self.stderr = completed.stderr
        return json.loads(completed.stdout)

    def call(
        self, *arguments: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run this environment's Python with these arguments, and none of the caller's settings."""
        variables_of_caller = {
            name: value for name, value in os.environ.items() if not name.startswith(("TAKO_", "PYTHON", "COVERAGE"))
        }
        return subprocess.run(  # noqa: S603 - a test's own arguments
            [str(self.python), *arguments],
            env={**variables_of_caller, **self.variables, **(variables or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def _uv(self, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - as above
            [sys.executable, "-m", "uv", *arguments],
            check=True,
            capture_output=True,
            env={**os.environ, "UV_OFFLINE": "1"},
        )


def wheel(
    folder: Path,
    distribution: str,
    files: Mapping[str, str],
    points: Mapping[str, Mapping[str, str]],
    *,
    version: str = "1.0",
    metadata: str = "",
) -> Path:
    """Write a wheel of pure Python and return its path; nothing is built, so nothing is downloaded.

    ``files``: their paths and texts. ``points``: groups of entry points, each of names and objects. ``metadata``: more
    lines for METADATA, such as ``Requires-Dist: tako-core``.
    """
    name = distribution.replace("-", "_")
    info = f"{name}-{version}.dist-info"
    groups = [[f"[{group}]", *(f"{key} = {value}" for key, value in its.items())] for group, its in points.items()]
    lines = [f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}", metadata]
    texts = {
        **{path: textwrap.dedent(text) for path, text in files.items()},
        f"{info}/METADATA": "\n".join(filter(None, lines)) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tako.testing\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "\n".join(line for group in groups for line in group) + "\n",
    }
    record = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in texts.items()]
    texts[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    wheel_path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel_path, "w") as archive:
        for path, text in texts.items():
            archive.writestr(path, text)
    return wheel_path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
