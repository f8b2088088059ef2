"""What a gateway behind a Chat Completions address says beside text: it goes back to that gateway, and to no other."""

from __future__ import annotations

from typing import Any

import pytest
from tako_openai import OpenAI

from tako import ChatRequest, Citation, ContentPart, Message
from tako.parts import FilePart, ReasoningPart, TextPart, VendorPart
from tako.providers import Mistral
from tako.testing.server import reply, serve

from .replies import ANSWER, answered, ask, call, full_reply, goes_back, stream

DETAILS = [
    {"type": "reasoning.text", "text": "Rome, hm.", "signature": "EqQB", "id": "r1", "format": "claude", "index": 0},
    {"type": "reasoning.encrypted", "data": "gAAAA", "id": "r2", "format": "responses", "index": 1},
]
PIECE = {"type": "reasoning.text", "format": "claude", "index": 0}
PIECES = [
    {"reasoning": "Rome,", "reasoning_details": [{**PIECE, "text": "Rome,"}]},
    {"reasoning": " hm.", "reasoning_details": [{**PIECE, "text": " hm."}]},
    {"tool_calls": [{"index": 0, **call()}]},
    {"reasoning_details": [{"type": "reasoning.text", "signature": "EqQB", "id": "r1", "index": 0}]},
    {"reasoning_details": [DETAILS[1]]},
]  # fmt: skip


@pytest.mark.parametrize("streams", [False, True])
def test_details_of_reasoning_go_back_beside_its_text_whenever_they_come(streams: bool) -> None:
    message = {"reasoning": "Rome, hm.", "reasoning_details": DETAILS, "tool_calls": [call()]}
    script = stream(*PIECES, finish="tool_calls") if streams else full_reply("tool_calls", **message)
    assert goes_back(script, streams=streams) == {"role": "assistant", **message}


SUMMED = {"type": "reasoning.summary", "summary": "Hm.", "index": 0}
OPAQUE = {"type": "reasoning.encrypted", "format": "gemini", "index": 0}
SIGNED = {"type": "reasoning.text", "index": 0}
THINKING = {"type": "thinking", "thinking": "", "signature": None}
IN_PIECES: list[tuple[str, list[Any], list[Any]]] = [
    (
        "reasoning_details",
        [{**OPAQUE, "data": "a", "id": "call_1"}, {**OPAQUE, "data": "b", "id": "call_2"}],
        [{**OPAQUE, "data": "a", "id": "call_1"}, {**OPAQUE, "data": "b", "id": "call_2"}],
    ),
    (
        "reasoning_details",
        [{**SIGNED, "text": "A"}, {**SIGNED, "signature": "a"}, {**SIGNED, "text": "B"}, {**SIGNED, "signature": "b"}],
        [{**SIGNED, "text": "A", "signature": "a"}, {**SIGNED, "text": "B", "signature": "b"}],
    ),
    (
        "reasoning_details",
        [{**SUMMED, "summary": "H"}, {**OPAQUE, "data": "c"}, {**SUMMED, "summary": "m."}],
        [SUMMED, {**OPAQUE, "data": "c"}],
    ),
    (
        "thinking_blocks",
        [
            {**THINKING, "thinking": "Ro"},
            {**THINKING, "thinking": "me"},
            {**THINKING, "signature": "s1"},
            {"type": "redacted_thinking", "data": "r1"},
            {"type": "redacted_thinking", "data": "r2"},
            {**THINKING, "thinking": "Oslo"},
            {**THINKING, "signature": "s2"},
        ],
        [
            {**THINKING, "thinking": "Rome", "signature": "s1"},
            {"type": "redacted_thinking", "data": "r1"},
            {"type": "redacted_thinking", "data": "r2"},
            {**THINKING, "thinking": "Oslo", "signature": "s2"},
        ],
    ),
]


@pytest.mark.parametrize(("field", "pieces", "blocks"), IN_PIECES)
@pytest.mark.parametrize("streams", [False, True])
def test_blocks_of_a_gateways_reasoning_are_put_together_as_they_were(
    streams: bool, field: str, pieces: list[Any], blocks: list[Any]
) -> None:
    deltas = [{field: [piece]} for piece in pieces]
    script = stream(*deltas, {"content": "x"}) if streams else full_reply(content="x", **{field: blocks})
    assert goes_back(script, streams=streams)[field] == blocks


