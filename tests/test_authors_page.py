"""The guide for authors, followed as a stranger would: its blocks as files, installed, tested, and asked by name."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import ZipFile

from tako.testing.environments import Environment

PAGE = (Path(__file__).parent.parent / "docs" / "authors.md").read_text(encoding="utf-8")
OURS = "cache,otel,prices,record"
"""This repository's own general plugins, which the environment sees too."""


def section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_provider_has_fewer_than_120_lines() -> None:
    assert sum(len(block.splitlines()) for block in blocks(section("A provider"))) < 120


def test_the_files_of_the_guide_are_a_plugin_that_passes_the_suite(tmp_path: Path) -> None:
    vendor, conformance, *_ = blocks(section("Testing with the suite"))
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "vendor.py").write_text(f"import msgspec\nfrom tako import Usage\nfrom tako_acme import *\n{vendor}")
    (tests / "test_conformance.py").write_text(f"from tako_acme import Acme\nfrom vendor import Vendor\n{conformance}")
    points = re.findall(r'^\[project.entry-points."(tako.providers)"\]\n(\w+) = "(.+)"$', PAGE, re.MULTILINE)
    assert points == [("tako.providers", "acme", "tako_acme:Acme")]
    environment = Environment(tmp_path)
    info = "tako_acme-0.1.0.dist-info"
    with ZipFile(environment.wheels / "tako_acme-0.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tako_acme/__init__.py", "\n\n".join(blocks(section("A provider"))))
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tako-acme\nVersion: 0.1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt", "[tako.providers]\nacme = tako_acme:Acme\n")
        wheel.writestr(f"{info}/RECORD", "")
    environment.install(*environment.wheels.iterdir())
    run = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", "-W", "error", "tests"]
    done = environment.call(*run, cwd=tmp_path, variables={"TAKO_DISABLE_PLUGINS": OURS})
    assert done.returncode == 0, done.stdout + done.stderr
    found = environment.run(
        f"""
        sys.path.insert(0, {str(tests)!r})
        import tako
        from tako.testing import Script
        from vendor import Vendor
        with Vendor().serve(Script(text="By name.")) as server:
            result = tako.get_provider("acme:large", api_key="k", base_url=server.url).blocking.chat("Hi").text
        """,
        TAKO_DISABLE_PLUGINS=OURS,
    )
    assert found == "By name."
