"""Other servers that speak the API, and what each of them leaves out or says in another way.

llama.cpp (issue 20607 of ggml-org/llama.cpp, and its server of October 2026), vLLM (pull requests 30223 and 37071),
SGLang (issue 12652), OpenRouter's and one-api's gateways, LiteLLM (``output_index`` is 0), AWS's mantle.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tako import Message
from tako.errors import RateLimitError, ResponseError, StreamTruncatedError
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart
from tako.providers import OpenAI
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from tako import ChatResponse
    from tako.blocking import BlockingProvider
    from tako.testing.server import Server

THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "", "status": "completed"}
THOUGHT["content"] = [{"type": "reasoning_text", "text": "Hm. So."}]
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
MESSAGE["content"] = [{"type": "output_text", "text": "It is dry.", "annotations": [], "logprobs": []}]
CALLS = [
    {"type": "function_call", "call_id": f"c{n}", "name": name, "arguments": text, "status": "completed"}
    for n, (name, text) in enumerate([("now", '{"zone":"CET"}'), ("rain", '{"city":"Rome"}')])
]
OUTPUT = [THOUGHT, MESSAGE, *CALLS]
USAGE = {"input_tokens": 3, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 1}}


def asks(server: Server, **options: Any) -> BlockingProvider:
    options = {"base_url": server.url, "api_key": "k-123456", "api": "responses", "max_retries": 0, **options}
    return OpenAI("qwen3", **options).blocking


def streamed(*events: dict[str, Any], done: bool = False, **options: Any) -> ChatResponse:
    with serve(reply(sse(*events, done=done))) as server:
        return asks(server, **options).stream("Hi").response()


def decode_full(output: list[dict[str, Any]], **fields: Any) -> ChatResponse:
    with serve(reply(json={"id": "r", "status": "completed", "output": output, "usage": USAGE, **fields})) as server:
        return asks(server).chat("Hi")


def completed(output: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {
        "type": "response.completed",
        "response": {"status": "completed", "output": output, "usage": USAGE},
        **fields,
    }


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def pieces(text: str) -> tuple[str, str]:
    return text[:3], text[3:]


def begun(item: dict[str, Any]) -> dict[str, Any]:
    emptied = {name: type(item[name])() for name in ("content", "arguments") if name in item}
    return {**item, **emptied, "status": "in_progress"}


def of_llamacpp() -> list[dict[str, Any]]:
    """No index anywhere, no id of a call's item, and every end comes at the end."""
    thought = [event("reasoning_text.delta", item_id="rs_1", delta=piece) for piece in pieces("Hm. So.")]
    deltas = [event("output_text.delta", item_id="msg_1", delta=piece) for piece in pieces("It is dry.")]
    calls = [
        one
        for call in CALLS
        for one in (
            event("output_item.added", item=begun(call)),
            *(
                event("function_call_arguments.delta", item_id=call["call_id"], delta=piece)
                for piece in pieces(call["arguments"])
            ),
        )
    ]
    return [
        event("created", response={"id": "r", "status": "in_progress"}),
        event("output_item.added", item=begun(THOUGHT)),
        *thought,
        event("output_item.added", item=begun(MESSAGE)),
        event("content_part.added", item_id="msg_1", part={"type": "output_text", "text": ""}),
        *deltas,
        *calls,
        event("output_item.done", item=THOUGHT),
        event("output_text.done", item_id="msg_1", text="It is dry."),
        event("content_part.done", item_id="msg_1", part=MESSAGE["content"][0]),
        *(event("output_item.done", item=item) for item in OUTPUT[1:]),
        completed(OUTPUT),
    ]


def shown(response: ChatResponse) -> list[tuple[type[Part], Any]]:
    texts = {TextPart: "text", ReasoningPart: "text", ToolCallPart: "args"}
    return [(type(part), getattr(part, texts[type(part)])) for part in response.message.parts]


