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


def begin(block, **start):
    return event("contentBlockStart", {"contentBlockIndex": block, "start": start})


def delta(block, **fields):
    return event("contentBlockDelta", {"contentBlockIndex": block, "delta": fields})


def over(block):
    return event("contentBlockStop", {"contentBlockIndex": block})


def stream(*pieces):
    with serve(reply([b"".join(pieces)], headers=CONTENT_TYPE)) as server:

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


def test_images_of_a_stream_are_put_together():
    response = stream(
        delta(0, text="Here:"),
        over(0),
        begin(1, image={"format": "png"}),
        delta(1, image={"source": {"bytes": "iVBO"}}),
        delta(1, image={"source": {"bytes": "Rw0="}}),
        over(1),
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
def test_an_image_of_a_stream_is_kept_as_the_vendor_gives_it(fields, part):
    response = stream(begin(0, image={"format": "png"}), delta(0, image=fields), over(0), STOP)
    assert response.message.parts == [part]


def test_citations_of_a_stream_are_those_of_its_text():
    response = stream(delta(0, text="So it is."), delta(0, citation=CITED), delta(0, citation=CITED), over(0), STOP)
    source = Citation("https://example.com", "Page")
    assert response.message.parts == [
        TextPart("So it is.", [source, source], state=state(citationsContent={"citations": [CITED, CITED]}))
    ]
    assert (response.citations, response.notices) == ([source, source], [])


def test_tools_of_the_vendors_side_are_kept_with_their_input_and_result():
    response = stream(
        begin(0, toolUse={"toolUseId": "t", "name": "search", "type": "server_tool_use"}),
        delta(0, toolUse={"input": '{"q":'}),
        delta(0, toolUse={"input": '"tako"}'}),
        over(0),
        begin(1, toolResult={"toolUseId": "t", "type": "search", "status": "success"}),
        delta(1, toolResult=[{"text": "found"}]),
        delta(1, toolResult=[{"json": {"n": 1}}]),
        over(1),
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


def test_what_a_stream_has_beside_its_message_is_in_its_raw():
    stop = event("messageStop", {"stopReason": "end_turn", "additionalModelResponseFields": {"x": 1}, "p": "ab"})
    more = {"trace": {"guardrail": {"actionReason": "none"}}, "serviceTier": {"type": "flex"}}
    response = stream(stop, event("metadata", more), event("eventToCome", {"y": 2}))
    assert response.raw == {
        "stopReason": "end_turn",
        "additionalModelResponseFields": {"x": 1},
        **more,
        "eventToCome": {"y": 2},
    }


def test_unknown_fields_of_a_streams_events_are_in_its_raw_and_those_of_deltas_are_the_blocks():
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
    call, said = response.message.parts
    assert call == ToolCallPart("t", "f", {}, state=state(toolUse={"new": 2}))
    assert said.state == state(new=3, citationsContent={"citations": [CITED]})
    kept = {"messageStart": {"seal": 1}, "contentBlockStart": {"a": 1}, "contentBlockDelta": {"b": 2}}
    assert response.raw == {**kept, "contentBlockStop": {"c": 3}, "stopReason": "end_turn"}


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_unknown_fields_of_a_files_source_go_back(kind):
    form = {"image": "png", "audio": "mp3", "video": "mp4"}[kind]
    said = [{"text": "Here:"}, {kind: {"format": form, "source": {"bytes": "AAAA", "new": {"a": 1}}}}]
    answer = {"output": {"message": {"role": "assistant", "content": said}}, "stopReason": "end_turn"}
    with serve(reply(json=answer), reply(json=answer)) as server:
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0)
        response = provider.blocking.chat("Hello")
        provider.blocking.chat([Message.user("Hello"), response.message, Message.user("And?")])
    assert server.requests[1].json["messages"][1]["content"] == said


def test_images_of_a_whole_reply_are_parts_wherever_they_lie():
    inline = {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}}
    response = chat([inline, {"image": {"format": "png", "source": IN_S3}}, {"image": {"error": {}}}, {"text": "Hi"}])
    drawn = [ImagePart("image/jpeg", "/9j/"), ImageUrlPart("s3://bucket/a.png", "image/png")]
    assert response.message.parts == [*drawn, VendorPart("image", state(image={"error": {}})), TextPart("Hi")]


@pytest.mark.parametrize(
    ("usage", "counted"),
    [({"inputTokens": 3.0, "outputTokens": None}, Usage(3)), ({"inputTokens": "3"}, Usage()), ([], Usage())],
)
def test_counts_of_odd_shapes_are_no_reason_to_lose_a_reply(usage, counted):
    assert chat([{"text": "Hi"}], usage=usage).usage == counted
    assert stream(delta(0, text="Hi"), STOP, event("metadata", {"usage": usage})).usage == counted


def test_calls_whose_ids_are_none_get_one_of_their_own():
    calls = [{"toolUse": {"toolUseId": id, "name": "f", "input": {}}} for id in (["x"], {}, None, "a", "a")]
    ids = [call.id for call in chat(calls).tool_calls]
    assert len(set(ids)) == 5
    assert ids[3] == "a"
