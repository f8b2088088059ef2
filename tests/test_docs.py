"""Every page runs, is in plain English, and is in the site's menu.

What runs are its Python blocks, and the set-up beside it that stands in for a vendor.

The set-up of ``docs/errors.md`` is ``tests/pages/docs/errors.py``. It has cells: ``# %% 2`` runs before the page's
second Python block, ``# %% end`` after the last. Cells and blocks share one namespace, in which ``stack`` is an
ExitStack for servers. The environment is put back afterwards.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tako/*.md"), *ROOT.glob("plugins/*/README.md")]
)
RUFF = [sys.executable, "-m", "ruff", "check", "--isolated"]
SET_UPS = Path(__file__).parent / "pages"
BLOCK = re.compile(r"^```python(?: .*)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^# %% (\w+)\n(.*?)(?=^# %% |\Z)", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[int, str]]:
    """The code of a page, each block with the line it begins on."""
    text = page.read_text(encoding="utf-8")
    return [(text[: match.start()].count("\n") + 1, match[1]) for match in BLOCK.finditer(text)]


def set_up(page: Path) -> Path:
    return (SET_UPS / page.relative_to(ROOT)).with_suffix(".py")


def cells(page: Path) -> dict[str, tuple[int, str]]:
    """The set-up of a page, by the number of the block that it runs before, each cell with its line."""
    if not set_up(page).exists():
        return {}
    text = set_up(page).read_text(encoding="utf-8")
    return {match[1]: (text[: match.start()].count("\n") + 1, match[2]) for match in CELL.finditer(text)}


def steps(page: Path) -> list[tuple[Path, int, str]]:
    """What runs, in order: file, line, code."""
    before = cells(page)
    python_blocks: list[tuple[Path, int, str]] = []
    for number, block in enumerate(blocks(page), 1):
        if (cell := before.pop(str(number), None)) is not None:
            python_blocks.append((set_up(page), *cell))
        python_blocks.append((page, *block))
    if (cell := before.pop("end", None)) is not None:
        python_blocks.append((set_up(page), *cell))
    assert not before, f"{set_up(page)} has cells for blocks that the page doesn't have: {', '.join(before)}"
    return python_blocks


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
        for path, line, code in steps(page):
            exec(compile("\n" * line + code, str(path), "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_says_what_the_names_are_that_its_snippets_leave_open(page: Path) -> None:
    """Such as `url`, the address of a server. The set-up defines it, so only a reader would miss it."""
    code = "\n".join(block for _, block in blocks(page))
    command = [*RUFF, "--select=F821", "--output-format=json", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    undefined = {re.findall("`(.+)`", finding["message"])[0] for finding in json.loads(done.stdout)}
    text = page.read_text(encoding="utf-8")
    assert [name for name in undefined if f"`{name}`" not in text] == []


def test_no_page_hides_code_in_comments() -> None:
    assert [str(page) for page in PAGES if "<!-- test" in page.read_text(encoding="utf-8")] == []


def test_streams_are_printed_as_they_come() -> None:
    """Without flush=True, Python shows all of a line at its end, and a stream doesn't look like one."""
    lines = [(page.name, line) for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()]
    assert [(name, line) for name, line in lines if 'end=""' in line and "flush=True" not in line] == []


def test_snippets_use_a_cost_that_may_be_unknown() -> None:
    """`response.cost` is None if no price is known, as for local servers."""
    texts = [(page.name, page.read_text(encoding="utf-8")) for page in PAGES]
    unchecked = re.compile(r"(?<!cost and )\bresponse\.cost\.total")
    assert [name for name, text in texts if unchecked.search(text)] == []


def test_every_set_up_has_its_page() -> None:
    known = {set_up(page) for page in PAGES}
    assert [path for path in SET_UPS.rglob("*.py") if path not in known] == []


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = set(re.findall(r"[\w./-]+\.md", menu))
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md")}
    assert (pages - listed, listed - pages) == (set(), set())


READABILITY = [sys.executable, str(ROOT / ".ci" / "readability.py")]


def test_pages_are_in_plain_english() -> None:
    done = subprocess.run(READABILITY, capture_output=True, text=True, check=False)
    assert done.stdout == "plain\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("One " * 30 + "end.", "page.md:1: 31 words"),
        ("A name is no word.", "page.md:1: 'is no '"),
        ("It works.\n\n| it cannot be sent |", "page.md:3: 'cannot'"),
        ("- Whatever you like.", "page.md:1: 'Whatever'"),
        ("`it cannot` is code.\n\n```\nit cannot\n```\n", "plain"),
        ("Short. tako " + "word " * 28 + "end. " + "Word " * 25, "plain"),
    ],
    ids=["a long sentence", "is no", "cannot, in a table", "whatever", "code", "three sentences"],
)
def test_what_is_hard_to_read_is_found_with_its_line(text: str, problem: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    done = subprocess.run([*READABILITY, str(page)], capture_output=True, text=True, check=False)
    assert problem in done.stdout
    assert done.returncode == (problem != "plain")
