"""Streams of servers that say less, or more, than OpenAI's; and what callers say themselves."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tako import ChatRequest, ChatResponse, ContentPart, JsonSchema, Message, Tool
from tako.errors import BadRequestError, ConfigurationError, ProviderError
from tako.parts import TextPart, ToolCallPart, ToolResultPart, VendorPart
from tako.providers import OpenAI
from tako.testing.server import Server, reply, serve, sse

CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "now", "arguments": '{"x":1}'}
DONE = {"type": "response.completed", "response": {"id": "r", "output": []}}


def streamed(*events: dict[str, Any]) -> ChatResponse:
    with serve(reply(sse(*events, done=False))) as server:
        return openai_at(server).stream("Hi").response()


def openai_at(server: Server, model: str = "gpt-6.2-sol") -> Any:
    return OpenAI(model, base_url=server.url, api_key="k-123456", api="responses", max_retries=0).blocking


def sent(request: ChatRequest, model: str = "gpt-6.2-sol") -> tuple[dict[str, Any], list[str]]:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    with serve(reply(json={"status": "completed", "output": [message]})) as server:
        response = openai_at(server, model).chat(request)
    return server.requests[0].json, [notice.code for notice in response.notices]


def at(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "output_index": 0, **fields}


@pytest.mark.parametrize(
    "events",
    [
        [at("function_call_arguments.done", arguments='{"x":1}')],
        [at("function_call_arguments.delta", delta='{"x"'), at("output_item.done", item=CALL)],
        [at("output_item.done", item=CALL), at("output_item.done", item=CALL)],
    ],
    ids=["never done", "cut deltas", "done twice"],
)
def test_arguments_are_whole_however_they_came(events: list[dict[str, Any]]) -> None:
    begun = at("output_item.added", item={**CALL, "arguments": ""})
    [part] = streamed(begun, *events, DONE).message.parts
    assert isinstance(part, ToolCallPart)
    assert (part.name, part.args) == ("now", {"x": 1})


def test_content_of_an_unknown_kind_after_streamed_text_is_kept() -> None:
    content = [{"type": "output_text", "text": "A", "annotations": []}, {"type": "weird", "a": 1}]
    item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "phase": "final_answer"}
    text, odd = streamed(
        at("output_item.added", item={**item, "content": []}),
        at("output_text.delta", content_index=0, delta="A"),
        at("output_item.done", item={**item, "content": content}),
        DONE,
    ).message.parts
    assert isinstance(text, TextPart)
    assert isinstance(odd, VendorPart)
    assert odd.state is not None
    assert (text.text, odd.kind, odd.state.data["phase"]) == ("A", "weird", "final_answer")


def test_items_that_only_the_last_event_has_are_kept_once() -> None:
    items = [{**CALL, "id": f"fc_{n}", "call_id": f"c{n}"} for n in range(3)]
    added = [{"type": "response.output_item.done", "output_index": n, "item": items[n]} for n in (0, 2)]
    response = streamed(*added, {"type": "response.completed", "response": {"output": items}})
    assert sorted(call.id for call in response.tool_calls) == ["c0", "c1", "c2"]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("completed", {}, ("stop", "completed")),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, ("length", "max_output_tokens")),
    ],
)
def test_the_last_event_says_how_a_reply_ended(kind: str, fields: dict[str, Any], expected: tuple[str, str]) -> None:
    response = streamed({"type": f"response.{kind}", "response": {"id": "r", "output": [], **fields}})
    assert (response.finish_reason, response.finish_word) == expected


def test_a_reply_that_failed_raises_though_its_status_does_not_say_so() -> None:
    with pytest.raises(ProviderError):
        streamed({"type": "response.failed", "response": {"id": "r", "status": "in_progress"}})


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
SEALED = {**REASONING, "id": "rs_2", "encrypted_content": "gAAA"}
TEXT = {"type": "output_text", "text": "So.", "annotations": []}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [TEXT]}


def again(output: list[dict[str, Any]], url: str, **extra: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Have a model say ``output`` at that address, and return what it gets back of it, with the notices."""
    bodies: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"status": "completed", "output": output})

    transport = httpx.MockTransport(answer)
    provider = OpenAI("gpt-6.2-sol", base_url=url, api_key="k-123456", api="responses", transport=transport).blocking
    turn = provider.chat("Hi")
    results = [Message.tool(call.id, "4") for call in turn.tool_calls]
    history = [Message.user("Hi"), turn.message, *results, Message.user("So?")]
    response = provider.chat(ChatRequest(history, extra=extra))
    return bodies[1]["input"][1:-1], [notice.code for notice in response.notices]


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "https://me.openai.azure.com/openai/v1"])
def test_reasoning_that_openai_does_not_have_stays_away_with_the_ids_that_belong_to_it(url: str) -> None:
    answer = {"type": "function_call_output", "call_id": "c1", "output": "4"}
    bare = [{name: value for name, value in item.items() if name != "id"} for item in (MESSAGE, CALL)]
    assert again([REASONING, MESSAGE, CALL], url) == ([*bare, answer], ["unsupported_part"])
    assert again([REASONING, MESSAGE, SEALED, CALL], url) == ([bare[0], SEALED, CALL, answer], ["unsupported_part"])
    assert again([REASONING, MESSAGE], url, store=True) == ([REASONING, MESSAGE], [])
    assert again([REASONING, MESSAGE], "https://openrouter.ai/api/v1") == ([REASONING, MESSAGE], [])


