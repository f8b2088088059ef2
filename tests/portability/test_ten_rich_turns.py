"""Ten turns with thinking, server tools, pauses and new blocks; servers answer 400 to any turn that was altered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import ChatRequest, FinishReason, Message, Tool
from tako.testing.server import reply, serve

from .rich import WIRES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider
    from tako.testing.server import Received, Reply

    from .rich import Json

TOOLS = [Tool("weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})]
NEWEST = {"gemini": {"model": "gemini-3.1-pro"}}
"""Which signs its calls, and gets one back as it came that it left unsigned."""


@pytest.mark.parametrize("stored", [False, True], ids=["as values", "through JSON"])
@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("vendor", WIRES)
def test_ten_rich_turns_go_back_without_one_change(
    vendor: str, streamed: bool, stored: bool, at: Callable[..., Provider]
) -> None:
    history: list[Message] = [Message.system("Be brief."), Message.user("What is the weather?")]
    with serve(Strict(WIRES[vendor], streamed=streamed)) as server:
        provider = at(vendor, server.url, **NEWEST.get(vendor, {})).blocking
        for _ in WIRES[vendor].turns:
            request = ChatRequest(list(history), tools=TOOLS)
            response = provider.stream(request).response() if streamed else provider.chat(request)
            assert {notice.code for notice in response.notices} <= {"blocked"}
            history.append(response.message)
            if response.finish_reason is not FinishReason.PAUSE:
                results = [Message.tool(call.id, "18 °C") for call in response.tool_calls]
                history += results or [Message.user("So?")]
            if stored:
                history = msgspec.json.decode(msgspec.json.encode(history), type=list[Message])
        provider.close()
    assert len(server.requests) == 10


class Strict:
    """Says its turns one after the other; answers 400 to a request that doesn't go on from the one before."""

    def __init__(self, wire: Any, *, streamed: bool) -> None:
        self.wire, self.streamed = wire, streamed
        self.turns = iter(wire.turns)
        self.before: list[tuple[str, Json]] = []
        self.beside: Json | None = None

    def __call__(self, request: Received) -> Reply:
        blocks = self.wire.blocks(request.json)
        beside = {name: value for name, value in request.json.items() if name in ("system", "tools", "toolConfig")}
        self.beside = self.beside or beside
        if blocks[: len(self.before)] != self.before or beside != self.beside:
            altered = [pair for pair in zip(self.before, blocks, strict=False) if pair[0] != pair[1]]
            return reply(
                json={"error": {"message": f"altered: {altered}"}, "message": f"altered: {altered}"}, status=400
            )
        finish_word, scripted_blocks = next(self.turns)
        role = "model" if "contents" in request.json else "assistant"
        self.before = [*blocks, *((role, block) for block in scripted_blocks)]
        return (self.wire.stream if self.streamed else self.wire.full_reply)(finish_word, scripted_blocks)  # type: ignore[no-any-return]  # of any wire