@pytest.mark.parametrize("streams", [False, True])
def test_fields_of_a_gateway_go_back_whatever_they_hold(streams: bool) -> None:
    block = {"type": "thinking", "thinking": "Rome", "signature": "s1"}
    message = {"reasoning": {"text": "Hm.", "depth": 1}, "provider_specific_fields": {"thinking_blocks": [block]}}
    nested = [
        {"provider_specific_fields": {"thinking_blocks": [{**block, "thinking": text, "signature": seal}]}}
        for text, seal in (("Ro", None), ("me", None), ("", "s1"))
    ]
    deltas = [{"reasoning": message["reasoning"], "request_id": "r1"}, *nested, {"content": "x", "request_id": "r1"}]
    script = stream(*deltas) if streams else full_reply(content="x", request_id="r1", **message)
    assert goes_back(script, streams=streams) == {"role": "assistant", "content": "x", "request_id": "r1", **message}


@pytest.mark.parametrize("streams", [False, True])
def test_the_text_of_reasoning_is_read_from_its_details_if_no_other_field_has_it(streams: bool) -> None:
    details = [{"type": "reasoning.summary", "summary": "Hm.", "index": 0}]
    script = (
        stream({"reasoning_details": details}, {"content": "x"}) if streams else full_reply(reasoning_details=details)
    )
    response = ask(script, streams=streams)
    assert response.reasoning == "Hm."
    message = goes_back(script, streams=streams)
    assert (message["reasoning_details"], "reasoning" in message) == (details, False)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("streams", [False, True])
def test_reasoning_goes_back_in_the_field_in_which_it_came(field: str, streams: bool) -> None:
    script = (
        stream({field: "H"}, {field: "m"}, {"content": "x"}) if streams else full_reply(content="x", **{field: "Hm"})
    )
    assert goes_back(script, streams=streams) == {"role": "assistant", "content": "x", field: "Hm"}


@pytest.mark.parametrize("streams", [False, True])
def test_empty_reasoning_goes_back_beside_calls_alone(streams: bool) -> None:
    """DeepSeek refuses a turn with calls that lacks the field, even if it was empty."""
    script = (
        stream({"reasoning_content": ""}, {"tool_calls": [{"index": 0, **call()}]}, finish="tool_calls")
        if streams
        else full_reply("tool_calls", reasoning_content="", tool_calls=[call()])
    )
    assert goes_back(script, streams=streams)["reasoning_content"] == ""
    plain = (
        stream({"reasoning_content": "", "content": "x"}) if streams else full_reply(content="x", reasoning_content="")
    )
    assert [type(part) for part in ask(plain, streams=streams).message.parts] == [TextPart]


STATE = {"google": {"thought_signature": "AbCd+/=="}}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("streams", [False, True])
def test_each_call_keeps_the_state_that_came_with_it(streams: bool, late: bool) -> None:
    calls = [call("call_1", extra_content=STATE), call("call_2")]
    deltas = [{"tool_calls": [{"index": n, **one}]} for n, one in enumerate(calls)]
    if late:  # the signature comes in a later piece of the call
        deltas = [
            {"tool_calls": [{"index": 0, **call("call_1")}]},
            deltas[1],
            {"tool_calls": [{"index": 0, "extra_content": STATE, "function": {"arguments": ""}}]},
        ]
    script = stream(*deltas, finish="tool_calls") if streams else full_reply("tool_calls", tool_calls=calls)
    assert goes_back(script, streams=streams)["tool_calls"] == calls


@pytest.mark.parametrize("streams", [False, True])
def test_calls_of_unknown_types_stay_among_the_others_and_wait_for_no_result(streams: bool) -> None:
    odd = {"id": "call_2", "type": "hologram", "hologram": {"payload": [1, {"a": "b"}]}}
    calls = [call("call_1"), odd, call("call_3")]
    deltas = [{"tool_calls": [{"index": n, **one}]} for n, one in enumerate(calls)]
    script = stream(*deltas, finish="tool_calls") if streams else full_reply("tool_calls", tool_calls=calls)
    response = ask(script, streams=streams)
    assert [one.id for one in response.tool_calls] == ["call_1", "call_3"]
    assert goes_back(script, streams=streams)["tool_calls"] == calls


@pytest.mark.parametrize("text", ["select 1", '{"a": 1,  "b": 2}', '"quoted"', ""])
@pytest.mark.parametrize("streams", [False, True])
def test_the_input_of_a_custom_tool_goes_back_as_the_text_that_it_was(streams: bool, text: str) -> None:
    call = {"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": text}}
    first = {**call, "index": 0, "custom": {"name": "sql", "input": ""}}
    rest = {"index": 0, "custom": {"input": text}}
    script = (
        stream({"tool_calls": [first]}, {"tool_calls": [rest]}, finish="tool_calls")
        if streams
        else full_reply("tool_calls", tool_calls=[call])
    )
    assert goes_back(script, streams=streams)["tool_calls"] == [call]


