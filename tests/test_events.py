"""Decoders of JSON events, as plugin authors write them: however the bytes come, and wherever they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from tako import ChatRequest, Delta, End, Message
from tako.errors import ProviderError, StreamTruncatedError
from tako.kit.body import decode_json
from tako.kit.events import EventDecoder
from tako.kit.exchange import Exchange
from tako.kit.failures import Facts, make_error
from tako.kit.ids import CallIds
from tako.kit.parameters import PARAMETERS, encode_parameters
from tako.state import Origin
from tako.translator import PartContext

if TYPE_CHECKING:
    from collections.abc import Iterator


ANY = msgspec.json.Decoder(dict)
CONTEXT = PartContext(Origin("acme"), ChatRequest([Message.user("hi")]))


class Vendor:
    name = "acme"
    max_event_bytes = 1000

    def failure(self, facts: Facts, *, status: int | None = None, body: str = "") -> ProviderError:
        return make_error(facts, codes={}, status=status, headers={}, body=body)


class Lines(EventDecoder):
    lines: ClassVar[bool] = True

    def read(self, data: bytes, kind: str) -> Iterator[Delta]:
        event = decode_json(data, ANY)
        if "text" in event:
            yield Delta(event["text"] + kind)
        if "done" in event:
            self.end = End()


class Events(Lines):
    lines = False


BODIES = {
    Lines: b'{"text":"a"}\n{"text":"\xe9\x9b\xa8"}\n{"text":"c","done":1}\n{"text":"never"}\n',
    Events: b'event: x\ndata: {"text":"a"}\n\nevent: x\ndata: {"text":"\xe9\x9b\xa8"}\n\n'
    b'event: x\ndata: {"text":"c","done":1}\n\ndata: {"text":"never"}\n\n',
}


def run(cls: type[EventDecoder], pieces: list[bytes]) -> list[str]:
    decoder = cls(Vendor(), Exchange("", {}, CONTEXT))
    chunks = [chunk for piece in pieces if not decoder.ended for chunk in decoder.feed(piece)]
    chunks += decoder.finish(clean=True)
    assert [chunk.kind for chunk in chunks][-1] == "end"
    assert decoder.ended
    return [chunk.text or "" for chunk in chunks if isinstance(chunk, Delta)]


@pytest.mark.parametrize("cls", BODIES)
def test_the_deltas_are_the_same_wherever_the_bytes_are_split(cls: type[EventDecoder]) -> None:
    body = BODIES[cls]
    kind = "" if cls is Lines else "x"
    expected = ["a" + kind, "雨" + kind, "c" + kind]
    assert run(cls, [body]) == expected
    for at in range(len(body)):
        assert run(cls, [body[:at], body[at:]]) == expected
    assert run(cls, [body[at : at + 1] for at in range(len(body))]) == expected


@pytest.mark.parametrize("cls", BODIES)
def test_a_body_that_ends_before_the_last_event_is_truncated(cls: type[EventDecoder]) -> None:
    body = BODIES[cls]
    for at in range(body.index(b'"c"')):
        decoder = cls(Vendor(), Exchange("", {}, CONTEXT))
        list(decoder.feed(body[:at]))
        with pytest.raises(StreamTruncatedError):
            list(decoder.finish(clean=True))


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert run(Lines, [b'{"done":1}']) == []
    assert run(Events, [b'data: {"text":"a","done":1}']) == ["amessage"]


def test_every_parameter_goes_out_or_is_noted() -> None:
    values = {
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 1,
        "stop": ["x"],
        "seed": 0,
        "response_format": "json",
        "reasoning": "low",
        "metadata": {"a": "b"},
    }
    assert set(values) == set(PARAMETERS)
    request = ChatRequest([Message.user("hi")], **values)
    context = PartContext(Origin("acme"), request)
    assert encode_parameters(request, context, {name: name.upper() for name in values}) == {
        name.upper(): value for name, value in values.items()
    }
    assert context.notices == []
    assert encode_parameters(request, context, {}) == {}
    assert [notice.path for notice in context.notices] == list(PARAMETERS)
    plain = ChatRequest([Message.user("hi")])
    context = PartContext(Origin("acme"), plain)
    assert (encode_parameters(plain, context, {}), context.notices) == ({}, [])


def test_ids_of_calls_are_present_and_unique() -> None:
    ids = CallIds()
    unique_ids = [ids.unique(id) for id in ("a", None, "", "a", "b")]
    assert (unique_ids[0], unique_ids[4]) == ("a", "b")
    assert len(set(unique_ids)) == 5
    assert all(unique_ids)
