"""What Converse sends beside text, reasoning and calls, and counts of odd shapes."""

import asyncio

import pytest
from tako_bedrock import Bedrock

from tako.parts import Citation, ImagePart, ImageUrlPart, TextPart, ToolCallPart, VendorPart
from tako.state import Origin, State
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import reply, serve
from tako.types import FinishReason, Message, Usage

STOP = event("messageStop", {"stopReason": "end_turn"})
IN_S3 = {"s3Location": {"uri": "s3://bucket/a.png"}}
CITED = {"title": "Page", "location": {"web": {"url": "https://example.com"}}}


def block_start(block, **start):
    return event("contentBlockStart", {"contentBlockIndex": block, "start": start})


def delta(block, **fields):
    return event("contentBlockDelta", {"contentBlockIndex": block, "delta": fields})


def block_stop(block):
    return event("contentBlockStop", {"contentBlockIndex": block})


def stream(*events):
    with serve(reply([b"".join(events)], headers=CONTENT_TYPE)) as server:

        async def main():
            async with Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0) as provider:
                return await provider.stream("Hello").response()

        return asyncio.run(main())


def chat(content, **fields):
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn", **fields}
    with serve(reply(json=body)) as server:
        return Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0).blocking.chat("Hello")


def state(**data):
    return State(Origin("bedrock", "m"), data)


def test_the_fragments_of_a_streamed_image_are_joined():
    response = stream(
        delta(0, text="Here:"),
        block_stop(0),
        block_start(1, image={"format": "png"}),
        delta(1, image={"source": {"bytes": "iVBO"}}),
        delta(1, image={"source": {"bytes": "Rw0="}}),
        block_stop(1),
        STOP,
    )
    assert response.message.parts == [TextPart("Here:"), ImagePart("image/png", "iVBORw0=")]
    assert response.notices == []


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"source": IN_S3}, ImageUrlPart("s3://bucket/a.png", "image/png")),
        (
            {"error": {"message": "no"}},
            VendorPart("image", state(image={"format": "png", "error": {"message": "no"}})),
        ),
        ({"source": {"bytes": "?"}}, ImagePart("image/png", "?")),
    ],
    ids=["in S3", "not drawn", "no base64"],
)
def test_other_images_of_a_stream_are_kept_as_the_vendor_sends_them(fields, part):
    response = stream(block_start(0, image={"format": "png"}), delta(0, image=fields), block_stop(0), STOP)
    assert response.message.parts == [part]


def test_citations_of_a_stream_belong_to_its_text():
    response = stream(
        delta(0, text="So it is."), delta(0, citation=CITED), delta(0, citation=CITED), block_stop(0), STOP
    )
    source = Citation("https://example.com", "Page")
    assert response.message.parts == [
        TextPart("So it is.", [source, source], state=state(citationsContent={"citations": [CITED, CITED]}))
    ]
    assert (response.citations, response.notices) == ([source, source], [])


def test_calls_of_tools_that_the_vendor_runs_are_kept_with_their_input_and_result():
    response = stream(
        block_start(0, toolUse={"toolUseId": "t", "name": "search", "type": "server_tool_use"}),
        delta(0, toolUse={"input": '{"q":'}),
        delta(0, toolUse={"input": '"tako"}'}),
        block_stop(0),
        block_start(1, toolResult={"toolUseId": "t", "type": "search", "status": "success"}),
        delta(1, toolResult=[{"text": "found"}]),
        delta(1, toolResult=[{"json": {"n": 1}}]),
        block_stop(1),
        delta(2, text="Found."),
        STOP,
    )
    use = {"toolUseId": "t", "name": "search", "type": "server_tool_use", "input": {"q": "tako"}}
    result = {"toolUseId": "t", "type": "search", "status": "success"}
    result["content"] = [{"text": "found"}, {"json": {"n": 1}}]
    assert response.message.parts == [
        VendorPart("toolUse", state(toolUse=use)),
        VendorPart("toolResult", state(toolResult=result)),
        TextPart("Found."),
    ]
    assert response.finish_reason is FinishReason.STOP


def test_other_fields_of_a_stream_are_in_raw():
    stop = event("messageStop", {"stopReason": "end_turn", "additionalModelResponseFields": {"x": 1}, "p": "ab"})
    metadata = {"trace": {"guardrail": {"actionReason": "none"}}, "serviceTier": {"type": "flex"}}
    response = stream(stop, event("metadata", metadata), event("eventToCome", {"y": 2}))
    assert response.raw == {
        "stopReason": "end_turn",
        "additionalModelResponseFields": {"x": 1},
        **metadata,
        "eventToCome": {"y": 2},
    }


def test_unknown_fields_of_events_are_in_raw_and_those_of_deltas_in_their_block():
    response = stream(
        event("messageStart", {"role": "assistant", "seal": 1}),
        event(
            "contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}, "a": 1}
        ),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}", "new": 2}}, "b": 2}),
        event("contentBlockStop", {"contentBlockIndex": 0, "c": 3}),
        delta(1, text="So.", new=3),
        delta(1, citation=CITED),
        STOP,
    )
    call, text = response.message.parts
    assert call == ToolCallPart("t", "f", {}, state=state(toolUse={"new": 2}))
    assert text.state == state(new=3, citationsContent={"citations": [CITED]})
    unknown = {"messageStart": {"seal": 1}, "contentBlockStart": {"a": 1}, "contentBlockDelta": {"b": 2}}
    assert response.raw == {**unknown, "contentBlockStop": {"c": 3}, "stopReason": "end_turn"}


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_unknown_fields_of_a_files_source_go_back(kind):
    file_format = {"image": "png", "audio": "mp3", "video": "mp4"}[kind]
    content = [{"text": "Here:"}, {kind: {"format": file_format, "source": {"bytes": "AAAA", "new": {"a": 1}}}}]
    answer = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"}
    with serve(reply(json=answer), reply(json=answer)) as server:
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0)
        response = provider.blocking.chat("Hello")
        provider.blocking.chat([Message.user("Hello"), response.message, Message.user("And?")])
    assert server.requests[1].json["messages"][1]["content"] == content


def test_images_of_a_whole_reply_are_parts_inline_or_in_s3():
    inline = {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}}
    response = chat([inline, {"image": {"format": "png", "source": IN_S3}}, {"image": {"error": {}}}, {"text": "Hi"}])
    images = [ImagePart("image/jpeg", "/9j/"), ImageUrlPart("s3://bucket/a.png", "image/png")]
    assert response.message.parts == [*images, VendorPart("image", state(image={"error": {}})), TextPart("Hi")]


@pytest.mark.parametrize(
    ("usage", "counted"),
    [({"inputTokens": 3.0, "outputTokens": None}, Usage(3)), ({"inputTokens": "3"}, Usage()), ([], Usage())],
)
def test_a_reply_with_invalid_token_counts_is_not_lost(usage, counted):
    assert chat([{"text": "Hi"}], usage=usage).usage == counted
    assert stream(delta(0, text="Hi"), STOP, event("metadata", {"usage": usage})).usage == counted


def test_calls_without_a_valid_unique_id_get_one():
    calls = [{"toolUse": {"toolUseId": id, "name": "f", "input": {}}} for id in (["x"], {}, None, "a", "a")]
    ids = [call.id for call in chat(calls).tool_calls]
    assert len(set(ids)) == 5
    assert ids[3] == "a"