def test_a_server_that_counts_no_items_streams_what_it_says_whole() -> None:
    response = streamed(*of_llamacpp())
    assert shown(response) == shown(decode_full(OUTPUT))
    assert [call.id for call in response.tool_calls] == ["c0", "c1"]
    assert response.usage == decode_full(OUTPUT).usage


def test_its_text_comes_as_it_is_said_though_its_reasoning_ends_later() -> None:
    before, after = of_llamacpp()[:7], of_llamacpp()[7:]
    with serve(reply([*sse(*before, done=False), *sse(*after, done=False)])) as server:
        texts = [chunk.text for chunk in asks(server).stream("Hi") if chunk.kind == "delta" and chunk.text]
    assert texts == list(pieces("It is dry."))


def test_it_gets_its_reasoning_back_with_its_text() -> None:
    with serve(reply(sse(*of_llamacpp(), done=False))) as server:
        provider = asks(server)
        turn = provider.stream("Hi").response()
        results = [Message.tool(call.id, "4") for call in turn.tool_calls]
        provider.stream([Message.user("Hi"), turn.message, *results]).response()
    sent = server.requests[1].json["input"]
    assert sent[1] == THOUGHT
    assert sent[2] == {**MESSAGE, "content": [{"type": "output_text", "text": "It is dry.", "annotations": []}]}
    assert [item["call_id"] for item in sent[3:]] == ["c0", "c1", "c0", "c1"]


def test_calls_that_are_interleaved_without_an_index_keep_their_arguments() -> None:
    begin = [event("output_item.added", item={**begun(call), "id": f"fc_{n}"}) for n, call in enumerate(CALLS)]
    halves = zip(*(pieces(call["arguments"]) for call in CALLS), strict=True)
    deltas = [
        event("function_call_arguments.delta", item_id=f"fc_{n}", delta=piece)
        for half in halves
        for n, piece in enumerate(half)
    ]
    ends = [event("output_item.done", item={**call, "id": f"fc_{n}"}) for n, call in enumerate(CALLS)]
    for last in (ends, ends[::-1], []):
        response = streamed(*begin, *deltas, *last, completed([]))
        assert [(call.name, call.args) for call in response.tool_calls] == [
            ("now", {"zone": "CET"}),
            ("rain", {"city": "Rome"}),
        ]


def test_a_search_that_ends_after_the_next_item_has_begun_is_kept() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "rain"}}
    response = streamed(
        event("output_item.added", item={**search, "status": "in_progress", "action": {}}),
        event("output_item.added", item=begun(MESSAGE)),
        event("output_text.delta", item_id="msg_1", delta="It is dry."),
        event("output_item.done", item=search),
        event("output_item.done", item=MESSAGE),
        completed([search, MESSAGE]),
    )
    assert response.text == "It is dry."
    assert [
        part.state.data["action"]
        for part in response.message.parts
        if part.state and part.state.data.get("type") == "web_search_call"
    ] == [{"query": "rain"}]


def test_items_that_share_an_index_are_told_apart() -> None:
    number = count()
    events = [{"output_index": 0, "sequence_number": next(number), **one} for one in of_llamacpp()]
    assert shown(streamed(*events)) == shown(decode_full(OUTPUT))


@pytest.mark.parametrize("output", [[], [{"id": "x", "type": "message", "content": [{"type": "text", "text": ""}]}]])
def test_items_that_are_never_done_are_complete_all_the_same(output: list[dict[str, Any]]) -> None:
    response = streamed(
        event("output_item.added", output_index=0, item=begun(THOUGHT)),
        event("reasoning_text.delta", output_index=0, content_index=0, delta="Hm. So."),
        event("output_item.added", output_index=1, item=begun(MESSAGE)),
        event("output_text.delta", output_index=1, content_index=0, delta="It is "),
        event("output_text.delta", output_index=1, content_index=0, delta="dry."),
        event("output_item.added", output_index=2, item=begun(CALLS[0])),
        event("function_call_arguments.done", output_index=2, arguments=CALLS[0]["arguments"]),
        completed(output),
    )
    assert shown(response) == shown(decode_full(OUTPUT[:3]))
    reasoning = response.message.parts[0].state
    assert reasoning is not None
    assert reasoning.data == THOUGHT


