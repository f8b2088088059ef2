"""What tako-vertex makes of streams, however their bytes are cut."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tako_vertex import Vertex
from tako_vertex.json_array import ArrayDecoder

from tako import ChatResponse, FinishReason, Usage, errors
from tako.kit.repeated_chunks import RepeatedChunk
from tako.parts import ImagePart, ReasoningPart, TextPart, ToolCallPart, VendorPart
from tako.state import Origin, State
from tako.testing.server import reply, serve, sse


def chunk(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **candidate}]}


def state(**data: Any) -> State:
    return State(Origin("vertex", "m"), data)


STORY = [
    {**chunk({"text": "hm", "thought": True}), "usageMetadata": {"promptTokenCount": 5}, "responseId": "r"},
    chunk({"text": 'Grüße \u2028 "{[\\'}),
    chunk({"text": "!"}),
    chunk({"functionCall": {"name": "f", "args": {"a": [1, {"b": "}"}]}}, "thoughtSignature": "s1"}),
    {
        **chunk({"text": "", "thoughtSignature": "s2"}, finishReason="STOP"),
        "usageMetadata": {"candidatesTokenCount": 7, "thoughtsTokenCount": 2},
        "modelVersion": "v",
    },
]
PARTS = [
    ReasoningPart("hm", state()),
    TextPart('Grüße \u2028 "{[\\!'),
    ToolCallPart("?", "f", {"a": [1, {"b": "}"}]}, state(thoughtSignature="s1")),
    TextPart("", state=state(thoughtSignature="s2")),
]


def as_sse(items: list[Any]) -> bytes:
    return b"".join(sse(*items, done=False)).replace(b"\n", b"\r\n")


def as_array(items: list[Any]) -> bytes:
    return b"[" + b"\n,\r\n".join(map(msgspec.json.encode, items)) + b"]\n"


def read(body: bytes | list[bytes], content_type: str = "text/event-stream", **options: Any) -> ChatResponse:
    async def main() -> ChatResponse:
        pieces = [body] if isinstance(body, bytes) else body
        with serve(reply(pieces, headers={"content-type": content_type}, **options)) as server:
            provider = Vertex("m", project_id="p", access_token="t", endpoint_url=server.url, max_retries=0)
            async with provider, provider.stream("Hello") as stream:
                response = await stream.response()
            assert server.requests[0].path.endswith(":streamGenerateContent")
            assert server.requests[0].query == {"alt": "sse"}
            return response

    return asyncio.run(main())


def parts_of(response: ChatResponse) -> list[Any]:
    return [
        msgspec.structs.replace(part, id="?") if isinstance(part, ToolCallPart) else part
        for part in response.message.parts
    ]


@pytest.mark.parametrize("framing", ["sse", "array", "objects"])
def test_a_stream_is_decoded_byte_by_byte(framing: str) -> None:
    encoders: dict[str, Any] = {
        "sse": as_sse,
        "array": as_array,
        "objects": lambda items: b"\n".join(map(msgspec.json.encode, items)),
    }
    content_type = "text/event-stream" if framing == "sse" else "application/json; charset=UTF-8"
    body = encoders[framing](STORY)
    for variant in (body, b"\xef\xbb\xbf\n\n" + body):
        response = read([variant[i : i + 1] for i in range(len(variant))], content_type)
        assert parts_of(response) == PARTS
        assert (response.finish_reason, response.id) == (FinishReason.TOOL_CALLS, "r")
        assert response.usage == Usage(5, 9, 0, 0, 2)


PIECES = st.sampled_from(
    [
        chunk({"text": "Hi"}),
        chunk({"text": 'a "text": "b" \\ \n \u00e9 \u2028'}),
        chunk({"text": ""}),
        chunk({"text": "hm", "thought": True}),
        chunk({"text": "", "thoughtSignature": "s"}),
        chunk({"text": "signed", "thoughtSignature": "s"}),
        chunk({"text": "one"}, {"text": "two"}),
        chunk({"text": "other"}, index=1),
        chunk({"text": "cited"}, citationMetadata={"citations": [{"endIndex": 4, "uri": "https://example.org"}]}),
        chunk({"functionCall": {"name": "f", "args": {"text": "Hi"}}}),
        {**chunk({"text": "counted"}), "usageMetadata": {"candidatesTokenCount": 3, "trafficType": "ON_DEMAND"}},
        {**chunk({"text": "counted"}), "usageMetadata": {"candidatesTokenCount": 4}},
    ]
)


@given(st.lists(PIECES, min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_chunks_that_differ_in_their_text_alone_are_read_like_all_others(chunks: list[Any]) -> None:
    assert_read_alike(chunks)


def test_text_after_a_signed_text_is_another_part_although_its_chunk_is_like_one_before() -> None:
    text, signed = chunk({"text": "Hi"}), chunk({"text": "", "thoughtSignature": "s"})
    assert_read_alike([text, text, text, signed, text, text])


def test_citations_are_of_all_text_before_them() -> None:
    sources = {"citations": [{"startIndex": 0, "endIndex": 6, "uri": "https://example.org"}]}
    assert_read_alike([*[chunk({"text": "Hi"})] * 4, chunk({"text": "!"}, citationMetadata=sources)])


def assert_read_alike(chunks: list[Any]) -> None:
    """Check that a stream is read as if each of its chunks were parsed."""
    named = [{**one, "modelVersion": "v", "responseId": "r"} for one in chunks]
    stream = [*named, {**chunk(finishReason="STOP"), "modelVersion": "v", "responseId": "r"}]
    read_alike = read(as_sse(stream))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RepeatedChunk, "text_of", lambda self, data: "")
        parsed = read(as_sse(stream))
    assert parts_of(read_alike) == parts_of(parsed)
    assert (read_alike.usage, read_alike.raw, read_alike.id) == (parsed.usage, parsed.raw, parsed.id)


def test_an_array_that_ends_anywhere_too_early_is_truncated() -> None:
    body = as_array([*STORY[:-1], {**STORY[-1], "last": "x"}])
    for end in range(0, len(body) - 12, 41):
        with pytest.raises(errors.StreamTruncatedError) as caught:
            read(body[:end])
        assert caught.value.partial is not None
    with pytest.raises(errors.StreamTruncatedError):
        read(as_array(STORY[:-1]))


TEXT = st.text('"\\{}[], \u2028é', max_size=5)


@given(st.lists(st.dictionaries(TEXT, TEXT | st.lists(TEXT | st.dictionaries(TEXT, TEXT)))), st.data())
@settings(max_examples=40, deadline=None)
def test_an_array_is_split_into_its_items_for_any_chunks(items: list[Any], data: st.DataObject) -> None:
    body = data.draw(st.sampled_from([msgspec.json.encode(items), msgspec.json.format(msgspec.json.encode(items))]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    decoder = ArrayDecoder()
    decoded = [
        item
        for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)
        for item in decoder.feed(body[start:end])
    ]
    assert [msgspec.json.decode(item) for item in decoded] == items
    assert decoder.ended
    assert not decoder.pending


def test_an_array_only_has_objects_of_a_limited_size() -> None:
    decoder = ArrayDecoder(100)
    decoder.feed(b'[{"a":"' + b"x" * 90)
    with pytest.raises(errors.ResponseError, match="100 bytes"):
        decoder.feed(b"xxxxxxxxxx")
    for invalid in (b"[1", b"[[", b'["a"', b"{}]", b"[{}x"):
        with pytest.raises(errors.ResponseError, match="neither events nor an array"):
            ArrayDecoder().feed(invalid)


@pytest.mark.parametrize("encode", [as_sse, as_array])
@pytest.mark.parametrize("in_list", [False, True])
def test_an_error_in_a_stream_is_the_same_as_before_the_stream(encode: Any, in_list: bool) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}]
    error: Any = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": details}}
    items = [error] if in_list and encode is as_array else [STORY[0], [error] if in_list else error]
    with pytest.raises(errors.RateLimitError, match="slow down") as caught:
        read(encode(items))
    assert (caught.value.code, caught.value.retry_after) == ("RESOURCE_EXHAUSTED", 2.0)


def test_a_refused_prompt_ends_a_stream_normally() -> None:
    response = read(as_sse([{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}]))
    assert (response.finish_reason, response.usage.input_tokens) == (FinishReason.CONTENT_FILTER, 3)
    assert [notice.code for notice in response.notices] == ["blocked"]


def call(**fields: Any) -> dict[str, Any]:
    return chunk({"functionCall": fields})


def test_fragments_of_arguments_are_joined_by_their_paths() -> None:
    response = read(
        as_sse(
            [
                chunk({"functionCall": {"name": "f", "id": "g", "willContinue": True}, "thoughtSignature": "s"}),
                call(
                    partialArgs=[{"jsonPath": "$.city", "stringValue": "Par", "willContinue": True}], willContinue=True
                ),
                call(partialArgs=[{"jsonPath": "$.city", "stringValue": "is"}], willContinue=True),
                call(
                    partialArgs=[
                        {"jsonPath": "$.days[0].n", "numberValue": 2},
                        {"jsonPath": "$.days[1]['the \\'key\\'']", "boolValue": True},
                        {"jsonPath": '$["x.y"]', "nullValue": "NULL_VALUE"},
                        {"jsonPath": "$.days[999999999999]", "stringValue": ""},
                    ],
                    willContinue=True,
                ),
                call(),
                call(name="now"),
                call(name="f", args={"a": 1}),
                chunk(finishReason="STOP"),
            ]
        )
    )
    first, second, third = response.tool_calls
    args = {"city": "Paris", "days": [{"n": 2}, {"the 'key'": True}, ""], "x.y": None}
    assert first == ToolCallPart("g", "f", args, state(thoughtSignature="s"))
    assert (second.name, second.args, third.args) == ("now", {}, {"a": 1})
    assert len({first.id, second.id, third.id}) == 3


def test_incomplete_arguments_are_never_valid_json() -> None:
    first_chunks = [
        call(name="f", willContinue=True),
        call(partialArgs=[{"jsonPath": "$.a", "stringValue": "x", "willContinue": True}], willContinue=True),
    ]
    response = read(as_sse([*first_chunks, chunk(finishReason="MAX_TOKENS")]))
    assert response.finish_reason is FinishReason.LENGTH
    assert response.tool_calls[0].args == '{"a":"x"'
    with pytest.raises(errors.StreamTruncatedError) as caught:
        read(as_sse(first_chunks))
    assert caught.value.partial is not None
    assert caught.value.partial.tool_calls == []


def test_arguments_of_any_depth_neither_crash_nor_hang() -> None:
    path = "$" + ".a" * 5000
    with pytest.raises(errors.ResponseError, match="levels"):
        read(as_sse([call(name="f", partialArgs=[{"jsonPath": path, "stringValue": "x"}]), chunk(finishReason="STOP")]))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_traffic_type_may_be_in_any_chunk(index: int) -> None:
    items: list[Any] = [chunk({"text": "a"}), chunk({"text": "b"}), chunk({"text": "c"}, finishReason="STOP")]
    items = [{**item, "responseId": "r", "usageMetadata": {"promptTokenCount": 5}} for item in items]
    items[index]["usageMetadata"] = {"trafficType": "PROVISIONED_THROUGHPUT"}
    raw: Any = read(as_sse(items)).raw
    assert raw["usageMetadata"]["trafficType"] == "PROVISIONED_THROUGHPUT"


def test_other_fields_of_a_stream_are_in_raw() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    code = {"executableCode": {"code": "1", "language": "PYTHON"}, "thoughtSignature": "s"}
    grounding = {"webSearchQueries": ["q"]}
    response = read(
        as_sse([chunk({"text": "Here:"}, image), chunk(code, finishReason="STOP", groundingMetadata=grounding)])
    )
    assert response.notices == []
    assert response.message.parts == [
        TextPart("Here:"),
        ImagePart("image/png", "AAAA", state()),
        VendorPart("executableCode", state(**code)),
    ]
    assert response.raw == {"candidates": [{"finishReason": "STOP", "groundingMetadata": grounding}]}


@pytest.mark.parametrize("body", [b"", b"\n\n \n", b"data: {nonsense}\n\n", b"data: 1\n\n", b"not json"])
def test_an_invalid_stream_is_a_response_error(body: bytes) -> None:
    with pytest.raises(errors.ResponseError):
        read(body)
