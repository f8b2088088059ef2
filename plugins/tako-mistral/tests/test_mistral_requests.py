"""Requests to Mistral, checked by a server that is as strict as Mistral's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tako_mistral.wire import call_ids

import tako
from tako import ChatRequest, ContentPart, Message
from tako.errors import ConfigurationError
from tako.parts import Part, ReasoningPart, TextPart
from tako.providers import Mistral
from tako.state import Origin, State
from tako.testing.server import Received, Reply, Server, reply, serve
from tako.types import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = {"id": "c1", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Hi."}}]}
FOLLOWERS = {
    "": {"system", "user"},
    "system": {"system", "user", "assistant"},
    "user": {"system", "user", "assistant"},
    "assistant": {"user", "assistant", "tool"},
    "tool": {"tool", "assistant"},
}
CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")


def strict(request: Received) -> Reply:
    """Check a request as Mistral does: only its fields, its form of ids, its order of roles, a result for each call."""
    body = request.json
    known = {"model", "messages", "tools", "tool_choice", "temperature", "top_p", "max_tokens", "stop", "random_seed"}
    known |= {"response_format", "reasoning_effort", "metadata", "safe_prompt", "stream"}
    problem = "" if set(body) <= known else f"extra inputs: {set(body) - known}"
    last, open_calls = "", set[str]()
    for message in body["messages"]:
        if message["role"] not in FOLLOWERS[last] or (open_calls and message["role"] != "tool"):
            problem = f"Unexpected role {message['role']!r} after role {last!r}"
        last = message["role"]
        for call in message.get("tool_calls", ()):
            problem = problem or ("" if CALL_ID.fullmatch(call["id"]) else f"Tool call id was {call['id']}")
            open_calls.add(call["id"])
        if last == "tool":
            open_calls.discard(message["tool_call_id"])
    if open_calls:
        problem = "Not the same number of function calls and responses"
    if last not in ("user", "tool") and not body["messages"][-1].get("prefix"):
        problem = f"Expected last role User or Tool but got {last}"
    error = {"object": "error", "message": problem, "type": "invalid_request_message_order", "code": "3230"}
    return reply(json=error, status=400) if problem else reply(json=ANSWER)


def sent(request: ChatRequest | list[Message] | str, **options: Any) -> tuple[dict[str, Any], list[tako.Notice]]:
    """Return the body that the strict server accepted, and the notices of the response."""
    with serve(strict) as server:
        provider = Mistral("mistral-small-latest", base_url=server.url + "/v1", api_key="k", max_retries=0, **options)
        response = provider.blocking.chat(request)
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].headers["authorization"] == "Bearer k"
    return server.requests[0].json, response.notices


def test_the_smallest_request_has_no_other_fields() -> None:
    body, notices = sent("Hello")
    assert body == {"model": "mistral-small-latest", "messages": [{"role": "user", "content": "Hello"}]}
    assert notices == []


def test_parameters_have_mistrals_names() -> None:
    tool = tako.Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    body, notices = sent(
        ChatRequest(
            [Message.system("Be brief."), Message.user("Hi")],
            tools=[tool],
            tool_choice="required",
            temperature=0.2,
            top_p=0.9,
            max_tokens=64,
            stop=["END"],
            seed=7,
            response_format=tako.JsonSchema(
                "person", {"type": "object", "properties": {}, "additionalProperties": False}
            ),
            reasoning="high",
            metadata={"run": "1"},
        ),
        safe_prompt=True,
    )
    assert notices == []
    del body["messages"], body["tools"]
    assert body == {
        "model": "mistral-small-latest",
        "tool_choice": "any",
        "temperature": 0.2,
        "top_p": 0.9,
        "max_tokens": 64,
        "stop": ["END"],
        "random_seed": 7,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": schema, "strict": True},
        },
        "reasoning_effort": "high",
        "metadata": {"run": "1"},
        "safe_prompt": True,
    }


@pytest.mark.parametrize(
    ("roles", "wire"),
    [
        ("user assistant system user", "user system assistant user"),
        ("user system", "system user"),
        ("user user system system", "user system system user"),
        ("user assistant system", "user system assistant"),
    ],
)
def test_system_messages_move_up_to_where_mistral_accepts_them(roles: str, wire: str) -> None:
    body, notices = sent([Message(Role(role), role) for role in roles.split()])
    assert " ".join([message["role"] for message in body["messages"]]) == wire
    assert {notice.code for notice in notices} == {"moved_turn"}


def test_a_system_message_does_not_separate_results_from_the_reply_to_them() -> None:
    call, result = ContentPart.tool_call("D681PevKs", "now", {}), Message.tool("D681PevKs", "12:00")
    body, notices = sent([Message.user("?"), Message.assistant([call]), result, Message.system("Be brief.")])
    assert [message["role"] for message in body["messages"]] == ["user", "system", "assistant", "tool"]
    assert [notice.code for notice in notices] == ["moved_turn"]


def test_a_request_s_seed_overrides_the_provider_s() -> None:
    assert sent("Hi", random_seed=1, safe_prompt=False)[0]["random_seed"] == 1
    assert sent("Hi", safe_prompt=False)[0]["safe_prompt"] is False
    assert sent(ChatRequest([Message.user("Hi")], seed=2), random_seed=1)[0]["random_seed"] == 2
    assert sent(ChatRequest([Message.user("Hi")], extra={"random_seed": 3}), random_seed=1)[0]["random_seed"] == 3


def test_a_request_for_a_stream_has_no_stream_options() -> None:
    with serve(reply([b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'])) as server:
        list(Mistral("m", base_url=server.url, api_key="k").blocking.stream("Hi"))
    assert server.requests[0].json == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def test_magistral_accepts_no_effort() -> None:
    body, notices = sent(ChatRequest([Message.user("Hi")], model="magistral-medium-latest", reasoning=1000))
    assert "reasoning_effort" not in body
    assert [notice.code for notice in notices] == ["unsupported_parameter"]


def test_images_are_sent_as_data_urls_and_urls() -> None:
    png = "iVBORw0KGgo="
    parts: list[Part] = [
        ContentPart.text("Compare"),
        ContentPart.image("image/png", png),
        ContentPart.image_url("https://example.com/a.png"),
        ContentPart.image("image/bmp", "Qk0="),
    ]
    body, notices = sent([Message.user(parts)])
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "Compare"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    assert [(notice.code, notice.path) for notice in notices] == [("unsupported_media_type", "messages[0].content[3]")]


def conversation(*ids: str) -> list[Message]:
    """Return a user's message, calls with these ids, and their results."""
    return [
        Message.user("Weather?"),
        Message.assistant([ContentPart.tool_call(id, "weather", {"n": n}) for n, id in enumerate(ids)]),
        Message(Role.TOOL, [ContentPart.tool_result(id, f"result {n}") for n, id in enumerate(ids)]),
    ]


