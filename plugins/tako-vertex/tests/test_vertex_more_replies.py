"""Replies of Gemini's that are rarer, and counts of odd shapes."""

from __future__ import annotations

from typing import Any

import pytest
from tako_vertex import Vertex

from tako import ChatResponse, Usage
from tako.parts import FileUrlPart, TextPart
from tako.state import Origin, State
from tako.testing.server import Reply, reply, serve, sse

PDF = {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/a.pdf"}}


def chunk(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}], **fields}


def stream(answer: Reply) -> ChatResponse:
    with serve(answer) as server:
        provider = Vertex("m", project_id="p", access_token="t", endpoint_url=server.url, max_retries=0)
        return provider.blocking.stream("Hello").response()


def chat(answer: Reply) -> ChatResponse:
    with serve(answer) as server:
        provider = Vertex("m", project_id="p", access_token="t", endpoint_url=server.url, max_retries=0)
        return provider.blocking.chat("Hello")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"promptTokenCount": 3.0, "candidatesTokenCount": 2, "thoughtsTokenCount": None}, Usage(3, 2)),
        ({"promptTokenCount": "many", "candidatesTokenCount": 2}, Usage(0, 2)),
    ],
)
def test_a_reply_with_invalid_token_counts_is_not_lost(counts: Any, expected: Usage) -> None:
    body = chunk({"text": "Hi"}, usageMetadata=counts)
    assert chat(reply(json=body)).usage == expected
    assert stream(reply(sse(body, done=False))).usage == expected


def test_files_are_parts_in_chat_and_stream() -> None:
    for response in (chat(reply(json=chunk({"text": "Hi"}, PDF))), stream(reply(sse(chunk({"text": "Hi"}, PDF))[:1]))):
        file = FileUrlPart("gs://b/a.pdf", "application/pdf", state=State(Origin("vertex", "m")))
        assert response.message.parts == [TextPart("Hi"), file]


def test_a_reply_with_half_an_emoji_and_a_byte_order_mark_is_not_lost() -> None:
    body = rb'{"candidates":[{"content":{"parts":[{"text":"a\ud83d"}]},"finishReason":"STOP"}]}'
    assert chat(reply(b"\xef\xbb\xbf" + body)).text == "a\N{REPLACEMENT CHARACTER}"
    assert stream(reply([b"data: " + body + b"\n\n"])).text == "a\N{REPLACEMENT CHARACTER}"


def test_a_signature_of_an_unknown_type_is_kept_unchanged() -> None:
    body = chunk({"text": "Hi", "thoughtSignature": [1]}, responseId=5, modelVersion=None)
    response = chat(reply(json=body))
    signed = TextPart("Hi", state=State(Origin("vertex", "m"), {"thoughtSignature": [1]}))
    assert (response.message.parts, response.id, response.model) == ([signed], "", "m")
