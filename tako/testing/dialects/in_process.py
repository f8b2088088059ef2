"""A vendor without a wire: callables in this process that say what a script says.

A suite's ``provider(base_url)`` gets their address, and ``stage_at(base_url)`` finds them.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import msgspec

from tako.errors import ConfigurationError
from tako.parts import Part, ReasoningPart, TextPart, ToolCallPart
from tako.state import Origin, State
from tako.testing.dialects.dialect import Asked, Dialect, Seen
from tako.testing.script import Script
from tako.testing.server import Received, Server
from tako.types import ChatRequest, ChatResponse, Delta, End, FinishReason, Message, Role, Tool, ToolCallDelta, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from tako.testing.dialects.dialect import Answer
    from tako.types import Chunk

_numbers = count()
_stages: WeakValueDictionary[str, Stage] = WeakValueDictionary()


class Stage(Server):
    """What a test sees of a scripted vendor in this process; a request's body is the ChatRequest as JSON."""

    state = State(Origin("python"))
    """The state that reasoning has, so that it goes back."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        super().__init__([])
        self.url = f"in-process:{next(_numbers)}"
        self._answers = list(answers)

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Answer as a whole."""
        with self._call():
            script = await self._next(request)
            parts: list[Part] = [ReasoningPart(script.reasoning, self.state)] if script.reasoning else []
            parts += [TextPart(script.text)] if script.text else []
            parts += [ToolCallPart(call.id, call.name, call.args) for call in script.calls]
            usage = script.usage or Usage()
            return ChatResponse(
                Message(Role.ASSISTANT, parts), script.ending, usage, script.model, script.id, finish_word=script.ending
            )

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Answer in pieces."""
        with self._call():
            script = await self._next(request)
            for piece in script.pieces(script.reasoning):
                yield Delta(reasoning=piece)
            if script.reasoning:
                yield Delta(state=self.state)
            for piece in script.pieces(script.text):
                await asyncio.sleep(0)
                yield Delta(piece)
            for n, call in enumerate(script.calls):
                yield Delta(tool_calls=[ToolCallDelta(n, call.id, call.name)])
            for n, piece in script.fragments():
                yield Delta(tool_calls=[ToolCallDelta(n, arguments_fragment=piece)])
            yield End(script.ending, script.usage or Usage(), script.model, script.id, finish_word=script.ending)

    @contextmanager
    def _call(self) -> Generator[None, None, None]:
        self.open += 1
        done = False
        try:
            yield
            done = True
        finally:
            self.open -= 1
            self.left_early += not done

    async def _next(self, request: ChatRequest) -> Script:
        seen = Received("POST", "/", {}, {}, msgspec.json.encode(request))
        self.requests.append(seen)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        scripted = answer(seen) if callable(answer) else answer
        if isinstance(scripted, Script):
            return scripted
        if scripted.ending == "hang":  # what else a reply of HTTP holds has no meaning here
            await asyncio.Event().wait()
        return Script(text="ok")


class InProcess(Dialect):
    """No wire at all: requests and replies are tako's own values."""

    name = "in process"
    http = False
    traits = frozenset(
        {"reasoning", "cached", "cache_writes", "reasoning_tokens", "argument_text", "call_ids", "names"}
    )
    words = {reason: reason.value for reason in FinishReason}  # noqa: RUF012 - read-only by its type

    def read(self, request: Received) -> Asked:
        """Read the request."""
        chat_request = msgspec.json.decode(request.body, type=ChatRequest)
        parts = [_parts_in(part, message.role) for message in chat_request.messages for part in message.parts]
        names = ("temperature", "top_p", "max_tokens", "stop", "seed", "tool_choice", "response_format", "reasoning")
        parameters = {name: value for name in names if (value := getattr(chat_request, name)) not in (None, [])}
        return Asked(
            chat_request.model or "",
            parts,
            {tool.name: tool.input_schema for tool in chat_request.tools if isinstance(tool, Tool)},
            parameters,
        )

    @contextmanager
    def serve(self, *answers: Answer) -> Generator[Server, None, None]:
        """Put these answers on stage."""
        stage = Stage(answers)
        _stages[stage.url] = stage
        yield stage


def stage_at(url: str) -> Stage:
    """Find the stage of an address; raises ConfigurationError where there is none."""
    stage = _stages.get(url)
    if stage is None:
        raise ConfigurationError(f"nothing is on stage at {url!r}")
    return stage


def _parts_in(part: Any, role: Role) -> Seen:
    fields = msgspec.to_builtins(part)
    kinds = {"tool_call": "call", "tool_result": "result"}
    values = ("text", "data_b64", "url", "args", "result")
    value = next((fields[name] for name in values if name in fields), None)
    side = "user" if role is Role.TOOL else role.value
    kind: str = kinds.get(fields["type"]) or fields["type"]
    kind = "image" if str(value).startswith("data:image/") else kind
    return Seen(kind, side, value, fields.get("id", ""), fields.get("name", ""), fields.get("mime") or "")