@pytest.mark.parametrize("kind", ["output_item.added", "output_item.done"])
def test_entries_of_the_output_that_are_no_items_are_in_raw(kind: str) -> None:
    answer = [{"role": "assistant", "content": "A"}, "odd", 7]
    response = streamed(at(kind, item="odder"), {**DONE, "response": {"id": "r", "output": answer}})
    assert response.text == "A"
    assert response.raw == {
        "id": "r",
        "status": "completed",
        "output": ["odd", 7],
        "events": [at(kind, item="odder")],
    }


@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
def test_a_failure_without_a_reason_says_so(streams: bool) -> None:
    failed = {"id": "r", "status": "failed", "output": [], "error": None}
    stream = reply(sse({"type": "response.failed", "response": failed}, done=False))
    with serve(stream if streams else reply(json=failed)) as server, pytest.raises(ProviderError) as caught:
        openai_at(server).stream("Hi").response() if streams else openai_at(server).chat("Hi")
    assert "the reply failed, and doesn't say why" in str(caught.value)
    assert "{" not in str(caught.value)


def test_reasoning_that_nothing_follows_is_left_out() -> None:
    assert again([MESSAGE, SEALED], "https://gateway.example") == ([MESSAGE], ["unsupported_part"])
    assert again([SEALED, {**SEALED, "id": "rs_3"}], "https://gateway.example") == ([], ["unsupported_part"] * 2)


def test_a_turn_that_is_in_a_conversation_twice_has_its_ids_once() -> None:
    with serve(reply(json={"status": "completed", "output": [SEALED, MESSAGE]})) as server:
        provider = openai_at(server)
        turn = provider.chat("Hi").message
        provider.chat([Message.user("Hi"), turn, Message.user("And?"), turn, Message.user("So?")])
    ids = [item["id"] for item in server.requests[1].json["input"] if "id" in item]
    assert ids == ["rs_2", "msg_1"]