def test_arguments_that_a_plugin_changed_go_out_changed() -> None:
    call = {"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": '{"a": 1}'}}
    with serve(full_reply("tool_calls", tool_calls=[call]), reply(json=ANSWER)) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url).blocking
        (decoded,) = provider.chat("Hi").tool_calls
        changed = ContentPart.tool_call(decoded.id, decoded.name, {"a": 2})
        changed = type(decoded)(changed.id, changed.name, changed.args, decoded.state)
        provider.chat([Message.user("Hi"), Message.assistant([changed]), Message.tool("call_1", "x")])
    assert server.requests[1].json["messages"][1]["tool_calls"][0]["custom"]["input"] == '{"a":2}'


def test_the_one_call_of_an_older_server_is_answered_in_its_own_way() -> None:
    lone = {"name": "weather", "arguments": '{"city":"Rome"}'}
    with serve(full_reply("function_call", function_call=lone), reply(json=ANSWER)) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url).blocking
        provider.chat(answered(provider.chat("Hi")))
    assert server.requests[1].json["messages"][1:] == [
        {"role": "assistant", "function_call": lone},
        {"role": "function", "name": "weather", "content": "18 °C"},
    ]


@pytest.mark.parametrize("streams", [False, True])
def test_the_id_of_a_call_goes_back_as_it_is_however_long(streams: bool) -> None:
    long = "call_3f2a9b7c1d4e__state__" + "EqQBCqEB" * 30
    script = (
        stream({"tool_calls": [{"index": 0, **call(long)}]}, finish="tool_calls")
        if streams
        else full_reply("tool_calls", tool_calls=[call(long)])
    )
    assert goes_back(script, streams=streams)["tool_calls"] == [call(long)]
    message = ask(script, streams=streams).message
    with serve(reply(json=ANSWER)) as other:
        OpenAI("m", api_key="k", base_url=other.url).blocking.chat(
            [Message.user("Hi"), message, Message.tool(long, "x")]
        )
    _, call_message, result = other.requests[0].json["messages"]
    assert len(call_message["tool_calls"][0]["id"]) == 40
    assert result["tool_call_id"] == call_message["tool_calls"][0]["id"]


@pytest.mark.parametrize("id", [0, 12, "null", ""])
@pytest.mark.parametrize("streams", [False, True])
def test_numbers_are_ids_and_null_is_none(streams: bool, id: Any) -> None:
    one = {**call(), "id": id}
    script = stream({"tool_calls": [one]}) if streams else full_reply(tool_calls=[one])
    (decoded,) = ask(script, streams=streams).tool_calls
    assert decoded.id == str(id) if isinstance(id, int) else decoded.id.startswith("call_")


@pytest.mark.parametrize("streams", [False, True])
def test_fields_that_tako_has_no_kind_for_go_back_to_who_said_them_alone(streams: bool) -> None:
    fields = {"extra_content": STATE, "seal": "seal-1", "parts": [{"a": 1}], "flag": False}
    script = stream({"content": "x"}, fields) if streams else full_reply(content="x", **fields)
    assert goes_back(script, streams=streams) == {"role": "assistant", "content": "x", **fields}
    response = ask(script, streams=streams)
    kinds = [part.kind for part in response.message.parts if isinstance(part, VendorPart)]
    assert kinds == ["extra_content", "flag", "parts", "seal"]
    with serve(reply(json=ANSWER)) as other:
        for provider in (
            OpenAI("m", api_key="k", base_url=other.url),
            Mistral("m", api_key="k", base_url=other.url),
        ):
            notices = provider.blocking.chat([*answered(response), Message.user("So?")]).notices
            assert {notice.code for notice in notices} == {"foreign_state"}
    assert all(request.json["messages"][1]["content"] == "x" for request in other.requests)
    assert all("seal" not in request.json["messages"][1] for request in other.requests)


def test_another_model_of_the_same_server_gets_no_state() -> None:
    with serve(full_reply(content="x", reasoning="Hm."), reply(json=ANSWER)) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url).blocking
        first = provider.chat("Hi")
        second = provider.chat(ChatRequest([*answered(first), Message.user("So?")], model="other"))
    assert server.requests[1].json["messages"][1] == {"role": "assistant", "content": "x"}
    assert [notice.code for notice in second.notices] == ["foreign_state"]