def test_ids_of_other_vendors_are_replaced_in_calls_and_results_alike() -> None:
    own, foreign = "D681PevKs", "toolu_01A09q90qw90lq917835lq9"
    first, _ = sent(conversation(own, foreign))
    again, _ = sent([*conversation(own, foreign), Message.assistant("18C"), *conversation("call_2", foreign + "x")])
    calls = [call["id"] for call in first["messages"][1]["tool_calls"]]
    assert calls[0] == own
    assert calls[1] != foreign
    assert [message["tool_call_id"] for message in first["messages"][2:]] == calls
    assert again["messages"][:4] == first["messages"]


@given(st.lists(st.one_of(st.text(max_size=12), st.from_regex(CALL_ID, fullmatch=True)), min_size=1, unique=True))
def test_every_id_has_its_own_short_id(ids: list[str]) -> None:
    short = {id: next(call_ids(id)) for id in ids}
    assert all(CALL_ID.fullmatch(other) for other in short.values())
    assert len(set(short.values())) == len(ids)
    assert all(short[id] == id for id in ids if CALL_ID.fullmatch(id))


def test_an_id_may_be_the_short_form_of_another() -> None:
    short = next(call_ids("call_1"))
    calls = sent(conversation("call_1", short))[0]["messages"][1]["tool_calls"]
    assert calls[1]["id"] == short
    assert calls[0]["id"] != short


