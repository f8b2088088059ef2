"""Ten turns with vendors that refuse a request which is not the one before it and what has come since."""

from __future__ import annotations

from copy import deepcopy
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, ContentPart, FinishReason, Message, Role, Tool
from tako.testing.dialects import CONVERSE, GEMINI, OLLAMA, Call, Script
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider
    from tako.testing.dialects import Dialect
    from tako.testing.server import Received, Reply

ROME, OSLO, LIMA, BERN, GRAZ, LINZ = (
    Call("weather", {"city": city}, f"call_{city}") for city in ("Rome", "Oslo", "Lima", "Bern", "Graz", "Linz")
)
THINKING = {"reasoning": "Hm.", "signature": "c2VhbA=="}
TURNS: tuple[Script, ...] = (
    Script(text="I look.", calls=(ROME, OSLO), **THINKING),
    Script(text="It is dry.", reasoning="Hm."),
    Script(text="One.", unknown=True, more=("Two.", "Three.")),
    Script(calls=(LIMA,), **THINKING),
    Script(text="So it is."),
    Script(text="Odd.", unknown=True, calls=(BERN,)),
    Script(text="cut o", finish=FinishReason.LENGTH),
    Script(calls=(GRAZ, LINZ)),
    Script(text="Again.", more=("And again.",), reasoning="Hm."),
    Script(text="The end."),
)
TOOLS = [Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})]
WIRES: dict[str, tuple[Dialect, str, Callable[[Any], Any]]] = {
    "bedrock": (CONVERSE, "messages", lambda body: body["output"]["message"]),
    "vertex": (GEMINI, "contents", lambda body: body["candidates"][0]["content"]),
    "gemini": (GEMINI, "contents", lambda body: body["candidates"][0]["content"]),
    "ollama": (OLLAMA, "messages", lambda body: body["message"]),
}
"""How each vendor's server speaks, where turns stand in a request, and where the turn is in a whole reply."""


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("vendor", WIRES)
def test_ten_turns_go_back_without_one_change(vendor: str, streamed: bool, at: Callable[..., Provider]) -> None:
    history: list[Message] = [Message.system("Be brief."), Message.user("What is the weather?")]
    with serve(Strict(*WIRES[vendor])) as server:
        provider = at(vendor, server.url).blocking
        for _ in TURNS:
            request = ChatRequest(list(history), tools=TOOLS)
            response = provider.stream(request).response() if streamed else provider.chat(request)
            results = [ContentPart.tool_result(call.id, "18 °C") for call in response.tool_calls]
            history += [response.message, Message(Role.TOOL, [*results]) if results else Message.user("So?")]
            assert response.notices == []
        provider.close()
    assert len(server.requests) == len(TURNS)


class Strict:
    """Says its turns one after the other; answers 400 to a request that isn't the one before with what came since."""

    def __init__(self, dialect: Dialect, field: str, turn_of: Callable[[Any], Any]) -> None:
        self.dialect, self.field, self.turn_of = dialect, field, turn_of
        self.scripts = iter(TURNS)
        self.before: list[Any] = []

    def __call__(self, request: Received) -> Reply:
        turns = request.json[self.field]
        if turns[: len(self.before)] != self.before:
            changed = [pair for pair in zip_longest(self.before, turns[: len(self.before)]) if pair[0] != pair[1]]
            return reply(json={"error": {"message": f"these changed: {changed}"}, "message": f"{changed}"}, status=400)
        script = next(self.scripts)
        self.before = [*turns, as_sent(self.turn_of(deepcopy(self.dialect.whole(script))))]
        return self.dialect.answer(script)(request)


def as_sent(turn: dict[str, Any]) -> dict[str, Any]:
    """Leave out what Ollama's requests have no field for: it pairs calls and results by their order."""
    for call in turn.get("tool_calls", ()):
        call.pop("id", None)
        call["function"].pop("index", None)
    return turn
