"""Rows of JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.errors import ConfigurationError, kind_of
from tako.options import is_table
from tako_map.input.lines import not_utf8
from tako_map.input.rows import LARGEST, RawRow, RowError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako_map.input.lines import Lines

_decode = msgspec.json.Decoder().decode


def json_rows(lines: Lines) -> Iterator[RawRow]:
    """Read a row from each line: an object or a text. Raises ConfigurationError if the file is one JSON array."""
    number = 0
    while (line := lines.read()) is not None:
        if lines.number == 1 and line.strip() == b"[":
            raise ConfigurationError("it is one JSON array; write one object on each line")
        if lines.size > LARGEST:
            number += 1
            yield number, None, RowError(f"the row has {lines.size:,} bytes; {LARGEST:,} are the most")
            continue
        for piece in _pieces(line):
            number += 1
            if piece.strip():
                yield number, *_read(piece)


def _pieces(line: bytes) -> list[bytes]:
    """Return a line, or the rows that carriage returns separate in it if each of them is valid."""
    pieces = line.strip().split(b"\r")
    if len(pieces) > 1 and _read(line)[1] is not None and not any(_read(piece)[1] for piece in pieces if piece.strip()):
        return pieces
    return [line]


def _read(line: bytes) -> tuple[Any, RowError | None]:
    try:
        cells: Any = _decode(line)
    except (msgspec.DecodeError, UnicodeError) as error:
        return None, RowError(_problem(line, error))
    except RecursionError:
        return None, RowError("its JSON is nested too deeply")
    if not (is_table(cells) or isinstance(cells, str)):
        return cells, RowError(f"a row is a JSON object or a text, not {kind_of(cells)}")
    return cells, None


def _problem(line: bytes, error: Exception) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as failure:
        return not_utf8(failure)
    return f"broken JSON: {error}"
