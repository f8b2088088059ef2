"""Every page is run: its Python blocks, and the hidden blocks between them that stand in for a vendor.

A block in an HTML comment that begins with `test` is not shown to readers; it is run where it stands. All blocks of a
page share one namespace, and the environment is put back afterwards.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tako/*.md"), *ROOT.glob("plugins/*/README.md")]
)
BLOCK = re.compile(r"^```python\n(.*?)^```$|^<!-- test\n(.*?)^-->$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[int, str]]:
    """The code of a page, each block with the line it begins on."""
    text = page.read_text(encoding="utf-8")
    return [(text[: found.start()].count("\n") + 1, found[1] or found[2]) for found in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_snippets_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if "llamacpp" in str(page.relative_to(ROOT)):
        request.getfixturevalue("llamacpp")
    monkeypatch.chdir(tmp_path)
    before = os.environ.copy()
    with ExitStack() as stack:
        stack.callback(os.environ.update, before)
        stack.callback(os.environ.clear)
        module = ModuleType("__page__")  # one that is there, since dataclasses look for theirs
        monkeypatch.setitem(sys.modules, module.__name__, module)
        namespace = vars(module)
        namespace["stack"] = stack
        run = []
        for line, code in blocks(page):
            exec(compile("\n" * line + code, str(page), "exec", dont_inherit=True), namespace)
            run.append(line)
    assert len(run) == len(re.findall(r"^(?:```python|<!-- test)$", page.read_text(encoding="utf-8"), re.MULTILINE))