def test_an_empty_delta_does_not_stand_for_the_text() -> None:
    added = event("output_item.added", output_index=0, item=begun(MESSAGE))
    empty = event("output_text.delta", output_index=0, content_index=0, delta="")
    assert (
        streamed(added, empty, event("output_item.done", output_index=0, item=MESSAGE), completed([])).text
        == "It is dry."
    )


def test_text_that_comes_whole_alone_is_read() -> None:
    added = event("output_item.added", output_index=0, item=begun(MESSAGE))
    text = event("output_text.done", output_index=0, content_index=0, text="It is dry.")
    assert streamed(added, text, completed([])).text == "It is dry."


def test_a_call_whose_name_comes_after_its_arguments_has_both() -> None:
    delta = event("function_call_arguments.delta", output_index=0, delta=CALLS[0]["arguments"])
    for end in (event("output_item.done", output_index=0, item=CALLS[0]), completed([{**CALLS[0], "id": "fc_1"}])):
        [call] = streamed(
            delta, event("output_item.added", output_index=0, item=begun(CALLS[0])), end, completed([])
        ).tool_calls
        assert (call.id, call.name, call.args) == ("c0", "now", {"zone": "CET"})


@pytest.mark.parametrize(("status", "expected"), [("completed", "stop"), ("incomplete", "length"), (None, "stop")])
def test_gateways_end_a_stream_with_response_done(status: str | None, expected: str) -> None:
    fields = {"id": "r", "output": [], "usage": USAGE, "incomplete_details": {"reason": "max_output_tokens"}}
    last = event("done", response={**fields, **({"status": status} if status else {})})
    piece = event("content_part.delta", output_index=0, content_index=0, delta="It is ")
    other = event("content_part.delta", output_index=0, content_index=0, delta={"type": "output_text", "text": "dry."})
    response = streamed(event("output_item.added", output_index=0, item=begun(MESSAGE)), piece, other, last, done=True)
    assert (response.text, response.finish_reason) == ("It is dry.", expected)


def test_events_that_nobody_knows_are_in_raw() -> None:
    part = event("reasoning_part.added", output_index=0, part={"type": "reasoning_text"})
    response = streamed(part, completed([MESSAGE]))
    assert response.raw is not None
    assert response.raw["events"] == [part]


def test_an_end_of_the_body_is_accepted_where_you_say_so() -> None:
    events = [
        event("output_item.added", output_index=0, item=begun(MESSAGE)),
        event("output_text.delta", delta="It is dry."),
    ]
    response = streamed(*events, require_finish=False)
    assert (response.text, response.finish_reason, response.usage.total) == ("It is dry.", "other", 0)
    assert [notice.code for notice in response.notices] == ["finish_missing"]
    with pytest.raises(StreamTruncatedError):
        streamed(*events)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "message", "id": "m", "role": "assistant", "content": "It is dry."},
        {"role": "assistant", "content": [{"type": "output_text", "text": "It is dry."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "It is dry."}]},
    ],
    ids=["a string", "without a type", "another type"],
)
def test_text_is_read_and_goes_back_however_it_stands(message: dict[str, Any]) -> None:
    assert streamed(completed([message])).text == "It is dry."
    with serve(reply(json={"status": "completed", "output": [message]})) as server:
        provider = asks(server)
        turn = provider.chat("Hi")
        provider.chat([Message.user("Hi"), turn.message, Message.user("So?")])
    assert turn.text == "It is dry."
    assert server.requests[1].json["input"][1] == {"type": "message", **message}


def test_a_reply_that_has_its_text_alone_is_read() -> None:
    with serve(reply(json={"status": "completed", "output_text": "It is dry."})) as server:
        assert asks(server).chat("Hi").text == "It is dry."
    last = event("completed", response={"status": "completed", "output_text": "It is dry."})
    assert streamed(last).text == "It is dry."


