"""Columns of text, and JSON, for the commands that list."""

from __future__ import annotations

import sys
from itertools import zip_longest
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any

import msgspec

from tako.cli.run import complain
from tako.cli.screen import is_terminal, printable

GAP = "  "
NARROWEST = 8
"""Characters of the narrowest column that is made narrower."""
NO_PROVIDERS = (
    "tako: no provider is installed: run `pip install tako-openai` for one vendor, or `pip install tako-llamacpp` and "
    "`tako setup embedded` for a small model that needs no key"
)


def show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print rows with the same keys: JSON, or columns with a heading; what is empty in all rows has no column.

    Without rows, which are about providers, a line on stderr says that there are none.
    """
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n")
        return
    if not rows:
        complain(NO_PROVIDERS)
        return
    names = [name for name in rows[0] if any(row[name] not in ("", None) for row in rows)]
    lines = [
        [name.replace("_", " ").upper() for name in names],
        *([_cell(row[name]) for name in names] for row in rows),
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    if is_terminal(sys.stdout):
        widths = narrowed(widths, get_terminal_size().columns)
    for line in lines:
        wrapped = [wrap(cell, max(1, width), break_on_hyphens=False) for cell, width in zip(line, widths, strict=True)]
        for pieces in zip_longest(*wrapped, fillvalue=""):
            padded = [piece.ljust(width) for piece, width in zip(pieces, widths, strict=True)]
            sys.stdout.write(GAP.join(padded).rstrip() + "\n")


def narrowed(widths: list[int], most: int) -> list[int]:
    """Take from the widest columns what a terminal has no room for; a row is then several lines."""
    made = list(widths)
    while sum(made) + len(GAP) * (len(made) - 1) > most and max(made) > NARROWEST:
        made[made.index(max(made))] -= 1
    return made


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(" ".join(str(value).split()))
