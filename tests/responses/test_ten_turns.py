"""Ten turns with a server that refuses a request which is not the one before it and what has come since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import ChatRequest, Message, Tool
from tako.errors import StreamTruncatedError
from tako.fold import fold
from tako.kit.exchange import Exchange
from tako.kit.responses import ResponsesDecoder, decode_block, encode_part
from tako.providers import Fallback, OpenAI
from tako.testing.server import reply, serve, sse
from tako.translator import Translator

if TYPE_CHECKING:
    from tako import Provider
    from tako.testing.server import Received, Reply

TEXT = "response.output_text.delta"
WEATHER = Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})


def thought(n: int, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": f"rs_{n}", "summary": [], "encrypted_content": f"gAAA{n}", **more}


def message(n: int, text: str, **more: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": f"msg_{n}", "role": "assistant", "status": "completed", "content": [part], **more}


def call(n: int, **more: Any) -> dict[str, Any]:
    fields = {"call_id": f"call_{n}", "name": "weather", "arguments": '{"city":"Rome"}', "status": "completed"}
    return {"type": "function_call", "id": f"fc_{n}", **fields, **more}


TURNS: list[list[dict[str, Any]]] = [
    [thought(1), call(1), call(11, namespace="crm")],
    [thought(2, content=[]), message(2, "It is dry.", phase="final_answer")],
    [message(3, "I look.", phase="commentary"), thought(3), call(3)],
    [{"type": "web_search_call", "id": "ws_4", "status": "completed", "action": {"type": "search", "query": "Rome"}}],
    [thought(5), message(5, "So it is."), message(55, "And more.")],
    [{"type": "custom_tool_call", "id": "ctc_6", "call_id": "call_6", "name": "sql", "input": "select 1"}],
    [{"type": "hologram_call", "id": "holo_7", "beam": {"depth": [1, {"a": "b"}]}}, message(7, "Odd.")],
    [thought(8, summary=[{"type": "summary_text", "text": "Hm."}]), call(8, caller={"type": "direct"})],
    [message(9, "", content=[{"type": "refusal", "refusal": "Not that."}])],
    [thought(10), message(10, "The end.", fingerprint="fp_1")],
]


@pytest.mark.parametrize("stored", [False, True], ids=["as values", "through JSON"])
@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
def test_ten_turns_go_back_without_one_change(streams: bool, stored: bool) -> None:
    history: list[Message] = [Message.system("Be brief."), Message.user("What is the weather?")]
    with serve(Strict(TURNS, streams=streams)) as server:
        provider = provider_at(server.url).blocking
        for _ in TURNS:
            request = ChatRequest(list(history), tools=[WEATHER])
            response = provider.stream(request).response() if streams else provider.chat(request)
            results = [Message.tool(one.id, "18 °C") for one in response.tool_calls]
            history += [response.message, *(results or [Message.user("So?")])]
            if stored:
                history = msgspec.json.decode(msgspec.json.encode(history), type=list[Message])
            assert {notice.code for notice in response.notices} <= {"blocked"}
    assert len(server.requests) == len(TURNS)


@pytest.mark.parametrize("stored", [False, True], ids=["as values", "through JSON"])
@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
def test_ten_turns_of_two_servers_that_answer_by_turns(streams: bool, stored: bool) -> None:
    """As after a fallback: each server gets its own turns back as they came, and reads those of the other one."""
    history: list[Message] = [Message.system("Be brief."), Message.user("What is the weather?")]
    with serve(Strict(TURNS[::2], streams=streams)) as first, serve(Strict(TURNS[1::2], streams=streams)) as second:
        providers = [provider_at(server.url).blocking for server in (first, second)]
        for n in range(len(TURNS)):
            request = ChatRequest(list(history), tools=[WEATHER])
            provider = providers[n % 2]
            response = provider.stream(request).response() if streams else provider.chat(request)
            results = [Message.tool(one.id, "18 °C") for one in response.tool_calls]
            history += [response.message, *(results or [Message.user("So?")])]
            if stored:
                history = msgspec.json.decode(msgspec.json.encode(history), type=list[Message])
            codes = {notice.code for notice in response.notices}
            assert codes <= {"blocked", "foreign_state", "changed_part", "unsupported_part"}
    for server in (first, second):
        sent = server.requests[-1].json["input"]
        calls = [item["call_id"] for item in sent if item.get("type", "").endswith("_call") and "call_id" in item]
        assert len(set(calls)) == len(calls)
        assert calls == [item["call_id"] for item in sent if item.get("type", "").endswith("_call_output")]


@pytest.mark.parametrize("stored", [False, True], ids=["as values", "through JSON"])
@pytest.mark.parametrize("streams", [False, True], ids=["chat", "stream"])
def test_ten_turns_from_a_fallback_whose_first_member_is_down_now_and_then(streams: bool, stored: bool) -> None:
    history: list[Message] = [Message.user("What is the weather?")]
    down = [n % 3 == 1 for n in range(len(TURNS))]
    first = Strict([turn for turn, is_down in zip(TURNS, down, strict=True) if not is_down], streams=streams)
    second = Strict([turn for turn, is_down in zip(TURNS, down, strict=True) if is_down], streams=streams)
    turns = iter(down)
    with serve(lambda request: reply(status=503) if next(turns) else first(request)) as one, serve(second) as other:
        provider = Fallback([provider_at(one.url), provider_at(other.url)], pause=0).blocking
        for is_down in down:
            request = ChatRequest(list(history), tools=[WEATHER])
            response = provider.stream(request).response() if streams else provider.chat(request)
            states = [part.state for part in response.message.parts if part.state is not None]
            assert {state.origin.server for state in states} == {(other if is_down else one).url}
            results = [Message.tool(one_call.id, "18 °C") for one_call in response.tool_calls]
            history += [response.message, *(results or [Message.user("So?")])]
            if stored:
                history = msgspec.json.decode(msgspec.json.encode(history), type=list[Message])
    assert (len(one.requests), len(other.requests)) == (len(TURNS), sum(down))


@pytest.mark.parametrize("turn", TURNS[:3], ids=["calls", "text", "text and a call"])
def test_a_stream_that_is_cut_at_any_byte_is_truncated_and_has_what_came(turn: list[dict[str, Any]]) -> None:
    body, texts_by_length = b"", []  # how long the body is when a text is there, and the text
    for one in events_of(turn):
        [data] = sse(one, done=False)
        texts_by_length.append((len(body) + len(data.rstrip()), str(one["delta"]) if one["type"] == TEXT else ""))
        body += data
    provider: Any = provider_at("http://127.0.0.1:1")
    translator = Translator(encode_part, decode_block)
    for at in range(texts_by_length[-1][0]):
        exchange = Exchange("", {}, provider.context(ChatRequest([])))
        decoder = ResponsesDecoder(provider, exchange, translator)
        chunks = list(decoder.feed(body[:at]))
        with pytest.raises(StreamTruncatedError):
            chunks += decoder.finish(clean=True)
        partial = fold(chunks)
        assert partial.text == "".join(text for end, text in texts_by_length if end <= at)
        assert all(call.args == {"city": "Rome"} for call in partial.tool_calls)


@pytest.mark.parametrize("turn", TURNS[:3], ids=["calls", "text", "text and a call"])
def test_a_connection_that_ends_anywhere_is_a_truncated_stream(turn: list[dict[str, Any]]) -> None:
    *before, end = sse(*events_of(turn), done=False)
    body = b"".join(before) + end
    cuts = range(1, len(body) - len(end) // 2, 29)
    script = iter([reply([body[:at]]) for at in cuts])
    text = "".join(part["text"] for item in turn for part in item.get("content", ()))
    with serve(lambda _: next(script)) as server:
        provider = provider_at(server.url).blocking
        for _ in cuts:
            with pytest.raises(StreamTruncatedError) as caught:
                provider.stream("Hi").response()
            assert caught.value.partial is not None
            assert text.startswith(caught.value.partial.text)


def provider_at(url: str) -> Provider:
    return OpenAI("gpt-6.2-sol", base_url=url, api_key="k-123456", api="responses", max_retries=0)


class Strict:
    """Says its turns one after the other; answers 400 to a request that isn't the one before with what came since."""

    def __init__(self, turns: list[list[dict[str, Any]]], *, streams: bool) -> None:
        self.turns = iter(turns)
        self.streams = streams
        self.before: list[Any] = []

    def __call__(self, request: Received) -> Reply:
        items = request.json["input"]
        if items[: len(self.before)] != self.before:
            return reply(json={"error": {"message": f"{items} is not {self.before}"}}, status=400)
        turn = next(self.turns)
        self.before = [*items, *turn]
        return reply(sse(*events_of(turn))) if self.streams else reply(json=response_of(turn))


def response_of(turn: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-6.2-sol", "output": turn}


def events_of(turn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of a turn: each item is added, its text and arguments come in pieces, and it is done."""
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response_of([]), "status": "in_progress"}}
    ]
    for n, item in enumerate(turn):
        events.append({"type": "response.output_item.added", "output_index": n, "item": item_begun(item)})
        at = {"output_index": n, "item_id": item["id"]}
        if item["type"] == "function_call":
            events += [
                {"type": "response.function_call_arguments.delta", **at, "delta": piece}
                for piece in (item["arguments"][:5], item["arguments"][5:])
            ]
        for k, part in enumerate(item.get("content", ()) if item["type"] == "message" else ()):
            kind, name = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
            at = {**at, "content_index": k}
            events += [
                {"type": f"response.{kind}.delta", **at, "delta": piece} for piece in (part[name][:3], part[name][3:])
            ]
        events.append({"type": "response.output_item.done", "output_index": n, "item": item})
    return [*events, {"type": "response.completed", "response": response_of(turn)}]


def item_begun(item: dict[str, Any]) -> dict[str, Any]:
    empty = {"content": [], "status": "in_progress"} if item["type"] == "message" else {}
    return {**item, **empty, **({"arguments": ""} if "arguments" in item else {})}
