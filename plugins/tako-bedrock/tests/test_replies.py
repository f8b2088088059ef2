"""What comes out of replies, whole and streamed, and of refusals."""

import asyncio

import pytest
from tako_bedrock import Bedrock

from tako import errors
from tako.parts import Citation, ReasoningPart, TextPart, ToolCallPart, VendorPart
from tako.state import Origin, State
from tako.testing.eventstream import CONTENT_TYPE, event, exception, frame
from tako.testing.server import reply, serve
from tako.types import FinishReason, Usage

USAGE = {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2}
START = event("messageStart", {"role": "assistant", "p": "abc"})
STOP = event("messageStop", {"stopReason": "end_turn", "p": "a"})
METADATA = event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}, "p": "ab"})


def state(**data):
    return State(Origin("bedrock", "m"), data)


def reasoning_state(**content):
    return state(reasoningContent=content)


def text(value, block=0):
    return event("contentBlockDelta", {"contentBlockIndex": block, "delta": {"text": value}, "p": "abcd"})


def reasoning(block, **content):
    return event("contentBlockDelta", {"contentBlockIndex": block, "delta": {"reasoningContent": content}})


def call(block, id, name, *fragments, **fields):
    start = {"toolUse": {"toolUseId": id, "name": name, **fields}}
    deltas = [{"contentBlockIndex": block, "delta": {"toolUse": {"input": fragment}}} for fragment in fragments]
    events = [event("contentBlockStart", {"contentBlockIndex": block, "start": start})]
    return [*events, *[event("contentBlockDelta", delta) for delta in deltas], block_stop(block)]


def block_stop(block):
    return event("contentBlockStop", {"contentBlockIndex": block, "p": "x"})


def stream(*events, size=None, **script):
    """Return the response to a stream of these events, in chunks of a size."""
    data = b"".join(events)
    body = [data[start : start + size] for start in range(0, len(data), size)] if size else [data]
    with serve(reply(body, headers=CONTENT_TYPE, **script)) as server:

        async def main():
            async with Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0) as provider:
                chunks = provider.stream("Hello")
                return await chunks.response()

        return asyncio.run(main())


def chat(json, **script):
    with serve(reply(json=json, **script)) as server:
        return Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0).blocking.chat("Hello")


CONTENT = [
    {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "sig"}}},
    {"reasoningContent": {"redactedContent": "c2Vj"}},
    {"text": "Looking"},
    {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
    {"toolUse": {"toolUseId": "t2", "name": "g", "input": {}}},
]
STREAMED = [
    START,
    reasoning(0, text="H"),
    reasoning(0, text="m"),
    reasoning(0, signature="sig"),
    block_stop(0),
    reasoning(1, redactedContent="c2Vj"),
    block_stop(1),
    text("Look", 2),
    text("ing", 2),
    block_stop(2),
    *call(3, "t1", "f", "", '{"a"', ": 1}"),
    *call(4, "t2", "g", ""),
    event("messageStop", {"stopReason": "tool_use"}),
    METADATA,
]
PARTS = [
    ReasoningPart("Hm", reasoning_state(reasoningText={"signature": "sig"})),
    ReasoningPart("", reasoning_state(redactedContent="c2Vj")),
    TextPart("Looking"),
    ToolCallPart("t1", "f", {"a": 1}),
    ToolCallPart("t2", "g", {}),
]


def test_a_whole_reply():
    body = {"output": {"message": {"role": "assistant", "content": CONTENT}}, "stopReason": "tool_use", "usage": USAGE}
    response = chat(body)
    assert response.message.content == PARTS
    assert response.finish_reason is FinishReason.TOOL_CALLS
    assert response.usage == Usage(15, 5, 3, 2)
    assert (response.model, response.raw) == ("m", body)


@pytest.mark.parametrize("size", [None, 7])
def test_a_streamed_reply_is_the_same_for_any_chunk_size(size):
    response = stream(*STREAMED, size=size)
    assert response.message.content == PARTS
    assert response.finish_reason is FinishReason.TOOL_CALLS
    assert response.usage == Usage(15, 5, 3, 2)
    assert response.model == "m"


def test_reasoning_with_only_a_signature_is_a_part_of_its_own():
    response = stream(
        text("Well."), block_stop(0), reasoning(1, signature="si"), reasoning(1, signature="g"), block_stop(1), STOP
    )
    assert response.message.content == [
        TextPart("Well."),
        ReasoningPart("", reasoning_state(reasoningText={"signature": "sig"})),
    ]


def test_calls_of_tools_that_the_vendor_runs_are_not_tool_calls():
    response = stream(*call(0, "s1", "search", "{}", type="server_tool_use"), text("Found", 1), STOP, METADATA)
    server_call = {"toolUseId": "s1", "name": "search", "type": "server_tool_use", "input": {}}
    parts = [VendorPart("toolUse", state(toolUse=server_call)), TextPart("Found")]
    assert (response.message.content, response.tool_calls) == (parts, [])
    block = {"toolUse": {"toolUseId": "s1", "name": "search", "input": {}, "type": "server_tool_use"}}
    response = chat({"output": {"message": {"content": [block, {"text": "Found"}]}}, "stopReason": "end_turn"})
    assert response.message.content == parts


