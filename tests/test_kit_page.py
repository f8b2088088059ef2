"""The table of the kit's modules in the docs. To write it anew: ``python tests/test_kit_page.py``."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "kit.md"
MARK = "<!-- the table is made"


def modules() -> dict[str, str]:
    """List the modules by name, packages as one, each with the first paragraph of its docstring."""
    kit = ROOT / "tako" / "kit"
    files = {path.stem: path for path in kit.glob("*.py") if path.stem != "__init__"}
    files |= {path.parent.name: path for path in kit.glob("*/__init__.py")}
    docs = {name: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for name, path in files.items()}
    return {name: (text or "").split("\n\n")[0].replace("\n", " ") for name, text in sorted(docs.items())}


def table() -> str:
    rows = [f"| `{name}` | {text} |" for name, text in modules().items()]
    return "\n".join(["| `tako.kit.…` | |", "|---|---|", *rows]) + "\n"


def public() -> dict[str, list[str]]:
    """The names that the page promises, by module."""
    text = PAGE.read_text(encoding="utf-8").partition("## What is public")[2].partition("## What is in it")[0]
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", text, re.MULTILINE)
    return {f"tako.kit.{module}": re.findall(r"`(\w+)`", names) for module, names in rows}


def used(code: str) -> set[tuple[str, str]]:
    """What a plugin's code, or a page's, imports of the kit."""
    imports = re.findall(r"^from (tako\.kit[\w.]*) import (?:\(([^)]*)\)|([^\n(]*))", code, re.MULTILINE)
    return {
        (module, name)
        for module, several, line in imports
        for name in re.findall(r"\w+", re.sub("#.*", "", several or line))
    }


@pytest.mark.parametrize(("module", "names"), public().items())
def test_what_is_public_is_there_and_says_what_it_is(module: str, names: list[str]) -> None:
    imported = import_module(module)
    for name in names:
        assert hasattr(imported, name), f"{module}.{name}"
        value = getattr(imported, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"{module}.{name} has no docstring"


def test_pages_scaffolds_and_the_frozen_wheel_use_what_is_public() -> None:
    promised = {(module, name) for module, names in public().items() for name in names}
    assert len(promised) > 60
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")]
    scaffolds = [path.read_text(encoding="utf-8") for path in (ROOT / "tako" / "cli" / "scaffold").rglob("*.in")]
    with ZipFile(next((ROOT / "tests" / "frozen").glob("*.whl"))) as wheel:
        frozen = [wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".py")]
    assert set().union(*map(used, [*pages, *scaffolds, *frozen])) - promised == set()


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, text in modules().items() if not text] == []


def test_the_page_lists_every_module() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(table())


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, mark, tail = text.partition(MARK)
    PAGE.write_text(head + mark + tail.partition("\n")[0] + "\n\n" + table(), encoding="utf-8")
