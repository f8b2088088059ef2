"""Values: compared, pickled, written as JSON and read again, by this version and the next."""

from __future__ import annotations

import base64
import copy
import pickle
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import tako
from tako import (
    ChatRequest,
    ChatResponse,
    ContentPart,
    Delta,
    End,
    FinishReason,
    JsonSchema,
    Message,
    Notice,
    Role,
    Tool,
    ToolCallDelta,
    Usage,
    errors,
)
from tako.errors import ConfigurationError, ProviderError, StreamTruncatedError
from tako.parts import (
    Citation,
    FileIdPart,
    FilePart,
    FileUrlPart,
    ImagePart,
    ImageUrlPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
)
from tako.request import as_request
from tako.state import Origin, State
from tako.types import Chunk, Cost

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8

SIGNED = State(Origin("acme", "m", "https://acme.test"), {"signature": "sig"})
REQUEST = ChatRequest(
    [
        Message.system("be brief"),
        Message.user(
            [ContentPart.text("look"), ContentPart.image("image/png", "QUJD"), ContentPart.image_url("https://x/y.png")]
        ),
        Message.assistant(
            [
                ReasoningPart("hm", SIGNED),
                ContentPart.tool_call("1", "f", {"a": [1]}),
                ContentPart.vendor("acme", {"k": 1}),
            ]
        ),
        Message.tool("1", {"ok": True}),
        Message.tool("2", [ContentPart.text("seen"), ContentPart.image("image/png", "QUJD")], is_error=True),
    ],
    model="m",
    tools=[Tool("f", "does", {"type": "object"}), Tool.vendor("acme", {"type": "search"})],
    tool_choice="f",
    temperature=0.5,
    stop=["x"],
    response_format=JsonSchema("s", {"type": "object"}),
    reasoning=1024,
    metadata={"a": "b"},
    extra={"n": {"m": [1]}},
    context={"tenant": object()},
    headers={"x-request": "1"},
)
RESPONSE = ChatResponse(
    Message.assistant([TextPart("hi", [Citation("https://x")], state=SIGNED), ToolCallPart("1", "f", "{broken")]),
    FinishReason.TOOL_CALLS,
    Usage(1, 2, 3, 4, 5),
    "m",
    "id",
    "acme:m",
    "done",
    [Notice("code", "what", "messages[0]", "acme")],
    {"raw": [1, None]},
)
CHUNKS: list[Any] = [
    Delta("a"),
    Delta(reasoning="b", state=SIGNED),
    Delta(citations=(Citation("https://x", start=1),)),
    Delta(part=ImagePart("image/png", "QUJD")),
    Delta(tool_calls=[ToolCallDelta(0, "1", "f", "{}")]),
    End(FinishReason.STOP, Usage(1, 2), "m", "id", notices=[Notice("c", "m")], raw={"r": 1}),
]


@pytest.mark.parametrize(
    ("value", "kind"), [(REQUEST, ChatRequest), (RESPONSE, ChatResponse), *[(chunk, Chunk) for chunk in CHUNKS]]
)
def test_a_value_survives_json_and_pickle(value: Any, kind: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value
    assert pickle.loads(pickle.dumps(value)) == value


def test_a_request_of_an_older_and_of_a_newer_version_is_read() -> None:
    old = b'{"messages": [{"role": "user", "content": "hi"}]}'
    new = (
        b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "new": 1}], "at": 2}], "later": {}}'
    )
    assert msgspec.json.decode(old, type=ChatRequest) == ChatRequest([Message.user("hi")])
    assert msgspec.json.decode(new, type=ChatRequest) == ChatRequest([Message.user([TextPart("hi")])])


def test_a_result_that_only_looks_like_parts_stays_as_it_is() -> None:
    blocks = [{"type": "text", "text": "a vendor's block"}]
    assert ToolResultPart("1", blocks).result is blocks


def test_parts_and_chunks_are_told_apart_by_their_tags() -> None:
    assert msgspec.to_builtins(TextPart("x"))["type"] == "text"
    assert [msgspec.to_builtins(chunk)["kind"] for chunk in CHUNKS] == [chunk.kind for chunk in CHUNKS]


def test_values_are_immutable_and_equal_by_value() -> None:
    assert Message.user("hi") == Message(Role.USER, "hi") != Message.user("ho")
    assert {Usage(1): 1}[Usage(1)] == 1
    assert TextPart("x") == TextPart("x") != TextPart("x", state=SIGNED)
    with pytest.raises(AttributeError):
        TextPart("x").text = "y"  # type: ignore[misc]  # the point