def test_citations_have_text_and_unknown_blocks_are_kept():
    cited = {"citationsContent": {"content": [{"text": "As "}, {"text": "written"}], "citations": [{"title": "T"}]}}
    response = chat({"output": {"message": {"content": [cited, {"hologram": {"x": 1}}]}}, "stopReason": "end_turn"})
    assert response.message.content == [
        TextPart("As written", [Citation(title="T")], state=state(**cited)),
        VendorPart("hologram", state(hologram={"x": 1})),
    ]


def test_unknown_events_and_deltas_are_ignored():
    odd = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"citation": {"title": "T"}}})
    assert stream(event("initial-response", {}), odd, text("Hi"), event("hologram", [1]), STOP, METADATA).text == "Hi"


@pytest.mark.parametrize(
    ("stop_reason", "expected"),
    [
        ("guardrail_intervened", FinishReason.CONTENT_FILTER),
        ("content_filtered", FinishReason.CONTENT_FILTER),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("stop_sequence", FinishReason.STOP),
        ("malformed_tool_use", FinishReason.ERROR),
        ("something_new", FinishReason.OTHER),
    ],
)
def test_stop_reasons(stop_reason, expected):
    assert stream(text("x"), event("messageStop", {"stopReason": stop_reason}), METADATA).finish_reason is expected


def test_a_body_that_ends_after_message_stop_is_complete_without_usage():
    assert stream(START, text("Hi"), STOP).usage == Usage()


@pytest.mark.parametrize(
    ("pieces", "script"),
    [
        ([START, text("Hi"), block_stop(0)], {}),
        ([START, text("Hi"), STOP, METADATA, b"\0\0\0"], {}),
        ([START, text("Hi"), STOP[:-1]], {}),
        ([START, text("Hi"), STOP], {"ending": "cut"}),
    ],
    ids=["no messageStop", "bytes left over", "half an event", "cut before the metadata"],
)
def test_a_stream_that_was_cut_raises_with_the_partial_response(pieces, script):
    with pytest.raises(errors.StreamTruncatedError) as caught:
        stream(*pieces, **script)
    assert caught.value.partial.text == "Hi"


def test_a_damaged_message_is_a_response_error():
    raw = bytearray(b"".join([START, text("Hi"), STOP, METADATA]))
    raw[len(START) + 40] ^= 1
    with pytest.raises(errors.ResponseError, match="damaged"):
        stream(bytes(raw))


@pytest.mark.parametrize(
    ("name", "cls", "status", "retryable"),
    [
        ("throttlingException", errors.RateLimitError, 429, True),
        ("validationException", errors.BadRequestError, 400, False),
        ("internalServerException", errors.ServerError, 500, True),
        ("serviceUnavailableException", errors.OverloadedError, 503, True),
        ("modelStreamErrorException", errors.ServerError, 424, True),
        ("modelTimeoutException", errors.ServerError, 408, True),
    ],
)
def test_an_exception_in_a_stream_has_the_class_of_its_name(name, cls, status, retryable):
    with pytest.raises(cls, match="Slow down") as caught:
        stream(START, text("Hi"), exception(name, "Slow down"))
    assert (caught.value.status_code, caught.value.retryable) == (status, retryable)
    assert caught.value.code == name[0].upper() + name[1:]


@pytest.mark.parametrize("code", ["InternalFailure", "InternalError", "WhateverError"])
def test_the_code_of_an_error_message_is_in_its_headers(code):
    headers = {":message-type": "error", ":error-code": code, ":error-message": "Broken"}
    with pytest.raises(errors.ServerError, match="Broken") as caught:
        stream(START, frame(headers, b""))
    assert (caught.value.code, caught.value.retryable) == (code, True)


@pytest.mark.parametrize(
    ("status", "name", "cls", "retryable"),
    [
        (429, "ThrottlingException", errors.RateLimitError, True),
        (429, "ModelNotReadyException", errors.RateLimitError, True),
        (400, "ValidationException", errors.BadRequestError, False),
        (400, "ServiceQuotaExceededException", errors.RateLimitError, False),
        (403, "AccessDeniedException", errors.PermissionDeniedError, False),
        (403, "UnrecognizedClientException", errors.AuthenticationError, False),
        (403, "InvalidSignatureException", errors.AuthenticationError, False),
        (404, "ResourceNotFoundException", errors.NotFoundError, False),
        (408, "ModelTimeoutException", errors.ServerError, True),
        (424, "ModelErrorException", errors.ServerError, False),
        (500, "InternalServerException", errors.ServerError, True),
        (503, "ServiceUnavailableException", errors.OverloadedError, True),
    ],
)
@pytest.mark.parametrize("location", ["header", "body"])
def test_an_error_has_the_class_of_its_name(status, name, cls, retryable, location):
    headers = {"x-amzn-requestid": "r-1"}
    body = {"message": "No."}
    if location == "header":
        headers["x-amzn-errortype"] = f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    else:
        body["__type"] = f"com.amazon.coral.service#{name}"
    with pytest.raises(cls, match=r"No\.") as caught:
        chat(body, status=status, headers=headers)
    assert type(caught.value) is cls
    assert (caught.value.code, caught.value.status_code, caught.value.request_id) == (name, status, "r-1")
    assert caught.value.retryable is retryable


def test_a_message_with_a_capital_is_read_too():
    with pytest.raises(errors.PermissionDeniedError, match="not authorized"):
        chat({"Message": "User is not authorized"}, status=403)


@pytest.mark.parametrize("body", [{}, {"output": None}, {"output": {}}, []])
def test_a_reply_without_a_message_is_a_response_error(body):
    with pytest.raises(errors.ResponseError):
        chat(body)
