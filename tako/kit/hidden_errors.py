"""Replies of status 200 that aren't replies: errors in an object that has no field ``error``, and another API's.

Gateways send ``{"detail": "…"}``, ``{"code": 1301, "msg": "…"}``, ``{"success": false, "message": "…"}`` in place of a
reply, or of one event of it. Taken for an event that says nothing, such an object ends a stream as if all were well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.errors import ResponseError
from tako.json_values import as_array, as_object, text_of
from tako.kit.body import excerpt
from tako.kit.failures import error_in, facts_of

if TYPE_CHECKING:
    from tako.kit.failures import Facts

MESSAGE_FIELDS = ("message", "Message", "msg", "detail", "title")
"""Fields that have an error's text."""
CODES = ("code", "status", "statusCode", "status_code")
OTHER_FIELDS = frozenset(
    (
        *("activityId", "data", "details", "error", "errors", "instance", "object", "param", "path", "reason"),
        *("requestId", "request_id", "success", "timestamp", "traceId", "trace_id", "type"),
    )
)
"""Fields that may stand beside them; an object with any other field isn't an error."""
FAILURE_CODES = ("error", "fail", "failed", "failure")
LOWEST_ERROR_STATUS = 400
APIS = {"responses": "the Responses API", "chat": "Chat Completions"}
"""OpenAI's two APIs, by the value of the option ``api``."""


def other_api(api: str, provider: object, body: bytes) -> ResponseError:
    """Make the error for a reply of the other one of OpenAI's two APIs; it names the option if the provider has it."""
    hint = f'; set api="{api}" to read it' if hasattr(provider, "api") else ""
    return ResponseError(
        f"this is a reply of {APIS[api]}{hint}: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace")
    )


def hidden_error(document: Any) -> Facts | None:
    """Return the error that an object reports, or the first one in a list; None if it reports none.

    A text alone is an error. Beside other fields it takes a code or a status that isn't one of success as well,
    since some servers tell how far they have come.
    """
    while items := as_array(document):
        document = items[0]
    fields = as_object(document)
    if fields is None or fields.keys() - OTHER_FIELDS - {*MESSAGE_FIELDS, *CODES}:
        return None
    if error_in(fields):
        return facts_of(fields)
    messages = [
        fields[field] for field in MESSAGE_FIELDS if fields.get(field) and not isinstance(fields[field], (bool, dict))
    ]
    is_failure = (
        fields.get("success") is False or "detail" in fields or any(_is_error_code(fields.get(name)) for name in CODES)
    )
    is_failure = is_failure or "error" in text_of(fields.get("type")).lower() or fields.get("object") == "error"
    is_text_alone = len(fields) == 1 and isinstance(next(iter(fields.values())), str)
    return facts_of(fields) if (messages and (is_failure or is_text_alone)) or fields.get("success") is False else None


def _is_error_code(code: Any) -> bool:
    """Whether a code or a status tells of a failure: 400 and more, an error's name, or a vendor's own number."""
    if isinstance(code, str):
        return (
            code.lower() in FAILURE_CODES
            or "error" in code.lower()
            or (code.isdecimal() and int(code) >= LOWEST_ERROR_STATUS)
        )
    return isinstance(code, int) and not isinstance(code, bool) and code >= LOWEST_ERROR_STATUS
