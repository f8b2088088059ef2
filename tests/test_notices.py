"""The table of codes in the docs is the one in the code. To write it anew: ``python tests/test_notices.py``."""

from __future__ import annotations

from pathlib import Path

from tako.notices import MEANINGS, is_loss

PAGE = Path(__file__).parent.parent / "docs" / "notices.md"
MARK = "<!-- the table is made"


def table() -> str:
    strict = {code: "error" if is_loss(code) else "notice" for code in MEANINGS}
    rows = [f"| `{code}` | {meaning} | {strict[code]} |" for code, meaning in sorted(MEANINGS.items())]
    return "\n".join(["| code | meaning | with `strict` |", "|---|---|---|", *rows]) + "\n"


def test_the_page_lists_every_code_with_its_meaning() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(table())


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, mark, tail = text.partition(MARK)
    PAGE.write_text(head + mark + tail.partition("\n")[0] + "\n\n" + table(), encoding="utf-8")
