"""Names in the code are the field's plain terms: `.ci/names.py` lists words that don't say what a value is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

NAMES = [sys.executable, str(Path(__file__).parent.parent / ".ci" / "names.py")]


def check(*paths: Path) -> str:
    done = subprocess.run([*NAMES, *map(str, paths)], capture_output=True, text=True, check=False)
    assert done.returncode == (done.stdout != "plain\n")
    return done.stdout


def test_no_name_in_the_code_is_a_word_that_says_nothing() -> None:
    assert check() == "plain\n"


@pytest.mark.parametrize(
    "code",
    [
        "said = 1",
        "def f(wanted): ...",
        "class Asked: ...",
        "self._found = 1",
        "import x as it",
        "[told for told in ()]",
        "match 1:\n    case word: ...",
        "match []:\n    case [*made]: ...",
    ],
)
def test_every_way_to_give_a_name_is_looked_at(code: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(code)
    assert check(tmp_path / "module.py").endswith("1 names in 1 files\n")


def test_the_name_of_a_module_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "loose.py").write_text("name = 1\n")
    assert "loose: write the kind of thing" in check(tmp_path / "loose.py")


def test_python_in_a_page_is_looked_at_on_its_own_line_and_other_text_is_not(tmp_path: Path) -> None:
    page = "# A page\n\nsaid = 1\n\n```python\nname = 1\nsaid = 2\n```\n\n```\nwanted = 1\n```\n"
    (tmp_path / "it.md").write_text(page)
    assert "it.md:7: said: write" in check(tmp_path)
    assert check(tmp_path).endswith("1 names in 1 files\n")
