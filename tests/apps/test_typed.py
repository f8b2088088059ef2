"""Typed replies: every kind of type from every provider, what is refused, what is asked for again."""

from __future__ import annotations

import asyncio
import json
import pickle
import random
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import annotated_types
import msgspec
import pytest

import tako
from tako import Capabilities, ChatResponse, FinishReason, InvalidReplyError, Message, Tool, Usage
from tako.errors import ConfigurationError
from tako.parts import TextPart, ToolCallPart
from tako.testing.script import Call, Script
from tako.typed import reply_type_of
from tako.types import Cost

from .conftest import WIRES
from .kinds import ADA, KINDS, Colour, Company, Even, Movie, Person, Recipe, Strict, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = '{"name": "Ada", "age": 36}'


@pytest.mark.parametrize("name", WIRES)
def test_every_kind_of_type_is_read_from_every_provider(name: str, scripted: Callable[..., Any]) -> None:
    texts = [wrapped(declared, text) for declared, _, text in KINDS]
    with scripted(name, *(Script(text=text) for text in texts)) as (provider, server):
        for declared, value, _ in KINDS:
            response = provider.blocking.chat("Go", response_type=declared)
            assert response.parsed == value, declared
            assert type(response.parsed) is type(value), declared
        assert len(server.requests) == len(KINDS) >= 40


@pytest.mark.parametrize("name", WIRES)
def test_a_streamed_value_grows_and_ends_as_the_whole_one(name: str, scripted: Callable[..., Any]) -> None:
    for declared, value, text in KINDS[::4]:
        with scripted(name, Script(text=wrapped(declared, text), split=3)) as (provider, _):
            stream = provider.blocking.stream("Go", response_type=declared)
            partials = list(stream.partials)
        assert partials[-1] == value == stream.response().parsed
        assert all(one != two for one, two in pairwise(partials))


@pytest.mark.parametrize("name", WIRES)
def test_the_schema_goes_out_as_the_vendor_has_it(name: str, scripted: Callable[..., Any]) -> None:
    with scripted(name, Script(text=GOOD)) as (provider, server):
        provider.blocking.chat("Go", response_type=Person)
        sent = server.requests[0].body.decode()
    assert "age" in sent
    assert "nick" in sent
    if name == "openai":
        assert server.requests[0].json["response_format"]["json_schema"]["name"] == "Person"


@pytest.mark.parametrize(("declared", "text"), [(declared, text) for declared, _, text in KINDS], ids=str)
def test_what_isnt_the_type_is_never_a_value(declared: Any, text: str, saying: Callable[..., Any]) -> None:
    good = wrapped(declared, text)
    for bad in (good[:-1], good + "}", good + good, "", "Sure!", f"Sure! {good}", good.replace(":", "", 1)):
        provider, _ = saying(bad)
        with pytest.raises(InvalidReplyError) as caught:
            provider.blocking.chat("Go", response_type=declared, repairs=0)
        assert caught.value.reason == "mismatch"
        assert "\n" not in str(caught.value)
    provider, _ = saying(f"```json\n{good}\n```")
    assert provider.blocking.chat("Go", response_type=declared).parsed is not msgspec.UNSET


def mutations(text: str, seed: int) -> list[str]:
    """Return replies that somebody got slightly wrong."""
    chance = random.Random(seed)
    value = json.loads(text)
    texts: list[str] = []
    for _ in range(25):
        changed = json.loads(text)
        key = chance.choice([*value])
        match chance.randrange(5):
            case 0:
                del changed[key]
            case 1:
                changed[key] = chance.choice([None, [], {}, 1.5, "x", True, -1, [changed[key]]])
            case 2:
                changed[key.upper()] = changed.pop(key)
            case 3:
                changed = {"wrapped": changed}
            case _:
                at = chance.randrange(len(text))
                texts.append(text[:at] + text[at + 1 :])
                continue
        texts.append(json.dumps(changed))
    return texts