@pytest.mark.parametrize("streams", [False, True])
def test_a_refusal_is_told_from_an_answer_and_goes_back_as_one(streams: bool) -> None:
    script = (
        stream({"refusal": "Not "}, {"refusal": "that."}) if streams else full_reply(content=None, refusal="Not that.")
    )
    response = ask(script, streams=streams)
    assert (response.text, response.refusal) == ("Not that.", "Not that.")
    assert [notice.code for notice in response.notices] == ["blocked"]
    assert goes_back(script, streams=streams)["refusal"] == "Not that."
    with serve(reply(json=ANSWER)) as other:  # Mistral has no field for it
        Mistral("m", api_key="k", base_url=other.url).blocking.chat([*answered(response), Message.user("So?")])
    assert other.requests[0].json["messages"][1] == {"role": "assistant", "content": "Not that."}


CITED = {
    "type": "url_citation",
    "url_citation": {"start_index": 3, "end_index": 9, "title": "T", "url": "https://e.org"},
}


@pytest.mark.parametrize("calls", [[], [call()]], ids=["alone", "after calls"])
@pytest.mark.parametrize("streams", [False, True])
def test_citations_are_the_texts_and_do_not_go_back(streams: bool, calls: list[Any]) -> None:
    deltas = [{"tool_calls": [{"index": n, **one}]} for n, one in enumerate(calls)]
    message = {"content": "It was dry.", "annotations": [CITED], **({"tool_calls": calls} if calls else {})}
    script = (
        stream({"content": "It was"}, {"content": " dry."}, *deltas, {"annotations": [CITED]})
        if streams
        else full_reply(**message)
    )
    response = ask(script, streams=streams)
    assert response.message.parts[0] == TextPart("It was dry.", [Citation("https://e.org", "T", start=3, end=9)])
    assert response.raw["choices"][0]["message"]["annotations"] == [CITED]
    assert "annotations" not in goes_back(script, streams=streams)
    other = {"type": "file", "file": {"hash": "h-1"}}  # OpenRouter wants these back, so as not to read the file again
    script = (
        stream({"content": "x"}, {"annotations": [other]}) if streams else full_reply(content="x", annotations=[other])
    )
    assert goes_back(script, streams=streams)["annotations"] == [other]


@pytest.mark.parametrize("streams", [False, True])
def test_of_sound_its_id_goes_back(streams: bool) -> None:
    sound = {"id": "audio_1", "data": "AAEC", "transcript": "Hello", "expires_at": 9}
    pieces = [
        {"audio": {"id": "audio_1"}},
        {"audio": {"data": "AAE="}},
        {"audio": {"data": "Ag==", "transcript": "Hel"}},
    ]
    script = stream(*pieces, {"audio": {"transcript": "lo", "expires_at": 9}}) if streams else full_reply(audio=sound)
    response = ask(script, streams=streams)
    (file,) = response.files
    assert isinstance(file, FilePart)
    assert (response.text, file.data_b64) == ("Hello", "AAEC")
    assert file.state is not None
    assert file.state.data == {"audio": {"id": "audio_1", "expires_at": 9}}
    assert goes_back(script, streams=streams)["audio"] == {"id": "audio_1"}


@pytest.mark.parametrize("streams", [False, True])
def test_images_of_a_reply_go_back_where_they_were_and_to_no_other_server(streams: bool) -> None:
    images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}, "index": 0}]
    script = stream({"content": "Here:"}, {"images": images}) if streams else full_reply(content="Here:", images=images)
    assert goes_back(script, streams=streams) == {"role": "assistant", "content": "Here:", "images": images}
    with serve(reply(json=ANSWER)) as other:
        history = [*answered(ask(script, streams=streams)), Message.user("So?")]
        notices = OpenAI("m", api_key="k", base_url=other.url).blocking.chat(history).notices
    assert other.requests[0].json["messages"][1] == {"role": "assistant", "content": "Here:"}
    assert [(notice.code, notice.path) for notice in notices] == [("misplaced_part", "messages[1].content[1]")]


def test_reasoning_that_a_plugin_changed_goes_out_changed() -> None:
    with serve(full_reply(content="x", reasoning="My key is 123."), reply(json=ANSWER)) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url).blocking
        thought, text = provider.chat("Hi").message.parts
        assert isinstance(thought, ReasoningPart)
        hidden = ReasoningPart("My key is ***.", thought.state)
        provider.chat([Message.user("Hi"), Message.assistant([hidden, text]), Message.user("So?")])
    assert server.requests[1].json["messages"][1]["reasoning"] == "My key is ***."
