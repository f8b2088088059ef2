"""What goes in and what comes out: rows and results."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tako.errors import ConfigurationError, ResponseError, TakoError
from tako.types import ChatResponse, Cost, Usage


class RowError(ConfigurationError):
    """A row of the input that nothing can be asked with: broken, too large, or without a column that is needed."""


class AnswerError(ResponseError):
    """An answer that isn't JSON, or doesn't fit the schema. ``response`` is what came, and has to be paid for."""

    def __init__(self, message: str, *, response: ChatResponse | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.response = response


class Row(Struct, frozen=True):
    """One row of the input: what to ask, or why nothing can be asked.

    ``number`` counts from 1 as a reader of the file would: lines of JSONL, records of CSV and Parquet. ``key`` is None
    where the row is too broken to tell.
    """

    number: int
    key: Any
    request: Any = None
    problem: TakoError | None = None


class Result(Struct, frozen=True):
    """What became of one row: a response or an error, never both; an AnswerError holds the response that it is about.

    ``usage`` and ``cost`` are those of the response (``cost`` is None where a price is not known). ``attempts`` counts
    the calls that were made for the row, and ``seconds`` runs from the first of them to the end, waiting included. With
    a schema ``data`` is the answer as JSON values.
    """

    key: Any
    row: int
    response: ChatResponse | None = None
    error: Exception | None = None
    usage: Usage = Usage()
    cost: Cost | None = None
    attempts: int = 0
    seconds: float = 0.0
    data: Any = None

    @property
    def text(self) -> str:
        """The text of the response; "" where there is none."""
        return self.response.text if self.response is not None else ""