STRICT = {
    Person: lambda one: type(one.name) is str and type(one.age) is int and type(one.nick) in (str, type(None)),
    Company: lambda one: type(one.title) is str and all(type(person.age) is int for person in one.people),
    Recipe: lambda one: type(one.title) is str and one.minutes > 0 and all(type(step) is str for step in one.steps),
    Even: lambda one: one.number % 2 == 0,
}
FULL = {
    Person: '{"name": "Ada", "age": 36, "nick": "A"}',
    Company: f'{{"title": "X", "people": [{ADA}]}}',
    Recipe: '{"title": "Tea", "minutes": 5, "steps": ["boil"]}',
    Even: '{"number": 2}',
}


@pytest.mark.parametrize("declared", STRICT)
def test_two_hundred_mutated_replies_are_errors_or_fit(declared: Any, saying: Callable[..., Any]) -> None:
    refused = 0
    for text in [text for seed in (1, 2) for text in mutations(FULL[declared], seed)]:
        provider, seen = saying(text, FULL[declared])
        response = provider.blocking.chat("Go", response_type=declared)
        assert STRICT[declared](response.parsed), text
        if len(seen) == 2:
            refused += 1
            assert response.parsed == reply_type_of(declared).read(ChatResponse(Message.assistant(FULL[declared])))
            assert [notice.code for notice in response.notices] == ["repaired_reply"]
        else:  # nothing of what the reply says is lost
            says = msgspec.to_builtins(response.parsed, enc_hook=lambda one: one.model_dump())
            assert {**says, **json.loads(text)} == says, text
    assert refused >= 20


def test_a_reply_that_doesnt_fit_is_asked_for_again_with_the_errors(saying: Callable[..., Any]) -> None:
    first = ChatResponse(Message.assistant('{"name": "Ada"}'), usage=Usage(10, 5), cost=Cost(output=Decimal(1)))
    second = ChatResponse(Message.assistant(GOOD), usage=Usage(20, 5), cost=Cost(output=Decimal(2)))
    provider, seen = saying(first, second)
    response = provider.blocking.chat("Go", response_type=Person)
    assert response.parsed == Person("Ada", 36)
    assert response.usage == Usage(30, 10)
    assert response.cost == Cost(output=Decimal(3))
    before, again = seen
    assert again.messages[: len(before.messages)] == before.messages
    assert again.messages[-2] == first.message
    assert "required field `age`" in again.messages[-1].text
    assert '"properties"' in again.messages[-1].text


def test_repairs_end_with_an_error_that_has_everything(saying: Callable[..., Any]) -> None:
    wrong = ChatResponse(Message.assistant('{"name": 5}'), usage=Usage(10, 5))
    for repairs in (0, 1, 3):
        provider, seen = saying(wrong)
        with pytest.raises(InvalidReplyError, match=r"doesn't fit Person: \$") as caught:
            provider.blocking.chat("Go", response_type=Person, repairs=repairs)
        error = caught.value
        assert len(seen) == repairs + 1
        assert (error.reason, error.retryable, error.response.text) == ("mismatch", False, '{"name": 5}')
        assert error.response.usage == Usage(10 * (repairs + 1), 5 * (repairs + 1))
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.response, again.reason) == (str(error), error.response, error.reason)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (ChatResponse(Message.assistant([TextPart("I can't.", refusal=True)])), "refusal"),
        (ChatResponse(Message.assistant(""), FinishReason.CONTENT_FILTER), "refusal"),
        (ChatResponse(Message.assistant(GOOD), FinishReason.LENGTH), "length"),
        (ChatResponse(Message.assistant('{"name": "A'), FinishReason.LENGTH), "length"),
    ],
)
def test_refusals_and_cuts_say_so_and_arent_repaired(reply: Any, reason: str, saying: Callable[..., Any]) -> None:
    provider, seen = saying(reply)
    with pytest.raises(InvalidReplyError) as caught:
        provider.blocking.chat("Go", response_type=Person, repairs=3)
    assert (caught.value.reason, caught.value.response.message, len(seen)) == (reason, reply.message, 1)
    with pytest.raises(InvalidReplyError) as caught:
        list(provider.blocking.stream("Go", response_type=Person).partials)
    assert caught.value.reason == reason


