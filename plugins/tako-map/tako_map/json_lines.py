"""Rows of JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tako.errors import ConfigurationError
from tako_map.prompt import LARGEST
from tako_map.tables import Cells, not_utf8
from tako_map.values import RowError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako_map.lines import Lines


def json_rows(lines: Lines) -> Iterator[Cells]:
    """Read a row of each line: an object or a text. Raises ConfigurationError where the file is one JSON array."""
    decode = msgspec.json.Decoder().decode
    while (line := lines.read()) is not None:
        if line.isspace():
            continue
        if lines.number == 1 and line.strip() == b"[":
            raise ConfigurationError("it is one JSON array; write one object on each line")
        if lines.size > LARGEST:
            yield lines.number, None, RowError(f"the row has {lines.size:,} bytes; {LARGEST:,} are the most")
            continue
        try:
            cells = decode(line)
        except (msgspec.DecodeError, UnicodeError) as error:
            yield lines.number, None, RowError(_why(line, error))
        except RecursionError:
            yield lines.number, None, RowError("its JSON is nested too deeply")
        else:
            problem = None
            if not isinstance(cells, (dict, str)):
                problem = RowError(f"a row is a JSON object or a text, not a {type(cells).__name__}")
            yield lines.number, cells, problem


def _why(line: bytes, error: Exception) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as wrong:
        return not_utf8(wrong)
    return f"broken JSON: {error}"
