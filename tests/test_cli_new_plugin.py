"""`tako new-plugin`: its output passes its tests and the suite, and works by name once installed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tako.cli import main
from tako.cli.new_plugin import uv_sources
from tako.testing.environments import Environment

OWN_PLUGINS = "cache,otel,prices,record"
"""This repository's own general plugins, which the environment sees too."""
FILES = {
    ".github/workflows/ci.yml",
    ".gitignore",
    "README.md",
    "pyproject.toml",
    "tako_acme/__init__.py",
    "tako_acme/py.typed",
    "tako_acme/wire.py",
    "tests/test_conformance.py",
    "tests/test_wire.py",
}


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def build(root: Path, into: Path) -> Path:
    """Build a wheel by the backend that its pyproject.toml names, as an installer does (PEP 517), without an index."""
    system = tomllib.loads((root / "pyproject.toml").read_text())["build-system"]
    assert system == {"requires": ["hatchling>=1.27"], "build-backend": "hatchling.build"}
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    result = subprocess.run(
        [sys.executable, "-c", code, str(into)], cwd=root, check=True, capture_output=True, text=True
    )
    return into / result.stdout.split()[-1]


def test_a_new_plugin_is_complete_passes_everything_and_is_used_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-plugin", "acme", "--into", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert main(["new-plugin", "emca", "--dialect", "completions", "--into", str(tmp_path)]) == 0
    assert main(["new-plugin", "resa", "--dialect", "responses", "--into", str(tmp_path)]) == 0
    assert main(["new-plugin", "linea", "--dialect", "ndjson", "--into", str(tmp_path)]) == 0
    acme, emca, resa, linea = (tmp_path / f"tako-{name}" for name in ("acme", "emca", "resa", "linea"))
    assert "\n    lines = True" in (linea / "tako_linea" / "wire.py").read_text()
    assert written(acme) == FILES | {"tests/vendor.py"}
    assert all(f"  {name}\n" in output for name in written(acme))
    for root, name in ((emca, "emca"), (resa, "resa")):
        assert written(root) == {path.replace("acme", name) for path in FILES - {"tako_acme/wire.py"}}
    environment = Environment(tmp_path, {"TAKO_DISABLE_PLUGINS": OWN_PLUGINS})
    environment.install(*[build(root, environment.wheels) for root in (acme, emca, resa, linea)])
    with ThreadPoolExecutor() as pool:
        call = partial(environment.call, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no")
        runs = {root: pool.submit(call, cwd=root) for root in (acme, emca, resa, linea)}
    for root, run in runs.items():
        result = run.result()
        assert result.returncode == 0, f"{root}: {result.stdout}{result.stderr}"
        assert int(result.stdout.split(" passed")[0].split()[-1]) > 70, result.stdout
    use_by_name(environment, acme)


def use_by_name(environment: Environment, root: Path) -> None:
    """Use the installed provider from the command, and from Python."""
    output = environment.run(
        f"sys.path.insert(0, {str(root / 'tests')!r})",
        """
        import io, contextlib, os
        from vendor import Vendor
        from tako.testing.dialects import Script
        from tako.cli import main
        import tako
        os.environ["ACME_API_KEY"] = "test"
        with Vendor().serve(Script(text="By name.")) as server:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                result["code"] = main(["chat", "-m", "acme:large", "-o", f"base_url={server.url}", "Hello"])
            result["out"] = out.getvalue()
            result["python"] = tako.providers.Acme("large", base_url=server.url).blocking.chat("Hello").text
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            result["plugins"] = main(["plugins", "acme", "--json"])
        result["chains"] = out.getvalue()
        """,
    )
    assert (output["code"], output["out"], output["python"]) == (0, "By name.\n", "By name.")
    chains = json.loads(output["chains"])[0]
    assert (chains["provider"], chains["distribution"], chains["version"]) == ("acme", "tako-acme", "0.1.0")


def test_a_plugin_for_a_program_has_no_address_and_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-plugin", "acme", "--transport", "process", "--into", str(tmp_path)]) == 0
    root = tmp_path / "tako-acme"
    assert written(root) == FILES | {"tests/vendor.py"}
    for path in (root / "README.md", root / "tako_acme" / "__init__.py"):
        assert "base_url" not in path.read_text()
        assert "API_KEY" not in path.read_text()
    assert '"tako-core>=' in (root / "pyproject.toml").read_text()
    assert main(["new-plugin", "b", "--transport", "process", "--dialect", "responses", "--into", str(tmp_path)]) == 2
    assert "--dialect responses needs --transport http" in capsys.readouterr().err


def test_names_are_spelled_correctly_everywhere(tmp_path: Path) -> None:
    assert main(["new-plugin", "acme-labs", "--class", "AcmeAI", "--into", str(tmp_path)]) == 0
    root = tmp_path / "tako-acme-labs"
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["name"] == "tako-acme-labs"
    assert project["entry-points"] == {"tako.providers": {"acme-labs": "tako_acme_labs:AcmeAI"}}
    code = (root / "tako_acme_labs" / "__init__.py").read_text()
    assert "class AcmeAI(HttpProvider):" in code
    assert 'name = "acme-labs"' in code
    assert "ACME_LABS_API_KEY" in code
    for path in root.rglob("*.py"):
        ast.parse(path.read_text())
    assert "$" not in code.replace('"$ENV:NAME"', "")
    assert "${{ matrix.python }}" in (root / ".github" / "workflows" / "ci.yml").read_text()


def tako_of(pyproject: str) -> Any:
    return tomllib.loads(pyproject).get("tool", {}).get("uv", {}).get("sources")


def test_a_plugin_that_is_made_in_a_clone_takes_tako_from_there(tmp_path: Path) -> None:
    clone = Path(__file__).parent.parent
    assert main(["new-plugin", "acme", "--into", str(tmp_path)]) == 0
    elsewhere = (tmp_path / "tako-acme" / "pyproject.toml").read_text()
    assert tako_of(elsewhere) == {"tako-core": {"path": clone.as_posix(), "editable": True}}
    assert tako_of(uv_sources(clone / "tako-acme")) == {"tako-core": {"path": "..", "editable": True}}
    assert tako_of(uv_sources(clone / "docs" / "tako-acme")) == {"tako-core": {"path": "../..", "editable": True}}


def test_a_plugin_that_is_made_with_an_installed_tako_takes_it_from_the_index(tmp_path: Path) -> None:
    environment = Environment(tmp_path, {"TAKO_DISABLE_PLUGINS": OWN_PLUGINS})
    environment.install(build(Path(__file__).parent.parent, environment.wheels))
    result = environment.call("-m", "tako.cli", "new-plugin", "acme", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert tako_of((tmp_path / "tako-acme" / "pyproject.toml").read_text()) is None


def test_nothing_is_ever_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tako-acme").mkdir()
    (tmp_path / "tako-acme" / "mine.txt").write_text("precious")
    assert main(["new-plugin", "acme", "--into", str(tmp_path)]) == 2
    assert "already exists; nothing was written" in capsys.readouterr().err
    assert written(tmp_path) == {"tako-acme/mine.txt"}
    (tmp_path / "tako-other").write_text("a file")
    assert main(["new-plugin", "other", "--into", str(tmp_path)]) == 2
    assert main(["new-plugin", "acme", "--into", str(tmp_path / "nowhere")]) == 2
    assert "can't be created" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["Acme"], "single dashes, a letter first; try 'acme'"),
        (["acme_labs"], "try 'acme-labs'"),
        (["../acme"], "try 'acme'"),
        (["9lives"], "try 'lives'"),
        (["a--b"], "a valid provider name"),
        (["acme-"], "a valid provider name"),
        ([""], "a valid provider name"),
        (["é"], "a valid provider name"),
        (["a" * 41], "a valid provider name"),
        (["tako-acme"], "leave out the tako-"),
        (["core"], "'core' isn't a valid provider name, because tako uses it"),
        (["openai"], "the provider 'openai' already exists: tako-openai"),
        (["chat"], "the class can't be called Chat"),
        (["none"], "'None' isn't a valid class name"),
        (["acme", "--class", "acme"], "'acme' isn't a valid class name"),
        (["acme", "--class", "HttpProvider"], "the class can't be called HttpProvider"),
        (["acme", "--dialect", "smoke"], "invalid choice: 'smoke'"),
    ],
)
def test_an_invalid_name_is_refused_before_anything_is_written(
    arguments: list[str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-plugin", *arguments, "--into", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
