"""Results: a response or an error for each row. With a schema, each answer is checked, since vendors don't always."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako.errors import ResponseError
from tako.typed.json_schemas import Validator
from tako.typed.reading import MismatchError
from tako.types import ChatResponse, Cost, FinishReason, Usage

if TYPE_CHECKING:
    from tako.types import JsonSchema

ENDINGS = {
    FinishReason.LENGTH: "it was cut at the limit of tokens",
    FinishReason.CONTENT_FILTER: "the vendor's filter stopped it",
}


class AnswerError(ResponseError):
    """An answer that isn't JSON, or doesn't fit the schema. ``response`` is what the vendor sent, and charges for."""

    def __init__(self, message: str, *, response: ChatResponse | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.response = response


class Result(Struct, frozen=True):
    """What became of one row: a response or an error, never both. An AnswerError has its response with it.

    ``usage`` and ``cost`` are those of the response (``cost`` is None if a price isn't known). ``attempts`` counts the
    calls that were made for the row. ``seconds`` runs from the first of them to the end, with all waits. With a schema,
    ``data`` is the answer as JSON values.
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
        """The text of the response; "" if there isn't one."""
        return self.response.text if self.response is not None else ""


class AnswerReader:
    """Reads answers as JSON, by a schema. Raises ConfigurationError for a schema that isn't valid."""

    def __init__(self, schema: JsonSchema) -> None:
        self._validator = Validator(schema)

    def read(self, response: ChatResponse) -> Any:
        """Return the answer as JSON values. Raises AnswerError."""
        try:
            data = msgspec.json.decode(response.text)
            self._validator.check(data)
        except (msgspec.DecodeError, UnicodeError) as error:
            reason = ENDINGS.get(response.finish_reason, str(error))
            raise AnswerError(f"the answer isn't JSON: {reason}", response=response) from error
        except RecursionError as error:
            raise AnswerError("the answer, or the schema, is nested too deeply", response=response) from error
        except MismatchError as error:
            raise AnswerError(f"the answer doesn't fit the schema: {error}", response=response) from error
        return data