def test_the_constructors_make_the_parts() -> None:
    data = base64.b64encode(PNG).decode()
    assert ContentPart.text("x") == TextPart("x")
    assert ContentPart.image("image/png", data) == ImagePart("image/png", data) == ContentPart.image_bytes(PNG)
    assert ContentPart.image_url("https://x", "image/png") == ImageUrlPart("https://x", "image/png")
    assert ContentPart.tool_call("1", "f", {}) == ToolCallPart("1", "f", {})
    assert ContentPart.tool_result("1", [1], is_error=True) == ToolResultPart("1", [1], True)
    assert ContentPart.reasoning("x") == ReasoningPart("x")
    assert ContentPart.vendor("p", {"type": "t"}) == VendorPart("t", State(Origin("p"), {"type": "t"}))
    assert ContentPart.file("application/pdf", "QQ==", "a.pdf") == FilePart("application/pdf", "QQ==", "a.pdf")
    assert ContentPart.file("image/png", data) == ImagePart("image/png", data)
    assert ContentPart.file_url("https://x/a.pdf") == FileUrlPart("https://x/a.pdf")
    assert ContentPart.file_id("file-1", "acme") == FileIdPart("file-1", "acme")


def test_an_image_is_read_from_a_file(tmp_path: Any) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "a.txt").write_text("no image")
    assert ContentPart.image_file(tmp_path / "a.png").mime == "image/png"
    with pytest.raises(ValueError, match=r"a\.txt: not an image"):
        ContentPart.image_file(tmp_path / "a.txt")
    with pytest.raises(OSError, match=r"none\.png"):
        ContentPart.image_file(tmp_path / "none.png")


def test_a_file_is_told_by_its_first_bytes_and_then_by_its_name(tmp_path: Any) -> None:
    for name, data in (
        ("a.bin", b"%PDF-1.7"),
        ("b.png", b"RIFF....WAVE"),
        ("c.csv", b"a,b"),
        ("d.pdf", PNG),
        ("e", b"?"),
    ):
        (tmp_path / name).write_bytes(data)
    results = [ContentPart.file_path(tmp_path / name) for name in ("a.bin", "b.png", "c.csv", "d.pdf")]
    assert [part.mime for part in results] == ["application/pdf", "audio/wav", "text/csv", "image/png"]
    assert isinstance(results[3], ImagePart)
    assert ContentPart.file_path(tmp_path / "e", "text/plain") == FilePart("text/plain", "Pw==", "e")
    with pytest.raises(ValueError, match="give mime="):
        ContentPart.file_path(tmp_path / "e")


def test_headers_and_context_travel_with_a_request_and_are_never_written_down() -> None:
    secret = ChatRequest([Message.user("Hi")], headers={"x-key": "hunter2"}, context={"tenant": "hunter2"})
    changed = msgspec.structs.replace(secret, seed=1)
    for request in (secret, changed, copy.copy(secret), copy.deepcopy(secret)):
        assert request.headers["x-key"] == request.context["tenant"] == "hunter2"
        assert {**request.headers} == dict(request.headers.items()) == {"x-key": "hunter2"}
        assert "hunter2" not in repr(request.headers.items())
        assert "hunter2" not in repr(request)
        assert b"hunter2" not in msgspec.json.encode(request)
        assert b"hunter2" not in pickle.dumps(request)
    assert secret == ChatRequest([Message.user("Hi")])
    assert not pickle.loads(pickle.dumps(secret)).headers
    secret.context["more"] = 1
    assert secret.context.get("more") == 1
    assert len(secret.context) == 2
    assert b"more" not in msgspec.json.encode(secret)


def test_usages_and_costs_can_be_summed() -> None:
    assert sum([Usage(1, 2), Usage(3, 4, 5)]) == Usage(4, 6, 5)
    assert sum([Cost(Decimal(1)), Cost(output=Decimal(2))]) == Cost(Decimal(1), Decimal(2))


def test_an_origin_that_leaves_something_open_matches_any() -> None:
    complete = Origin("acme", "m", "https://acme.test")
    for other in (complete, Origin("acme"), Origin("acme", "m"), Origin("acme", server=complete.server)):
        assert complete.matches(other)
    for other in (Origin("bcme"), Origin("acme", "n"), Origin("acme", server="http://x")):
        assert not complete.matches(other)


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a", "image/gif"),
        (b"RIFF0000WEBP", "image/webp"),
    ],
)
def test_the_type_of_an_image_is_read_from_its_bytes(head: bytes, mime: str) -> None:
    assert ContentPart.image_bytes(head).mime == mime


def test_an_image_shows_its_size_and_not_its_data() -> None:
    assert repr(ImagePart("image/png", "QUJD")) == "ImagePart(mime='image/png', data_b64=<4 characters>)"