def test_calls_of_two_origins_that_have_the_same_id_are_told_apart() -> None:
    others = Message.assistant([ContentPart.tool_call("c1", "now", {"x": 2})])
    with serve(reply(json={"status": "completed", "output": [CALL]})) as server:
        provider = openai_at(server)
        own = provider.chat("Hi").message
        history = [others, Message.tool("c1", "2"), own, Message.tool("c1", "1"), others, Message.tool("c1", "3")]
        provider.chat([Message.user("Hi"), *history])
    sent = server.requests[1].json["input"][1:]
    assert sent[2] == CALL
    assert [item["call_id"] for item in sent] == ["c1_2", "c1_2", "c1", "c1", "c1_3", "c1_3"]
    assert [item["output"] for item in sent[1::2]] == ["2", "1", "3"]


def test_results_of_calls_that_the_vendor_keeps_go_out() -> None:
    history = [Message.tool("c9", "4"), Message.assistant([ContentPart.tool_call("c1", "now", {})]), Message.user("Hi")]
    body, noted = sent(ChatRequest(history, extra={"store": True, "previous_response_id": "resp_1"}))
    assert [item.get("call_id") for item in body["input"]] == ["c9", None]
    assert noted == ["unanswered_call"]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "computer_call_output", "call_id": "c", "output": {}},
        {"type": "compaction", "encrypted_content": "gAAA"},
    ],
)
def test_items_of_the_callers_own_go_out_as_they_are(item: dict[str, Any]) -> None:
    body, noted = sent(ChatRequest([Message.user("Hi"), Message.user([ContentPart.vendor("openai", item)])]))
    assert item in body["input"]
    assert noted == []


def test_words_of_the_request() -> None:
    tools = [Tool.vendor("openai", {"type": "custom", "name": "sh"}), Tool("now", cache=True)]
    form = JsonSchema("My Person!", {"type": "object", "properties": {}, "additionalProperties": False, "required": []})
    body, noted = sent(ChatRequest([Message.user("Hi")], tools=tools, tool_choice="sh", response_format=form))
    assert body["tool_choice"] == {"type": "custom", "name": "sh"}
    assert body["text"]["format"]["name"] == "My_Person_"
    assert noted == ["unsupported_parameter", "changed_parameter"]
    marked, noted = sent(ChatRequest([Message.user([TextPart("Hi", cache="12h")])]))
    mark = {"mode": "explicit", "ttl": "12h"}
    assert marked["input"][0]["content"] == [{"type": "input_text", "text": "Hi", "prompt_cache_breakpoint": mark}]
    assert noted == []
    assert "include" not in sent(ChatRequest([Message.user("Hi")]), "ft:gpt-4o-2024-08-06:o::1")[0]


def test_marks_of_what_is_cached_go_where_the_model_and_the_wire_have_them() -> None:
    call = ContentPart.tool_call("c1", "now", {})
    result = ToolResultPart("c1", "4", cache=True)
    answer = TextPart("I look.", cache=True)
    history = [Message.user([TextPart("Hi", cache="1h")]), Message.assistant([answer, call]), Message.user([result])]
    body, noted = sent(ChatRequest(history))
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    assert body["input"][0]["content"] == [{"type": "input_text", "text": "Hi", **mark}]
    assert body["input"][3]["output"] == [{"type": "input_text", "text": "4", **mark}]
    assert noted == ["changed_parameter", "unsupported_parameter"]
    body, noted = sent(ChatRequest(history), "gpt-5.4")
    assert "prompt_cache_breakpoint" not in str(body)
    assert noted == ["unsupported_parameter"] * 3


def test_json_is_asked_for_in_words_unless_the_first_turn_has_the_word() -> None:
    ask = [Message.system("Be brief."), Message.user("Invent a person")]
    body, noted = sent(ChatRequest(ask, response_format="json"))
    assert (body["instructions"], noted) == ("Be brief.\n\nAnswer in JSON.", ["added_turn"])
    later, _ = sent(ChatRequest([*ask, Message.assistant("{}"), Message.user("More JSON")], response_format="json"))
    assert later["instructions"] == body["instructions"]
    body, noted = sent(ChatRequest([Message.user("A person, as json")], response_format="json"))
    assert ("instructions" in body, noted) == (False, [])


