"""Answers that have to match a JSON Schema. Vendors promise it at best; here it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tako.typed.json_schemas import Validator
from tako.typed.reading import MismatchError
from tako.types import ChatResponse, FinishReason
from tako_map.values import AnswerError

if TYPE_CHECKING:
    from tako.types import JsonSchema

ENDINGS = {
    FinishReason.LENGTH: "it was cut at the limit of tokens",
    FinishReason.CONTENT_FILTER: "the vendor's filter stopped it",
}


class Answers:
    """Reads answers by a schema. Raises ConfigurationError for one that isn't valid."""

    def __init__(self, schema: JsonSchema) -> None:
        self._validator = Validator(schema)

    def read(self, response: ChatResponse) -> Any:
        """Return the answer as JSON values. Raises AnswerError."""
        try:
            data = msgspec.json.decode(response.text)
            self._validator.check(data)
        except (msgspec.DecodeError, UnicodeError) as error:
            what = ENDINGS.get(response.finish_reason, str(error))
            raise AnswerError(f"the answer isn't JSON: {what}", response=response) from error
        except RecursionError as error:
            raise AnswerError("the answer, or the schema, is nested too deeply", response=response) from error
        except MismatchError as error:
            raise AnswerError(f"the answer doesn't fit the schema: {error}", response=response) from error
        return data