@pytest.mark.parametrize("output", [None, {"a": 1}, "It is dry."])
def test_a_reply_without_output_is_no_empty_success(output: Any) -> None:
    with pytest.raises(ResponseError, match="the reply has no output"):
        decode_full(output)


@pytest.mark.parametrize("fields", [{}, {"output": None}, {"output": {"a": 1}}])
def test_a_stream_that_says_nothing_is_no_empty_success(fields: dict[str, Any]) -> None:
    with pytest.raises(ResponseError, match="the reply has no output"):
        streamed(event("completed", response={"id": "r", **fields}))
    assert streamed(event("completed", response={"id": "r", "output": []})).text == ""


CITED = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 10}


def test_an_item_that_no_event_announces_is_told_by_its_id() -> None:
    item = {**MESSAGE, "phase": "final_answer", "content": [{**MESSAGE["content"][0], "annotations": [CITED]}]}
    delta = event("output_text.delta", output_index=1, content_index=0, item_id="msg_1", delta="It is dry.")
    response = streamed(delta, completed([THOUGHT, item]))
    assert response.text == "It is dry."
    assert [citation.url for citation in response.citations] == ["https://a.example"]
    [text] = [part for part in response.message.parts if isinstance(part, TextPart)]
    assert text.state is not None
    assert text.state.data["phase"] == "final_answer"
    moved = streamed(delta, completed([item, THOUGHT]))
    assert (moved.text, moved.citations) == (text.text, text.citations)


def test_an_item_without_an_id_is_told_by_its_place() -> None:
    item = {**MESSAGE, "content": [{**MESSAGE["content"][0], "annotations": [CITED]}]}
    delta = event("output_text.delta", output_index=0, content_index=0, delta="It is dry.")
    assert streamed(delta, completed([item])).citations[0].title == "A"
    assert streamed(delta, completed([THOUGHT])).citations == []


def test_citations_of_an_item_that_is_never_done_are_kept() -> None:
    place = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    response = streamed(
        event("output_item.added", output_index=0, item=begun(MESSAGE)),
        event("output_text.delta", **place, delta="It is dry."),
        event("output_text.annotation.added", **place, annotation_index=0, annotation=CITED),
        event("output_text.annotation.added", **place, annotation_index=1, annotation={**CITED, "title": "B"}),
        event("output_text.done", **place, text="It is dry."),
        completed([]),
    )
    assert response.text == "It is dry."
    assert [citation.title for citation in response.citations] == ["A", "B"]


@pytest.mark.parametrize("kind", ["error", "response.error"])
def test_an_error_event_of_any_name_raises(kind: str) -> None:
    with pytest.raises(RateLimitError, match="slow down"):
        streamed({"type": kind, "error": {"code": "rate_limit_exceeded", "message": "slow down"}})


def test_content_before_the_streamed_text_stays_before_it() -> None:
    content = [{"type": "hologram", "beam": 1}, MESSAGE["content"][0]]
    response = streamed(
        event("output_item.added", output_index=0, item=begun(MESSAGE)),
        event("content_part.done", output_index=0, content_index=0, part=content[0]),
        event("output_text.delta", output_index=0, content_index=1, delta="It is "),
        event("output_text.delta", output_index=0, content_index=1, delta="dry."),
        event("output_item.done", output_index=0, item={**MESSAGE, "content": content}),
        completed([]),
    )
    assert [type(part).__name__ for part in response.message.parts] == ["VendorPart", "TextPart"]
    assert response.text == "It is dry."


def test_arguments_that_are_an_object_are_read() -> None:
    call = {**CALLS[0], "arguments": {"zone": "CET"}}
    assert [one.args for one in decode_full([call]).tool_calls] == [{"zone": "CET"}]
    assert [one.args for one in streamed(completed([call])).tool_calls] == [{"zone": "CET"}]


def test_usage_in_the_words_of_chat_completions_counts() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 4}}
    usage = decode_full([MESSAGE], usage={"prompt_tokens": 3, "completion_tokens": 5, **details}).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens) == (3, 5, 2, 4)