def test_a_pause_goes_on_by_itself(saying: Callable[..., Any]) -> None:
    pause = ChatResponse(Message.assistant("Searching…"), FinishReason.PAUSE, Usage(1, 1))
    provider, seen = saying(pause, pause, GOOD)
    response = provider.blocking.chat("Go", response_type=Person, repairs=0)
    assert (response.parsed, response.usage, len(seen)) == (Person("Ada", 36), Usage(2, 2), 3)
    assert seen[2].messages[-2:] == [pause.message, pause.message]


def test_a_reply_that_calls_tools_has_no_value(saying: Callable[..., Any]) -> None:
    call = ChatResponse(Message.assistant([ToolCallPart("1", "look", {})]), FinishReason.TOOL_CALLS)
    provider, _ = saying(call)
    response = provider.blocking.chat("Go", response_type=Person, tools=[Tool("look")])
    assert (response.parsed, response.tool_calls) == (None, call.tool_calls)


@pytest.mark.parametrize(
    ("capabilities", "in_prompt", "formatted"),
    [
        (Capabilities(supports_json_mode=True), False, True),
        (Capabilities(supports_json_mode=False), True, False),
        (None, True, True),
    ],
)
def test_a_model_without_json_mode_is_told_the_schema(
    capabilities: Capabilities | None, in_prompt: bool, formatted: bool, saying: Callable[..., Any]
) -> None:
    provider, seen = saying(GOOD, capabilities=capabilities)
    provider.blocking.chat("Go", response_type=Person, system="Be kind.")
    (sent,) = seen
    assert (sent.response_format is not None) is formatted
    assert sent.messages[0] == Message.system("Be kind.")
    assert any('"age"' in message.text for message in sent.messages) is in_prompt
    assert sent.messages[-1] == Message.user("Go")


def test_parsed_is_part_of_no_json_and_no_pickle(saying: Callable[..., Any]) -> None:
    provider, _ = saying(GOOD)
    response = provider.blocking.chat("Go", response_type=Person)
    assert provider.blocking.chat("Go").parsed is None
    assert b"parsed" not in msgspec.json.encode(response)
    again = pickle.loads(pickle.dumps(response))
    assert (again, again.parsed) == (response, None)


def test_async_and_blocking_streams_show_the_same_values(saying: Callable[..., Any]) -> None:
    provider, _ = saying('{"name": "Ada", "age": 36, "nick": "A"}')

    async def collect() -> tuple[list[Any], ChatResponse]:
        stream = provider.stream("Go", response_type=Person)
        return [one async for one in stream.partials], await stream.response()

    partials, response = asyncio.run(collect())
    assert partials == list(provider.blocking.stream("Go", response_type=Person).partials)
    assert partials[-1] == response.parsed == Person("Ada", 36, "A")
    assert Person("Ad", None, None) in partials  # type: ignore[arg-type]
    assert all(one.age in (None, 36) for one in partials)