def test_an_id_that_the_server_made_is_sent_back_to_it_only() -> None:
    call = {"id": "chatcmpl-tool-1", "function": {"name": "now", "arguments": "{}"}}
    first = {"choices": [{"message": {"content": "", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    with serve(reply(json=first), reply(json=ANSWER)) as server, serve(reply(json=ANSWER)) as other:
        provider = Mistral("m", base_url=server.url, api_key="k").blocking
        response = provider.chat("Time?")
        history = [Message.user("Time?"), response.message, Message.tool("chatcmpl-tool-1", "12:00")]
        provider.chat(history)
        Mistral("m", base_url=other.url, api_key="k").blocking.chat(history)
    for messages, own in ((server.requests[1].json["messages"], True), (other.requests[0].json["messages"], False)):
        assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"]
        assert (messages[2]["tool_call_id"] == "chatcmpl-tool-1") is own


def thought(text: str, **state: Any) -> ReasoningPart:
    """Return Mistral's reasoning, as a reply's decoder makes it."""
    return ReasoningPart(text, State(Origin("mistral"), {"type": "thinking", **state}))


def test_own_reasoning_is_sent_back_as_a_thinking_chunk_and_foreign_reasoning_is_left_out() -> None:
    parts: list[Part] = [
        thought("Let me see.", closed=True, signature="sig"),
        thought("Hm."),
        ReasoningPart("Secret.", State(Origin("anthropic"), {"signature": "x"})),
        ContentPart.text("Hello."),
    ]
    body, notices = sent([Message.user("Hi"), Message.assistant(parts), Message.user("Again")])
    assert body["messages"][1] == {
        "role": "assistant",
        "content": [
            {
                "type": "thinking",
                "thinking": [{"type": "text", "text": "Let me see."}],
                "closed": True,
                "signature": "sig",
            },
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
            {"type": "text", "text": "Hello."},
        ],
    }
    assert [(notice.code, notice.path) for notice in notices] == [("foreign_state", "messages[1].content[2]")]


def test_misplaced_reasoning_has_a_notice() -> None:
    body, notices = sent([Message.user([thought("Hm."), ContentPart.text("Hi")])])
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert [(notice.code, notice.path) for notice in notices] == [("misplaced_part", "messages[0].content[0]")]


def test_a_model_message_is_added_between_tool_results_and_the_user_with_a_notice() -> None:
    messages = [*conversation("D681PevKs"), Message.user("And Rome?")]
    body, notices = sent(messages)
    assert body["messages"][3:] == [{"role": "assistant", "content": "OK."}, {"role": "user", "content": "And Rome?"}]
    assert [notice.code for notice in notices] == ["added_turn"]
    assert sent(ChatRequest(messages, strict=True))[0] == body


def test_parts_next_to_results_follow_the_models_message() -> None:
    messages = conversation("D681PevKs")
    messages[2] = Message(Role.TOOL, [ContentPart.text("Look:"), ContentPart.tool_result("D681PevKs", "18C")])
    body, _ = sent(messages)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "assistant", "user"]


def test_a_last_message_of_the_models_is_the_beginning_of_its_reply() -> None:
    body, notices = sent([Message.user("Count"), Message.assistant("One, two,")])
    assert body["messages"][-1] == {"role": "assistant", "content": "One, two,", "prefix": True}
    assert notices == []


def test_extra_is_merged_last() -> None:
    extra = {"prompt_mode": "reasoning", "messages": [{"role": "user", "content": "Other"}]}
    with serve(reply(json=ANSWER)) as server:
        provider = Mistral("m", base_url=server.url, api_key="k")
        provider.blocking.chat(ChatRequest([Message.user("Hi")], extra=extra))
    assert server.requests[0].json == {"model": "m", **extra}


def test_the_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="MISTRAL_API_KEY"):
        Mistral("m")
    monkeypatch.setenv("MISTRAL_API_KEY", "from-env")
    assert tako.get_provider("mistral:mistral-small-latest").id == "mistral:mistral-small-latest"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
PARTS = st.one_of(
    TEXT.map(ContentPart.text),
    st.builds(ContentPart.image, st.sampled_from(["image/png", "image/tiff", ""]), st.sampled_from(["QUJD", "?"])),
    TEXT.map(ContentPart.image_url),
    st.builds(ContentPart.tool_call, TEXT, TEXT, st.one_of(TEXT, st.dictionaries(TEXT, st.integers()))),
    st.builds(ContentPart.tool_result, TEXT, st.one_of(TEXT, st.none(), st.lists(TEXT)), st.booleans()),
    st.builds(
        lambda text, name: ReasoningPart(text, State(Origin(name), {"type": "thinking"})),
        TEXT,
        st.sampled_from(["mistral", "openai"]),
    ),
)
MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(list(Role)), st.lists(PARTS, max_size=4)), min_size=1, max_size=4
)


def on_the_wire(messages: list[dict[str, Any]]) -> int:
    """Count images, thinking, calls and results."""
    lists = [message["content"] for message in messages if isinstance(message.get("content"), list)]
    blocks = sum(1 for content in lists for block in content if block["type"] != "text")
    calls = sum(len(message.get("tool_calls", ())) for message in messages)
    return blocks + calls + sum(1 for message in messages if message["role"] == "tool")


@pytest.fixture(scope="module")
def lenient() -> Iterator[tuple[Server, Mistral]]:
    """A server that accepts everything, and a provider that uses it."""
    with serve(reply(json=ANSWER)) as server:
        provider = Mistral("m", base_url=server.url, api_key="k")
        yield server, provider
        provider.blocking.close()


STILL_THERE = ("added_turn", "moved_turn", "error_flag", "changed_part")
"""Codes of notices about parts that are sent, or about no part."""


@given(messages=MESSAGES)
@example([Message.assistant([ContentPart.tool_call("", "", "00")]), Message.user([ContentPart.tool_result("", None)])])
def test_any_conversation_is_sent_and_no_part_is_lost_without_a_notice(
    lenient: tuple[Server, Mistral], messages: list[Message]
) -> None:
    server, provider = lenient
    response = provider.blocking.chat([*messages, Message.user("?")])
    parts = {f"messages[{i}].content[{j}]": part for i, m in enumerate(messages) for j, part in enumerate(m.parts)}
    lost = {notice.path for notice in response.notices if notice.code not in STILL_THERE}
    assert lost <= set(parts)
    kept = [part for path, part in parts.items() if path not in lost]
    wire = server.requests[-1].json["messages"]
    assert on_the_wire(wire) == sum(1 for part in kept if not isinstance(part, TextPart))
    sent_text = str([message.get("content") for message in wire])
    assert all(repr(part.text)[1:-1] in sent_text for part in kept if isinstance(part, TextPart))
    assert not any(part.text for path, part in parts.items() if isinstance(part, TextPart) and path in lost)
