"""A result as the output has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from tako.errors import ProviderError
from tako_map.results import AnswerError

if TYPE_CHECKING:
    from tako_map.results import Result


class Reason(Struct, frozen=True):
    """Why a row failed."""

    type: str
    message: str
    status_code: int | None = None
    code: str | None = None
    request_id: str | None = None
    retryable: bool = False


def reason_of(error: BaseException) -> Reason:
    """Describe an error in plain values."""
    name = type(error).__name__
    if not isinstance(error, ProviderError):
        return Reason(name, " ".join(str(error).split()))
    return Reason(name, str(error), error.status_code, error.code, error.request_id, error.retryable)


class Record(Struct, frozen=True):
    """One line of JSONL, or one row of Parquet (where ``data`` is JSON text).

    ``row`` counts from 1, ``data`` is the answer read as JSON (with a schema), ``cost`` is in US dollars, and
    ``seconds`` run from the first call to the end. Either ``error`` or ``finish_reason`` is null. ``row_digest`` is a
    hash of the cells that the answer was made from, so that another run notices if they change; failed rows have none.
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
    row_digest: str | None = None


class FinishedRow(Struct, frozen=True):
    """The fields of a record that a run needs to continue."""

    key: str
    row: int
    error: Any = None
    cost: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    row_digest: Annotated[str, Meta(pattern="^[0-9a-f]{8}$")] | None = None


def make_record(result: Result, row_digest: str | None = None) -> Record:
    """Make the record of a result. An answer that doesn't fit its schema is an error, with its text."""
    error = reason_of(result.error) if result.error is not None else None
    usage, response = result.usage, result.response
    if isinstance(result.error, AnswerError):
        response = result.error.response
    return Record(
        str(result.key),
        result.row,
        response.text if response is not None else None,
        result.data,
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
        row_digest if error is None else None,
    )


def unwritable_record(record: Record, error: Exception) -> Record:
    """Return an error's record for one that can't be written: its answer is nested too deeply, or isn't text."""
    reason = Reason(type(error).__name__, f"the answer can't be written: {error}")
    return replace(record, text=None, data=None, error=reason, finish_reason=None, row_digest=None)
