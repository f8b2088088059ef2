"""The table of the kit's modules in the docs. To write it anew: ``python tests/test_kit_page.py``."""

from __future__ import annotations

import ast
from pathlib import Path

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


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, text in modules().items() if not text] == []


def test_the_page_lists_every_module() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(table())


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, mark, tail = text.partition(MARK)
    PAGE.write_text(head + mark + tail.partition("\n")[0] + "\n\n" + table(), encoding="utf-8")
