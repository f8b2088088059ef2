"""The guide for authors, followed as a stranger would: its blocks as files, installed, tested, and asked by name."""

from __future__ import annotations

import re
from pathlib import Path

from tako.testing.environments import Environment, wheel

PAGE = (Path(__file__).parent.parent / "docs" / "authors.md").read_text(encoding="utf-8")
OURS = "cache,otel,prices,record"
"""This repository's own general plugins, which the environment sees too."""


def section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_provider_has_fewer_than_150_lines() -> None:
    assert sum(len(block.splitlines()) for block in blocks(section("A provider"))) < 150


def test_the_files_of_the_guide_are_a_plugin_that_passes_the_suite(tmp_path: Path) -> None:
    vendor, conformance, *_ = blocks(section("Testing with the suite"))
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "vendor.py").write_text(vendor)
    (tests / "test_conformance.py").write_text(conformance)
    points = re.findall(r'^\[project.entry-points."(tako.providers)"\]\n(\w+) = "(.+)"$', PAGE, re.MULTILINE)
    assert points == [("tako.providers", "acme", "tako_acme:Acme")]
    [(group, name, value)] = points
    environment = Environment(tmp_path, {"TAKO_DISABLE_PLUGINS": OURS})
    code = {"tako_acme/__init__.py": "\n\n".join(blocks(section("A provider")))}
    environment.install(wheel(environment.wheels, "tako-acme", code, {group: {name: value}}))
    run = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", "-W", "error", "tests"]
    done = environment.call(*run, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 60, done.stdout
    output = environment.run(
        f"""
        sys.path.insert(0, {str(tests)!r})
        import tako
        from tako.testing import Script
        from vendor import Vendor
        with Vendor().serve(Script(text="By name.")) as server:
            result = tako.get_provider("acme:large", api_key="k", base_url=server.url).blocking.chat("Hi").text
        """
    )
    assert output == "By name."