def test_an_effort_by_extra_leaves_sampling_out_as_any_other() -> None:
    request = ChatRequest([Message.user("Hi")], temperature=0.4, extra={"reasoning": {"effort": "high"}})
    body, noted = sent(request, "gpt-5.4")
    assert (body.get("temperature"), body["reasoning"], noted) == (None, {"effort": "high"}, ["unsupported_parameter"])
    summary = ChatRequest([Message.user("Hi")], temperature=0.4, extra={"reasoning": {"summary": "auto"}})
    assert sent(summary, "gpt-5.4")[0]["temperature"] == 0.4


def test_sampling_beside_an_effort_is_for_other_servers_alone() -> None:
    for url, expected in (("https://api.openai.com/v1", None), ("https://vllm.example/v1", 0.4)):
        bodies: list[dict[str, Any]] = []

        def answer(request: httpx.Request, bodies: list[dict[str, Any]] = bodies) -> httpx.Response:
            bodies.append(json.loads(request.content))
            return httpx.Response(200, json={"status": "completed", "output": [MESSAGE]})

        options: Any = {"base_url": url, "api_key": "k-123456", "transport": httpx.MockTransport(answer)}
        provider = OpenAI("of-next-year", api="responses", **options).blocking
        provider.chat("Hi", temperature=0.4, reasoning="high")
        assert bodies[0].get("temperature") == expected


def test_a_model_that_does_not_reason_is_asked_once_more() -> None:
    refusal = {"error": {"message": "Encrypted content is not supported with this model.", "param": "include"}}
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    answers = iter([reply(json=refusal, status=400), reply(json={"status": "completed", "output": [message]})])
    with serve(lambda _: next(answers)) as server:
        assert openai_at(server, "prod").chat("Hi").text == "ok"
    assert ["include" in request.json for request in server.requests] == [True, False]


def test_encrypted_reasoning_that_the_server_cannot_read_is_refused_once() -> None:
    message = "The encrypted content gAAA could not be verified."
    refusal = {"error": {"message": message, "code": "invalid_encrypted_content", "type": "invalid_request_error"}}
    with (
        serve(reply(json=refusal, status=400)) as server,
        pytest.raises(BadRequestError, match="could not be verified"),
    ):
        openai_at(server).chat("Hi")
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["Transfer-Encoding", "content-length", "Host", "Connection"])
def test_a_request_cannot_set_how_it_is_framed(name: str) -> None:
    with serve(reply(json={})) as server, pytest.raises(ConfigurationError, match=f"the header {name} can't be set"):
        openai_at(server).chat(ChatRequest([Message.user("Hi")], headers={name: "3"}))
    assert server.requests == []


def test_a_header_of_a_request_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "sk-secret-123456")
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}
    with serve(reply(json={"status": "completed", "output": [message]})) as server:
        openai_at(server).chat(ChatRequest([Message.user("Hi")], headers={"x-a": "$ENV:MY_SECRET"}))
    assert server.requests[0].headers["x-a"] == "$ENV:MY_SECRET"


def test_a_conversation_that_the_vendor_keeps_is_stored() -> None:
    body, _ = sent(ChatRequest([Message.user("Hi")], extra={"conversation": "conv_1"}))
    assert (body["conversation"], "store" in body) == ("conv_1", False)
    assert sent(ChatRequest([Message.user("Hi")]))[0]["store"] is False


@pytest.mark.parametrize(("model", "effort"), [("gpt-6-astra", "low"), ("gpt-6.1-sol", "low"), ("gpt-6.2-sol", "none")])
def test_a_model_that_always_reasons_gets_the_least_effort_in_place_of_none(model: str, effort: str) -> None:
    body, codes = sent(ChatRequest([Message.user("Hi")], reasoning="none"), model)
    assert body["reasoning"] == {"effort": effort}
    assert codes == ([] if effort == "none" else ["changed_parameter"])
