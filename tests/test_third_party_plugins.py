"""Plugins as third parties write, build and install them: a vendor in a dozen lines, and one behind a program.

Both are wheels, made by the backend that their authors would use, in an environment of their own; both pass the suite.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tako.cli import main
from tako.testing.dialects import COMPLETIONS, Script
from tako.testing.environments import Environment

if TYPE_CHECKING:
    from pathlib import Path

VENDOR = '''
"""Nimbus, for tako."""

from tako.errors import PermissionDeniedError
from tako.kit.completions import CompletionsProvider, Dialect


class Nimbus(CompletionsProvider):
    """A model of Nimbus."""

    name = "nimbus"
    base_url = "https://api.nimbus.example/v1"
    key_variable = "NIMBUS_API_KEY"
    codes = {"out_of_credit": PermissionDeniedError}
    dialect = Dialect(max_tokens="max_completion_tokens", metadata=False)
'''
PROJECT = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "tako-nimbus"
version = "1.0"
dependencies = ["tako-core[http]>=0.1"]

[project.entry-points."tako.providers"]
nimbus = "tako_nimbus:Nimbus"
"""
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


def build(root: Path, into: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(into)], cwd=root, check=True, capture_output=True, text=True
    )
    return into / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("authors")
    environment = Environment(folder, {"TAKO_DISABLE_PLUGINS": "cache,otel,prices,record"})
    nimbus = folder / "nimbus"
    (nimbus / "tako_nimbus").mkdir(parents=True)
    (nimbus / "tako_nimbus" / "__init__.py").write_text(VENDOR)
    (nimbus / "pyproject.toml").write_text(PROJECT)
    assert main(["new-plugin", "piper", "--transport", "process", "--into", str(folder)]) == 0
    environment.install(build(nimbus, environment.wheels), build(folder / "tako-piper", environment.wheels))
    return environment


def test_a_vendor_takes_at_most_fifteen_lines() -> None:
    assert len([line for line in VENDOR.splitlines() if line.strip()]) <= 15


def test_both_are_green_in_the_suite(environment: Environment) -> None:
    report = environment.folder / "nimbus.json"
    options = ["-q", "-p", "no:cacheprovider", "--color=no"]
    chosen = ["--tako-provider=nimbus:large", f"--tako-summary={report}"]
    with ThreadPoolExecutor() as pool:
        vendor = pool.submit(environment.call, "-m", "pytest", *options, *chosen, cwd=environment.folder / "nimbus")
        program = pool.submit(environment.call, "-m", "pytest", *options, cwd=environment.folder / "tako-piper")
    for done in (vendor.result(), program.result()):
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    (suite_report,) = json.loads(report.read_text())
    assert suite_report["counts"]["failed"] == 0
    assert suite_report["counts"]["passed"] > 85
    assert int(program.result().stdout.split(" passed")[0].split()[-1]) > 60


def test_the_vendor_is_used_by_name(environment: Environment) -> None:
    with COMPLETIONS.serve(Script(text="Hello.")) as server:
        arguments = ["chat", "-m", "nimbus:large", "-o", f"base_url={server.url}", "Hi"]
        done = environment.call("-m", "tako.cli", *arguments, variables={"NIMBUS_API_KEY": "k-1"})
    assert (done.returncode, done.stdout) == (0, "Hello.\n"), done.stderr
    assert server.requests[0].headers["authorization"] == "Bearer k-1"
