"""Rows of the input, with their cells and as requests."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tako.errors import ConfigurationError, TakoError

MIB = 1024 * 1024
LARGEST = 32 * MIB
"""The most characters or bytes of one row; no vendor accepts as many in a request."""


class RowError(ConfigurationError):
    """A row that can't become a request: it's broken, too large, or has no such column as the prompt needs."""


RawRow = tuple[int, Any, RowError | None]
"""A row's number, its cells, and what is wrong with it."""


class Row(Struct, frozen=True):
    """One row of the input: its request, or the problem that it has.

    ``number`` counts from 1 as a reader of the file would: lines of JSONL, records of CSV and Parquet. ``key`` is None
    if the row is too broken to have one.
    """

    number: int
    key: Any
    request: Any = None
    problem: TakoError | None = None
