"""Values that nest without end: one line of tako's, whatever the door, whoever is asked, in each direction."""

from __future__ import annotations

import asyncio
import json
import pickle
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tako
from tako import ChatRequest, ChatResponse, Conductor, ContentPart, JsonSchema, Message, Origin, State, Tool
from tako.errors import LONGEST, ConfigurationError, ResponseError, TakoError, short_repr
from tako.fold import parse_arguments
from tako.json_values import DEEPEST, is_deep
from tako.kit.encoding import encode
from tako.kit.nesting import is_deep as is_deep_json
from tako.parts import TextPart, ToolCallPart, ToolResultPart
from tako.providers import HttpGeneric, PythonProvider
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import Received, Reply, reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tako import Provider

    At = Callable[..., Provider]

VENDORS = ("openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex")
DEPTHS = (DEEPEST + 1, 400, 900, 5000, 100_000)
WAYS = [False, True]


pytestmark = pytest.mark.usefixtures("without_finalizers")


def nested(depth: int) -> Any:
    """Objects and arrays by turns."""
    return reduce(lambda inner, i: [inner] if i % 2 else {"a": inner}, range(depth), 1)


def text(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["a"] = [value, value]
    return value


def ask(provider: Provider, request: Any, streamed: bool) -> ChatResponse:
    face = provider.blocking
    return face.stream(request).response() if streamed else face.chat(request)


def outcome(work: Callable[[], Any]) -> Any:
    """Return what a function returns, or its TakoError, which is short; anything else that is raised is a fault."""
    try:
        return work()
    except TakoError as error:
        if len(str(error)) > LONGEST:
            raise
        return error


def turn(args: Any, result: Any = "r") -> list[Message]:
    return [Message.user("x"), Message.assistant([ToolCallPart("call_1", "f", args)]), Message.tool("call_1", result)]


def doors(value: Any) -> dict[str, tuple[str, ChatRequest]]:
    """Every place of a request that holds JSON: its path, and the request."""
    hello, tool, place = [Message.user("x")], Tool("f"), "messages[0].content[0]"
    schema = {"type": "object", "properties": {"p": value}}
    return {
        "arguments": ("messages[1].content[0].args", ChatRequest(turn(value), tools=[tool])),
        "result": ("messages[2].content[0].result", ChatRequest(turn({}, value), tools=[tool])),
        "schema of a tool": ("tools[0].input_schema", ChatRequest(hello, tools=[Tool("f", "", schema)])),
        "schema of a reply": ("response_format.schema", ChatRequest(hello, response_format=JsonSchema("s", schema))),
        "extra": ("extra", ChatRequest(hello, extra={"x": value})),
        "extra of a part": (f"{place}.extra", ChatRequest([Message.user([TextPart("x", extra={"x": value})])])),
        "extra of a tool": ("tools[0].extra", ChatRequest(hello, tools=[Tool("f", extra={"x": value})])),
        "a vendor's tool": ("tools[0].block", ChatRequest(hello, tools=[Tool.vendor("openai", {"x": value})])),
        "a vendor's block": (
            f"{place}.state",
            ChatRequest([Message.user([ContentPart.vendor("openai", {"x": value}), TextPart("x")])]),
        ),
        "state": (
            f"{place}.state",
            ChatRequest([Message.user([TextPart("x", state=State(Origin("openai"), {"x": value}))])]),
        ),
    }


@pytest.fixture
def send(at: At, answers: dict[str, Any]) -> Any:
    """Return what asks a vendor a request, and the request as it came; a refusal fails."""

    def send(name: str, request: ChatRequest) -> Received:
        with serve(reply(json=answers[name])) as server:
            ask(at(name, server.url, max_retries=0), request, streamed=False)
        return server.requests[0]

    return send


@pytest.mark.parametrize("door", doors(1))
@pytest.mark.parametrize("name", VENDORS)
def test_a_value_of_a_request_that_nests_too_deeply_is_refused_by_its_place(name: str, door: str, at: At) -> None:
    with serve(reply("")) as server:
        provider = at(name, server.url, max_retries=0)
        for value in (*map(nested, DEPTHS), endless()):
            path, request = doors(value)[door]
            for streamed in WAYS:
                error = outcome(partial(ask, provider, request, streamed))
                assert isinstance(error, ConfigurationError)
                assert str(error) == f"{path} is nested deeper than {DEEPEST} levels"
        assert server.requests == []


@pytest.mark.parametrize("door", doors(1))
@pytest.mark.parametrize("name", VENDORS)
def test_a_value_of_as_many_levels_as_may_be_goes_out(name: str, door: str, send: Any) -> None:
    assert send(name, doors(nested(DEEPEST - 2))[door][1]).json


@pytest.mark.parametrize("name", VENDORS)
def test_arguments_and_results_that_are_text_go_out_however_deep_they_nest(name: str, send: Any) -> None:
    for depth in DEPTHS:
        for arguments in (text(depth), text(depth)[:-3]):
            received = send(name, ChatRequest(turn(arguments, arguments), tools=[Tool("f")]))
            assert received.body.decode().replace("\\", "").count(arguments) == 2


def test_parts_within_parts_within_parts_are_refused_too() -> None:
    for depth in DEPTHS:
        inner: Any = reduce(lambda within, _: [ToolResultPart("c", within)], range(depth), "x")
        error = outcome(partial(ask, PythonProvider("p", str), ChatRequest(turn({}, inner)), streamed=False))
        assert "content[0].result" in str(error)


def completion_with_call(name: str, args: str) -> tuple[str, Reply]:
    """A call with these arguments, as the vendor writes it: whole, and streamed."""
    arguments = json.dumps(args)
    if name in ("openai", "azure-openai", "mistral"):
        call = (
            f'{{"index": 0, "id": "call_1", "type": "function", "function": {{"name": "f", "arguments": {arguments}}}}}'
        )
        choice = f'{{"%s": {{"role": "assistant", "tool_calls": [{call}]}}, "finish_reason": "tool_calls"}}'
        body = f'{{"choices": [{choice}]}}'
        return body % "message", reply(sse(f"data: {body % 'delta'}\n\n".encode()))
    if name == "anthropic":
        block = '{"type": "tool_use", "id": "call_1", "name": "f", "input": %s}'
        head = '{"type": "message", "role": "assistant", "stop_reason": "tool_use", "usage": {}, "content": [%s]}'
        delta = f'{{"type": "input_json_delta", "partial_json": {arguments}}}'
        frames = {
            "message_start": f'"message": {head % ""}',
            "content_block_start": f'"index": 0, "content_block": {block % "{}"}',
            "content_block_delta": f'"index": 0, "delta": {delta}',
            "content_block_stop": '"index": 0',
            "message_delta": '"delta": {"stop_reason": "tool_use"}, "usage": {}',
            "message_stop": '"x": 0',
        }
        pieces = [f'event: {kind}\ndata: {{"type": "{kind}", {rest}}}\n\n'.encode() for kind, rest in frames.items()]
        return head % (block % args), reply(pieces)
    if name == "ollama":
        call = f'{{"function": {{"name": "f", "arguments": {args}}}}}'
        body = f'{{"message": {{"role": "assistant", "tool_calls": [{call}]}}, "done": true, "done_reason": "stop"}}'
        return body, reply([f"{body}\n".encode()], headers={"content-type": "application/x-ndjson"})
    if name == "vertex":
        part = f'{{"functionCall": {{"name": "f", "args": {args}}}}}'
        body = f'{{"candidates": [{{"content": {{"role": "model", "parts": [{part}]}}, "finishReason": "STOP"}}]}}'
        return body, reply(sse(f"data: {body}\n\n".encode(), done=False))
    use = f'{{"toolUse": {{"toolUseId": "call_1", "name": "f", "input": {args}}}}}'
    frames = [
        event(
            "contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "call_1", "name": "f"}}}
        ),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": args}}}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("messageStop", {"stopReason": "tool_use"}),
        event("metadata", {"usage": {}}),
    ]
    body = f'{{"output": {{"message": {{"role": "assistant", "content": [{use}]}}}}, "stopReason": "tool_use"}}'
    return body, reply(frames, headers=CONTENT_TYPE)


@pytest.mark.parametrize("depth", [DEEPEST - 20, *DEPTHS])
@pytest.mark.parametrize("streamed", WAYS)
@pytest.mark.parametrize("name", VENDORS)
def test_arguments_of_a_reply_are_read_or_kept_as_text_or_refused_and_the_conversation_goes_on(
    name: str, streamed: bool, depth: int, at: At, send: Any
) -> None:
    body, stream = completion_with_call(name, text(depth))
    request = ChatRequest([Message.user("x")], tools=[Tool("f")])
    with serve(stream if streamed else reply(body)) as server:
        response = outcome(partial(ask, at(name, server.url, max_retries=0), request, streamed))
    if isinstance(response, TakoError):
        assert depth > DEEPEST
        return
    (call,) = response.tool_calls
    assert call.args == (json.loads(text(depth)) if depth <= DEEPEST else text(depth))
    assert pickle.loads(pickle.dumps(response)) == response
    assert msgspec.json.decode(msgspec.json.encode(response), type=ChatResponse).message == response.message
    assert repr(response)
    assert send(name, ChatRequest([Message.user("x"), response.message, Message.tool(call.id, "r")], tools=[Tool("f")]))


def replies(depth: int) -> Iterator[Reply]:
    """Replies that nest somewhere, in all forms that the wires have."""
    for body in (text(depth), "[" * depth, f'{{"error": {text(depth)}}}', f'{{"usage": {text(depth)}, "x": 1}}'):
        yield reply(body)
        yield reply(body, status=400)
        yield reply([b"data: ", body.encode(), b"\n\n"])
        yield reply([body.encode(), b"\n"], headers={"content-type": "application/x-ndjson"})
    yield reply([event("messageStart", {}), event("metadata", {"usage": text(depth)})], headers=CONTENT_TYPE)


@pytest.mark.parametrize("streamed", WAYS)
@pytest.mark.parametrize("name", VENDORS)
def test_a_reply_that_nests_without_end_anywhere_is_an_answer_or_an_error(name: str, streamed: bool, at: At) -> None:
    scripts = [script for depth in (DEEPEST + 1, 900, 50_000) for script in replies(depth)]
    with serve(*scripts) as server:
        provider = at(name, server.url, max_retries=0)
        for _ in scripts:
            outcome(partial(ask, provider, "x", streamed))
    assert len(server.requests) == len(scripts)


@pytest.mark.parametrize("depth", DEPTHS)
def test_what_a_callable_answers_may_not_nest_without_end(depth: int) -> None:
    value = nested(depth)
    calls = {"text": "x", "tool_calls": [{"name": "f", "args": value}]}
    response = ChatResponse(Message.assistant([ToolCallPart("c", "f", value)]))
    for answer in (calls, {"text": value}, {"text": "x", "input_tokens": value}, response, value):
        provider = PythonProvider("p", partial(answer_with, answer))
        for streamed in WAYS:
            assert isinstance(outcome(partial(ask, provider, "x", streamed)), ResponseError)
    for chunk in ({"text": value}, {"kind": "end", "raw": value}, {"kind": value}, value):
        provider = PythonProvider("p", str, stream=partial(answer_with, [chunk]))
        assert isinstance(outcome(partial(ask, provider, "x", streamed=True)), ResponseError)


def answer_with(answer: Any, request: ChatRequest) -> Any:
    return answer


def test_a_plan_that_nests_without_end_is_no_plan() -> None:
    for depth in DEPTHS:
        for plan in (f'{{"workers": {text(depth)}}}', text(depth), "[" * depth):
            lead = PythonProvider("lead", partial(answer_with, plan))
            assert isinstance(outcome(partial(asyncio.run, Conductor({"a": lead}, lead).run("x"))), ResponseError)


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_option_that_nests_without_end_is_refused_or_taken(depth: int, at: At) -> None:
    value = nested(depth)
    for name in VENDORS:
        for option in ("headers", "timeout", "capabilities", "transport", "region", "extra"):
            outcome(lambda: ask(at(name, "http://127.0.0.1:9", max_retries=0, **{option: value}), "x", streamed=False))  # noqa: B023
    for option in ("body_template", "headers", "stream_config", "capabilities", "tool_calls", "error_pointer"):
        fields = {
            "id": "acme",
            "model": "m",
            "url": "http://127.0.0.1:9",
            "body_template": {},
            "max_retries": 0,
            option: value,
        }
        outcome(lambda: ask(HttpGeneric(**fields), "x", streamed=False))  # noqa: B023 - called at once
    for work in (
        lambda: PythonProvider(value, str),
        lambda: Conductor({"a": PythonProvider("p", str)}, max_steps=value),
        lambda: tako.UrlPrefetch(timeout=value),
        lambda: PythonProvider("p", str).blocking.chat([Message(value, "x")]),
    ):
        assert isinstance(outcome(work), ConfigurationError)


texts = st.text(st.characters(exclude_characters="]}", exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=30,
)


def levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


@given(json_values, st.integers(DEEPEST - 12, DEEPEST + 2), st.booleans())
def test_levels_are_counted_right_in_values_and_in_json(inner: Any, around: int, spaced: bool) -> None:
    value = reduce(lambda within, i: [within, "[{"] if i % 2 else {"[[": within, '\\"{': 1}, range(around), inner)
    deep = around + levels(inner) > DEEPEST
    assert is_deep(value) == deep
    data = json.dumps(value, ensure_ascii=False, indent=1 if spaced else None).encode()
    assert is_deep_json(data) == deep
    assert (parse_arguments(data.decode()) == data.decode()) == deep or isinstance(value, str)


@given(st.integers(0, 3000), st.sampled_from([b'\\"', b"\\", b"[", b'"[', b"{}"]))
def test_json_that_is_cut_within_a_string_is_looked_at_once(times: int, odd: bytes) -> None:
    assert not is_deep_json(b"[" * DEEPEST + b'"' + odd * times) or odd == b'"['
    assert is_deep_json(b"[" * (DEEPEST + 1) + b'"' + odd * times)


def test_values_that_are_there_many_times_are_looked_at_once() -> None:
    value: Any = "x"
    for _ in range(DEEPEST):
        value = [value, value, {"a": value}] if is_deep([value, object()]) else [value, value, object()]
    assert not is_deep(value)
    assert is_deep([value])
    assert is_deep(endless())
    assert not is_deep(TextPart("x"))


def test_a_body_that_nests_without_end_is_one_line() -> None:
    for body in (nested(100_000), endless()):
        error = outcome(partial(encode, body))
        assert isinstance(error, ConfigurationError)
        assert str(error).endswith("nested too deeply")


def test_an_error_quotes_any_value_in_a_few_words() -> None:
    for value in (nested(100_000), endless(), ["x" * 10_000] * 1000, {str(i): i for i in range(10_000)}, object()):
        assert len(short_repr(value)) < 600
    assert (short_repr("x"), short_repr(5), short_repr(["a"]), short_repr(True)) == ("'x'", "5", "['a']", "True")
