"""Tables and JSON, for the commands that list something."""

from __future__ import annotations

import sys
from itertools import zip_longest
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any

import msgspec

from tako.cli.run import print_to_stderr
from tako.cli.terminal import is_terminal, printable

GAP = "  "
MIN_WIDTH = 8
"""Characters of the narrowest column; only wider ones are made narrower."""
NO_PROVIDERS = (
    "tako: no provider is installed; run `pip install tako-openai` for one vendor, or `pip install tako-llamacpp` and "
    "`tako setup embedded` for a small model that needs no key"
)


def print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print rows with the same keys, as JSON or as columns with a heading. Empty columns are left out.

    Rows are about providers, so without rows a line on stderr says that no provider is installed.
    """
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n")
        return
    if not rows:
        print_to_stderr(NO_PROVIDERS)
        return
    names = [name for name in rows[0] if any(row[name] not in ("", None) for row in rows)]
    lines = [
        [name.replace("_", " ").upper() for name in names],
        *([_cell(row[name]) for name in names] for row in rows),
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    if is_terminal(sys.stdout):
        widths = narrow(widths, get_terminal_size().columns)
    for line in lines:
        wrapped = [wrap(cell, max(1, width), break_on_hyphens=False) for cell, width in zip(line, widths, strict=True)]
        for pieces in zip_longest(*wrapped, fillvalue=""):
            padded = [piece.ljust(width) for piece, width in zip(pieces, widths, strict=True)]
            sys.stdout.write(GAP.join(padded).rstrip() + "\n")


def narrow(widths: list[int], limit: int) -> list[int]:
    """Make the widest columns narrower until all fit into a terminal; a row may then have several lines."""
    narrower = list(widths)
    while sum(narrower) + len(GAP) * (len(narrower) - 1) > limit and max(narrower) > MIN_WIDTH:
        narrower[narrower.index(max(narrower))] -= 1
    return narrower


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(" ".join(str(value).split()))
