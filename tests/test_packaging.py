"""What an index shows and an installer gets: the wheels of the core and of every plugin, built as for a release."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tako

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).parent.parent
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
DISTRIBUTIONS = ["tako-core", *PLUGINS]
PYTHONS = ("3.11", "3.12", "3.13")
BUILD = """
import os, sys
from hatchling.build import build_wheel

for folder in sys.argv[2:]:
    os.chdir(folder)
    build_wheel(sys.argv[1])
"""


def folder(distribution: str) -> Path:
    return ROOT if distribution == "tako-core" else ROOT / "plugins" / distribution


def project(distribution: str) -> dict[str, Any]:
    return dict(tomllib.loads((folder(distribution) / "pyproject.toml").read_text())["project"])


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.ZipFile]:
    """Build all wheels through the interface that installers use (PEP 517)."""
    out = tmp_path_factory.mktemp("wheels")
    folders = [str(folder(distribution)) for distribution in DISTRIBUTIONS]
    subprocess.run([sys.executable, "-c", BUILD, str(out), *folders], check=True, capture_output=True)
    return {path.name.partition("-")[0].replace("_", "-"): zipfile.ZipFile(path) for path in out.iterdir()}


def metadata(wheel: zipfile.ZipFile) -> Message:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_wheel_has_the_licence_types_and_nothing_but_its_package(
    distribution: str, wheels: dict[str, zipfile.ZipFile]
) -> None:
    names = wheels[distribution].namelist()
    package = "tako" if distribution == "tako-core" else distribution.replace("-", "_")
    [licence] = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert wheels[distribution].read(licence) == (ROOT / "LICENSE").read_bytes()
    assert f"{package}/py.typed" in names
    assert [name for name in names if not name.startswith((f"{package}/", f"{distribution.replace('-', '_')}-"))] == []


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_metadata_is_complete_and_names_nobody(distribution: str, wheels: dict[str, zipfile.ZipFile]) -> None:
    data = metadata(wheels[distribution])
    assert data["Name"] == distribution
    assert data["Summary"].endswith(".")
    assert (data["License-Expression"], data["License-File"]) == ("Apache-2.0", "LICENSE")
    assert data["Requires-Python"] == ">=3.11"
    assert data["Keywords"]
    stated = data.get_all("Classifier", [])
    assert {"Typing :: Typed", "Framework :: AsyncIO", "Intended Audience :: Developers"} <= set(stated)
    versions = [name.rpartition(" ")[2] for name in stated if re.search(r"Python :: 3\.\d+$", name)]
    assert versions == list(PYTHONS)
    assert [key for key in data if key.lower().startswith(("author", "maintainer"))] == []


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_readme_stands_alone(distribution: str, wheels: dict[str, zipfile.ZipFile]) -> None:
    data = metadata(wheels[distribution])
    page = str(data.get_payload())
    assert data["Description-Content-Type"] == "text/markdown"
    assert page.startswith("# ")
    assert re.search(rf'^pip install "?{distribution}', page, re.MULTILINE)
    assert "```python\n" in page
    assert "tako" in page.partition("```")[0]
    assert len(re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL).split()) > 100
    links = re.findall(r"\]\((?!https://)([^)]+)\)", page)
    assert links == []  # an index has no files beside the page
    assert "docs/" not in page


def test_the_core_has_an_extra_for_every_plugin_and_all_of_them_in_one() -> None:
    extras = project("tako-core")["optional-dependencies"]
    every = re.findall(r"[\w-]+", " ".join(each.partition("[")[2] for each in extras["all"]))
    for plugin in PLUGINS:
        name = plugin.removeprefix("tako-")
        assert extras[name] == [f"{plugin}>={'.'.join(project(plugin)['version'].split('.')[:2])}"]
        assert name in every
    assert set(every) == set(extras) - {"all", "testing", "keyring"}


def test_every_dependency_has_a_floor() -> None:
    for distribution in DISTRIBUTIONS:
        stated = project(distribution)
        lists = [stated["dependencies"], *stated.get("optional-dependencies", {}).values()]
        needed = [each for some in lists for each in some if not each.startswith("tako-core[")]
        assert [each for each in needed if ">=" not in each] == [], distribution


def test_the_version_is_written_once() -> None:
    assert tako.__version__ == project("tako-core")["version"]
