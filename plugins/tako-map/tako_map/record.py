"""A result as it stands in the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako.errors import ResponseError
from tako.types import FinishReason
from tako_map.driver import Reason, reason_of

if TYPE_CHECKING:
    from tako_map.values import Result


class Record(Struct, frozen=True):
    """One line of JSONL, or one row of Parquet (where ``data`` is JSON text).

    ``row`` counts from 1, ``data`` is the answer read as JSON (with a schema), ``cost`` is in US dollars, ``seconds``
    run from the first call to the end. Of ``error`` and ``finish_reason`` one is null.
    """

    key: str
    row: int
    text: str | None = None
    data: Any = None
    error: Reason | None = None
    finish_reason: str | None = None
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None
    attempts: int = 0
    seconds: float = 0.0


class Known(Struct, frozen=True):
    """What a run that goes on needs of a record."""

    key: str
    row: int
    error: Any = None
    cost: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0


def record(result: Result, *, as_json: bool) -> Record:
    """Make the record of a result; with ``as_json`` an answer that is no JSON is an error, and keeps its text."""
    error = reason_of(result.error) if result.error is not None else None
    usage, response = result.usage, result.response
    data = None
    if response is not None and as_json:
        try:
            data = msgspec.json.decode(response.text)
        except (msgspec.DecodeError, UnicodeError) as wrong:
            cut = response.finish_reason is FinishReason.LENGTH
            what = "it was cut at the limit of tokens" if cut else str(wrong)
            error = reason_of(ResponseError(f"the answer is no JSON: {what}"))
    return Record(
        str(result.key),
        result.row,
        response.text if response is not None else None,
        data,
        error,
        response.finish_reason.value if response is not None and error is None else None,
        response.model if response is not None else None,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        float(result.cost.total) if result.cost is not None else None,
        result.attempts,
        round(result.seconds, 4),
    )