def test_roles_and_reasons_have_their_words_and_aliases() -> None:
    assert [role.value for role in Role] == ["system", "user", "assistant", "tool"]
    assert (Role.System, Role.User, Role.Assistant, Role.Tool) == (Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL)
    assert [reason.value for reason in FinishReason] == [
        "stop",
        "length",
        "tool_calls",
        "content_filter",
        "pause",
        "error",
        "other",
    ]
    assert tako.ToolSchema is tako.Tool


def test_a_plain_word_stands_for_a_role() -> None:
    assert Message("user", "hi") == Message.user("hi")  # type: ignore[arg-type]  # what people write


def test_a_response_gives_its_text_calls_and_reasoning() -> None:
    parts: list[Any] = [
        ReasoningPart("a"),
        TextPart("b"),
        ToolCallPart("1", "f", {}),
        ReasoningPart("c"),
        TextPart("d"),
    ]
    response = ChatResponse(Message.assistant(parts))
    assert (response.text, response.reasoning, response.tool_calls) == ("bd", "ac", [parts[2]])
    assert Message.user("hi").parts == [TextPart("hi")]


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3, 4, 5) + Usage(10, 20, 30, 40, 50) == Usage(11, 22, 33, 44, 55)
    assert Usage(3, 4, 1, 1, 1).total == 7


# --- requests


def test_whatever_stands_for_a_request_becomes_one() -> None:
    request = ChatRequest([Message.user("hi")])
    assert as_request("hi") == as_request([Message.user("hi")]) == as_request(Message.user("hi")) == request
    assert as_request(request) is request
    assert as_request(REQUEST) is REQUEST


def request_with(**options: Any) -> ChatRequest:
    return ChatRequest([Message.user("hi")], **options)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "a request is a ChatRequest, a str or a list of Messages, not an int"),
        ([], "no messages"),
        (ChatRequest("hi"), "messages is a str"),  # type: ignore[arg-type]
        (["hi"], "messages[0] is a str, not a Message"),
        ([Message.user("a"), {"role": "user"}], "messages[1] is a dict, not a Message"),
        ([Message("robot", "hi")], "messages[0].role is 'robot', not one of system, user, assistant, tool"),  # type: ignore[arg-type]
        ([Message.user(None)], "messages[0].content is None"),  # type: ignore[arg-type]
        ([Message.user(["hi"])], "messages[0].content[0] is a str, not a part: use ContentPart.text"),  # type: ignore[list-item]
        (request_with(tools=[{"name": "f"}]), "tools[0] is a dict, not a Tool"),
        (request_with(stop="END"), "stop is a str, not a list: write stop=['END']"),
        (request_with(stop=[1]), "stop[0] is an int, not a str"),
        (request_with(temperature="hot"), "temperature is a str, not a number"),
        (request_with(max_tokens=1.5), "max_tokens is a float"),
        (
            request_with(response_format={"type": "json_object"}),
            'response_format is a dict, not "json" or a JsonSchema',
        ),
        (request_with(response_format="xml"), "response_format is 'xml'"),
        (request_with(extra=[]), "extra is a list, not a dict"),
        (
            request_with(tool_choice="g", tools=[Tool("f")]),
            "tool_choice 'g' names no tool (known: auto, none, required, f)",
        ),
    ],
)
def test_a_request_that_is_none_says_where(value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        as_request(value)
    assert message in str(caught.value)


# --- errors


def every_error() -> list[type[errors.TakoError]]:
    results: list[type[errors.TakoError]] = [errors.TakoError]
    for cls in results:
        results.extend(sub for sub in cls.__subclasses__() if sub.__module__ == "tako.errors")
    return results


@pytest.mark.parametrize("cls", every_error())
def test_errors_survive_pickle_with_all_they_know(cls: type[errors.TakoError]) -> None:
    facts: dict[str, Any] = {}
    if issubclass(cls, ProviderError):
        facts = {
            "provider": "acme",
            "model": "m",
            "status_code": 400,
            "code": "c",
            "request_id": "r",
            "retry_after": 1.5,
            "body": "b",
        }
    if issubclass(cls, StreamTruncatedError):
        facts["partial"] = RESPONSE
    error = cls("what happened", **facts)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, str(again), vars(again)) == (cls, error.args, str(error), vars(error))


def test_the_tree_of_errors_is_the_one_that_its_module_draws() -> None:
    drawn = errors.__doc__ or ""
    assert [cls.__name__ for cls in every_error() if f" {cls.__name__} " not in drawn.replace("\n", " ")] == []


def test_an_error_is_one_sentence_that_names_who_what_and_the_request() -> None:
    error = errors.RateLimitError(
        "slow down", provider="acme", model="m", status_code=429, code="tokens", request_id="r-1"
    )
    assert str(error) == "acme:m: 429 tokens: slow down; try again later (request r-1)"
