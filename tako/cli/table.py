"""Columns of text, and JSON, for the commands that list."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from tako.cli.run import complain
from tako.cli.screen import printable

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
    for line in lines:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(" ".join(str(value).split()))
