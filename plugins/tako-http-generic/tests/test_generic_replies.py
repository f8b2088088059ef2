"""Complete replies of an endpoint: pointers, finish reasons, usage, tool calls and errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tako_http_generic import ToolCalls

from tako import ChatResponse, FinishReason, Usage, errors
from tako.errors import ResponseError
from tako.testing.server import reply

if TYPE_CHECKING:
    from tako.testing.server import Reply

RequestChat = Callable[..., ChatResponse]
CODES = {
    "418": "OverloadedError",
    "E17": "ContextLengthError",
    "no_money": "PermissionDeniedError",
}


def test_the_first_pointer_that_leads_to_a_value_counts(request_chat: RequestChat) -> None:
    pointers = ["/a", "/b/0", "/c"]
    assert (
        request_chat(reply(json={"a": None, "b": [""], "c": "third"}), response_text_pointer=pointers).text == "third"
    )
    assert request_chat(reply(json={"a": "first", "c": "third"}), response_text_pointer=pointers).text == "first"


@pytest.mark.parametrize(
    ("pointer", "body", "message"),
    [
        ("/text", {"output": "x"}, r"/text leads nowhere: the reply is an object with 'output'"),
        ("/a/0/b", {"a": []}, r"/a/0/b leads nowhere: /a is an array of 0"),
        ("/a/b/c", {"a": {"b": None}}, r"/a/b/c leads nowhere: /a/b is null"),
        ("/a/b", {"a": "text"}, r"/a/b leads nowhere: /a is text"),
        ("/a~1b/c", {"a/b": 3}, r"/a~1b/c leads nowhere: /a~1b is a number"),
        ("/a", {"a": 3}, r"response_text_pointer leads to a number, which isn't text"),
    ],
)
def test_the_error_of_a_pointer_that_leads_nowhere_says_where_it_ends(
    request_chat: RequestChat, pointer: str, body: Any, message: str
) -> None:
    with pytest.raises(ResponseError, match=message) as raised:
        request_chat(reply(json=body), response_text_pointer=pointer)
    assert str(raised.value).startswith("acme:m: ")
    assert "\n" not in str(raised.value)


def test_settings_name_the_finish_reasons_and_counts_of_an_endpoint(request_chat: RequestChat) -> None:
    response = request_chat(
        reply(json={"text": "a", "why": "budget", "meter": {"in": 2, "more": {"in": 3}, "out": 4}}),
        finish_reason_pointer="/why",
        finish_reasons={"budget": "length"},
        usage_pointer="/meter",
        usage_fields={"input_tokens": ["/in", "/more/in"], "output_tokens": "/out"},
    )
    assert (response.finish_reason, response.usage) == (FinishReason.LENGTH, Usage(5, 4))


def test_a_finish_reason_that_is_missing_or_unknown_is_other(request_chat: RequestChat) -> None:
    response = request_chat(reply(json={"text": "a"}), finish_reason_pointer="/why")
    assert response.finish_reason is FinishReason.OTHER
    assert [notice.code for notice in response.notices] == ["finish_missing"]
    assert request_chat(reply(json={"text": "a", "why": "moon"}), finish_reason_pointer="/why").finish_reason == "other"
    assert request_chat(reply(json={"text": "a"})).finish_reason is FinishReason.STOP


def test_calls_without_or_with_equal_ids_get_unique_ones(request_chat: RequestChat) -> None:
    calls = ToolCalls(pointer="/calls", name_pointer="/n", arguments_pointer="/a")
    body = {"calls": [{"n": "f", "a": {}}, {"id": "x", "n": "f", "a": "{}"}, {"id": "x", "n": "g", "a": '{"b'}]}
    response = request_chat(reply(json=body), tool_calls=calls)
    ids = [call.id for call in response.tool_calls]
    assert len(set(ids)) == 3
    assert all(ids)
    assert [call.args for call in response.tool_calls] == [{}, {}, '{"b']
    assert response.finish_reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("answer", "expected", "message"),
    [
        (
            reply(json={"problem": {"code": "E17", "message": "too long"}}, status=400),
            errors.ContextLengthError,
            "too long",
        ),
        (reply(json={"problem": {"code": "E17", "message": "too long"}}), errors.ContextLengthError, "too long"),
        (reply(json={"nope": 1}, status=418), errors.OverloadedError, "418"),
        (reply(b"teapot", status=418), errors.OverloadedError, "teapot"),
        (reply(json={"problem": "no"}, status=404), errors.NotFoundError, "no"),
        (reply(json={}, status=503), errors.OverloadedError, "503"),
    ],
)
def test_statuses_and_codes_become_classes(
    request_chat: RequestChat, answer: Reply, expected: type[Exception], message: str
) -> None:
    with pytest.raises(expected, match=message) as raised:
        request_chat(answer, error_pointer="/problem", error_codes=CODES)
    assert type(raised.value) is expected


def test_an_error_of_an_unknown_shape_is_shown_as_the_server_sent_it(request_chat: RequestChat) -> None:
    with pytest.raises(errors.BadRequestError) as raised:
        request_chat(
            reply(json={"fault": {"say": "no"}}, status=400), error_pointer="/fault", error_message_pointer="/say"
        )
    assert '{"say":"no"}' in str(raised.value)
    assert '"error"' not in str(raised.value)


def test_pointers_lead_to_the_message_and_the_code_of_an_error(request_chat: RequestChat) -> None:
    with pytest.raises(errors.PermissionDeniedError, match="acme:m: 403 no_money: pay first"):
        request_chat(
            reply(json={"ok": 0, "fault": {"kind": "no_money"}, "text": None, "say": ["pay first"]}),
            error_pointer="/fault",
            error_code_pointer="/fault/kind",
            error_message_pointer="/say/0",
            error_codes=CODES,
        )
