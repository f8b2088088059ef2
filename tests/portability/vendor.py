"""A server that answers 400 to what the real one refuses, and to a conversation in which its own turns have changed."""

from __future__ import annotations

from base64 import b64decode
from typing import Any, ClassVar

from tako.testing.server import Received, Reply, reply

Json = dict[str, Any]


class Vendor:
    """A strict server: ``check`` refuses a body, ``turn`` makes the n-th answer as the wire has it."""

    name = ""
    options: ClassVar[Json] = {}

    def __init__(self) -> None:
        self.minted: list[Json] = []
        self.bodies: list[Json] = []

    def __call__(self, request: Received) -> Reply:
        body = request.json
        try:
            self.check(body)
            turns = self.turns(body)
            for turn in self.minted:
                assert turn in turns, f"a turn did not come back as it was minted: {turn} is not among {turns}"
        except AssertionError as refusal:
            return reply(json={"error": {"message": str(refusal)}, "message": str(refusal)}, status=400)
        self.bodies.append(body)
        turn = self.turn(len(self.minted))
        self.minted.append(turn)
        streamed = body.get("stream") or "stream" in request.path.rpartition("/")[2].lower()
        return self.stream(turn) if streamed else reply(json=self.full_reply(turn))

    def sign(self, text: str) -> str:
        return f"{text}-of-{self.name}-{len(self.minted)}"

    def turns(self, body: Json) -> list[Json]:
        return list(body["messages"])

    def check(self, body: Json) -> None:
        raise AssertionError(self.name)

    def turn(self, n: int) -> Json:
        raise AssertionError(self.name)

    def full_reply(self, turn: Json) -> Json:
        raise AssertionError(self.name)

    def stream(self, turn: Json) -> Reply:
        raise AssertionError(self.name)


def only(value: Json, *keys: str) -> None:
    assert value.keys() <= set(keys), f"unknown keys {value.keys() - set(keys)}"


def is_png(data: str) -> None:
    assert b64decode(data, validate=True).startswith(b"\x89PNG"), "not base64 of a PNG"