def test_what_isnt_certain_isnt_shown() -> None:
    def partials(declared: Any, text: str) -> list[Any]:
        growing = reply_type_of(declared).partials()
        values: list[Any] = []
        for letter in text:
            values += growing.feed(tako.Delta(letter))
        return values

    assert partials(list[int], '{"value": [12, 345]}') == [[], [12], [12, 345]]
    assert partials(list[Colour], '{"value": ["red", "green"]}') == [[], [Colour.RED], [Colour.RED, Colour.GREEN]]
    assert partials(Literal["a", "ab"], '{"value": "ab"}') == ["ab"]
    assert partials(int, '{"value": 12}') == [12]
    assert partials(str, '{"value": "a\\u00e9\\ud83d\\ude00"}') == ["", "a", "aé", "aé😀"]
    assert partials(Movie, '{"title": "X", "year": 19}') == [
        {},
        {"title": ""},
        {"title": "X"},
        {"title": "X", "year": 19},
    ]
    assert partials(list[int], '{"value": [1, "x", 3]}') == [[], [1]]
    assert partials(Person | Company, f'{{"value": {ADA}}}')[-1] == Person("Ada", 36)


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (lambda: None, "isn't a type that JSON can be read into"),
        (5, "isn't a type that JSON can be read into"),
        (complex, "isn't a type that JSON can be read into"),
    ],
)
def test_what_is_no_type_is_refused_before_anything_is_sent(
    declared: Any, text: str, saying: Callable[..., Any]
) -> None:
    provider, seen = saying(GOOD)
    with pytest.raises(ConfigurationError, match=text):
        provider.blocking.chat("Go", response_type=declared)
    with pytest.raises(ConfigurationError, match="repairs is -1"):
        provider.blocking.chat("Go", response_type=Person, repairs=-1)
    assert not seen


@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        (Company, '{"title": "X", "people": null}', Company("X")),
        (Person, '{"name": "Ada", "age": 36, "nick": null}', Person("Ada", 36)),
        (list[Company], '{"value": [{"title": "X", "people": null}]}', [Company("X")]),
        (Person | Company, '{"value": {"title": "X", "people": null}}', Company("X")),
        (Recipe, '{"title": "Tea", "minutes": 5, "steps": null}', Recipe(title="Tea", minutes=5)),
    ],
)
def test_null_stands_for_what_is_left_out_as_strict_modes_write_it(
    declared: Any, text: str, value: Any, saying: Callable[..., Any]
) -> None:
    provider, _ = saying(text)
    assert provider.blocking.chat("Go", response_type=declared, repairs=0).parsed == value
    required, _ = saying('{"name": null, "age": 36}')
    with pytest.raises(InvalidReplyError, match=r"\$\.name"):
        required.blocking.chat("Go", response_type=Person, repairs=0)


def test_fields_that_a_type_forbids_are_a_mismatch(saying: Callable[..., Any]) -> None:
    provider, _ = saying('{"only": 1, "more": 2}')
    with pytest.raises(InvalidReplyError, match="more"):
        provider.blocking.chat("Go", response_type=Strict, repairs=0)


def test_constraints_deep_inside_hold() -> None:
    @dataclass
    class Deep:
        scores: list[Annotated[int, annotated_types.Gt(3)]]

    declared = reply_type_of(Deep)
    with pytest.raises(InvalidReplyError, match=r"\$\.scores\[1\]: Input should be greater than 3"):
        declared.read(ChatResponse(Message.assistant('{"scores": [4, 1]}')))
    assert declared.schema.schema["properties"]["scores"]["items"]["exclusiveMinimum"] == 3


def test_pydantic_is_never_imported_for_who_doesnt() -> None:
    code = """
import pathlib, sys, tako
from dataclasses import dataclass
@dataclass
class Person:
    name: str
provider = tako.providers.PythonProvider("p", lambda request: '{"name": "Ada"}')
assert provider.blocking.chat("Go", response_type=Person).parsed == Person("Ada")
try:
    provider.blocking.chat("Go", response_type=pathlib.Path)
except tako.ConfigurationError as error:
    assert "pydantic reads more types, if you import it" in str(error)
else:
    raise SystemExit("it isn't refused")
assert "pydantic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_tool_call_beside_a_typed_request_reaches_the_wire(scripted: Callable[..., Any]) -> None:
    with scripted("openai", Script(calls=(Call("look", {"at": "it"}),))) as (provider, _):
        response = provider.blocking.chat("Go", response_type=Person, tools=[Tool("look")])
    assert [call.args for call in response.tool_calls] == [{"at": "it"}]
