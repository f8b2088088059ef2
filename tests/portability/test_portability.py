"""One conversation wanders through all vendors, twice: each gets the whole of it in an order that it accepts, its own
opaque state comes back to it as it was minted, and nobody else sees that.

The vendors are servers that answer 400 to what the real ones refuse; the rules are in ``Vendor.check`` of each.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec
import pytest

from tako import ChatRequest, ContentPart, Message, Provider, Role, Tool, notices
from tako.parts import ImagePart, ImageUrlPart, ReasoningPart, ToolCallPart, ToolResultPart
from tako.state import Origin, State
from tako.testing.server import reply, serve

from .blocks import Anthropic, Bedrock, Vertex
from .chats import Azure, Mistral, Ollama, OpenAI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .vendor import Json, Vendor

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
TOOLS = [Tool("look", "Looks", {"type": "object", "properties": {"at": {"type": "string"}}}), Tool("wait", "Waits")]
VENDORS: tuple[type[Vendor], ...] = (OpenAI, Anthropic, Mistral, Vertex, Azure, Bedrock, Ollama)
NO_IMAGES_IN_RESULTS = ("openai", "azure-openai", "mistral")
FETCHES_NONE = ("ollama", "bedrock")


def expected_notices(name: str, messages: list[Message]) -> Iterator[tuple[str, str]]:
    """What each vendor cannot be given of this conversation, and where it stands."""
    for i, message in enumerate(messages):
        for j, part in enumerate(message.parts):
            path = f"messages[{i}].content[{j}]"
            if part.state is not None and part.state.origin.provider != name:
                yield notices.FOREIGN_STATE, path
            if isinstance(part, ImageUrlPart) and name in FETCHES_NONE:
                yield notices.UNSUPPORTED_URL, path
            if isinstance(part, ToolResultPart) and isinstance(part.result, list) and name in NO_IMAGES_IN_RESULTS:
                yield notices.CHANGED_PART, f"{path}.result[1]"
        if name == "mistral" and message.role is Role.USER and i and messages[i - 1].role is Role.TOOL:
            yield notices.ADDED_TURN, "messages"


def answers_to(reply_message: Message) -> Message:
    """Answer the calls, the last one first; one answer holds an image."""
    look, wait = _calls(reply_message)
    seen = [ContentPart.text("It is small."), ImagePart("image/png", PNG)]
    return Message(Role.TOOL, [ContentPart.tool_result(wait, {"waited": 1}), ContentPart.tool_result(look, seen)])


def _calls(message: Message) -> list[str]:
    return [part.id for part in message.parts if isinstance(part, ToolCallPart)]


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
def test_one_conversation_goes_through_all_vendors_twice(streamed: bool, at: Callable[..., Provider]) -> None:
    async def main() -> None:
        messages = [
            Message.user(
                [ContentPart.text("Look."), ImagePart("image/png", PNG), ContentPart.image_url("https://h.test/a.png")]
            )
        ]
        ids: set[str] = set()
        for vendor, provider in [*players, *players]:
            request = ChatRequest(list(messages), tools=TOOLS)
            if streamed:
                async with provider.stream(request) as stream:
                    response = await stream.response()
            else:
                response = await provider.chat(request)
            noticed = Counter((notice.code, notice.path) for notice in response.notices)
            assert noticed == Counter(expected_notices(vendor.name, messages)), vendor.name
            assert [(call.name, call.args) for call in response.tool_calls] == [("look", {"at": "it"}), ("wait", {})]
            assert response.finish_reason == "tool_calls"
            assert not ids.intersection(_calls(response.message))
            ids.update(_calls(response.message))
            messages += [response.message, answers_to(response.message), Message.user("Go on.")]
        for provider in [provider for _, provider in players]:
            await provider.aclose()

    with ExitStack() as stack:
        players: list[tuple[Vendor, Provider]] = []
        for kind in VENDORS:
            vendor = kind()
            players.append((vendor, at(vendor.name, stack.enter_context(serve(vendor)).url, **vendor.options)))
        asyncio.run(main())
    for vendor, _ in players:
        assert len(vendor.bodies) == 2
        sent = msgspec.json.encode(vendor.bodies).decode()
        for other, _ in players:
            minted = re.findall(rf"\w+-of-{other.name}-\d", msgspec.json.encode(other.minted).decode())
            leaked = [state for state in minted if state in sent]
            assert bool(leaked) == (other is vendor and bool(minted)), f"{vendor.name} got {leaked} of {other.name}"


def test_a_compatible_server_gets_all_of_its_reasoning_back(at: Callable[..., Provider], answers: Json) -> None:
    own = [ReasoningPart(text, State(Origin("openai"))) for text in ("First. ", "Then.")]
    turns = [Message.user("Hm?"), Message.assistant(list(own)), Message.user("And?")]
    with serve(reply(json=answers["openai"])) as server:
        provider = at("openai", server.url, reasoning_field="reasoning_content")
        assert provider.blocking.chat(turns).notices == []
    assert server.requests[0].json["messages"][1] == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "First. Then.",
    }
