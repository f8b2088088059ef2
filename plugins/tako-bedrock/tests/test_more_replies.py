"""What Converse sends beside text, reasoning and calls, and counts of odd shapes."""

import asyncio

import pytest
from tako_bedrock import Bedrock

from tako.parts import ImagePart, ImageUrlPart, TextPart
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import reply, serve
from tako.types import FinishReason, Usage

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


def aside(response):
    return response.raw["output"]["message"]["content"]


def test_images_of_a_stream_are_put_together_and_noted():
    response = stream(
        delta(0, text="Here:"),
        over(0),
        begin(1, image={"format": "png"}),
        delta(1, image={"source": {"bytes": "iVBO"}}),
        delta(1, image={"source": {"bytes": "Rw0="}}),
        over(1),
        STOP,
    )
    assert response.text == "Here:"
    assert [notice.code for notice in response.notices] == ["unsupported_part"]
    image = {"format": "png", "source": {"bytes": "iVBORw0="}}
    assert aside(response) == [{"contentBlockIndex": 1, "image": image}]


@pytest.mark.parametrize(
    ("fields", "image"),
    [
        ({"source": IN_S3}, {"format": "png", "source": IN_S3}),
        ({"error": {"message": "no"}}, {"format": "png", "source": {}, "error": {"message": "no"}}),
        ({"source": {"bytes": "?"}}, {"format": "png", "source": {"bytes": "?"}}),
    ],
    ids=["in S3", "not drawn", "no base64"],
)
def test_an_image_of_a_stream_is_kept_as_the_vendor_gives_it(fields, image):
    response = stream(begin(0, image={"format": "png"}), delta(0, image=fields), over(0), STOP)
    assert aside(response) == [{"contentBlockIndex": 0, "image": image}]


def test_citations_of_a_stream_are_kept_beside_the_text():
    response = stream(delta(0, text="So it is."), delta(0, citation=CITED), delta(0, citation=CITED), over(0), STOP)
    assert (response.text, response.notices) == ("So it is.", [])
    assert aside(response) == [{"contentBlockIndex": 0, "citationsContent": {"citations": [CITED, CITED]}}]


def test_tools_of_the_vendors_side_are_kept_with_what_they_were_asked_and_said():
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
    assert (response.text, response.tool_calls, response.finish_reason) == ("Found.", [], FinishReason.STOP)
    asked = {"toolUseId": "t", "name": "search", "type": "server_tool_use", "input": {"q": "tako"}}
    said = {"toolUseId": "t", "type": "search", "status": "success", "content": [{"text": "found"}, {"json": {"n": 1}}]}
    assert aside(response) == [
        {"contentBlockIndex": 0, "toolUse": asked},
        {"contentBlockIndex": 1, "toolResult": said},
    ]


def test_what_guardrails_and_models_add_to_a_stream_is_kept():
    stop = event("messageStop", {"stopReason": "end_turn", "additionalModelResponseFields": {"x": 1}})
    response = stream(stop, event("metadata", {"trace": {"guardrail": {"actionReason": "none"}}}))
    assert response.raw == {
        "additionalModelResponseFields": {"x": 1},
        "trace": {"guardrail": {"actionReason": "none"}},
    }


def test_a_stream_of_text_alone_has_nothing_raw():
    assert stream(delta(0, text="Hi"), STOP).raw is None


def test_images_of_a_whole_reply_are_parts_wherever_they_lie():
    inline = {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}}
    response = chat([inline, {"image": {"format": "png", "source": IN_S3}}, {"image": {"error": {}}}, {"text": "Hi"}])
    drawn = [ImagePart("image/jpeg", "/9j/"), ImageUrlPart("s3://bucket/a.png", "image/png")]
    assert response.message.parts == [*drawn, TextPart("Hi")]


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
