"""``provider.run``: call a model, run the functions that it calls, and repeat until it answers."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from tako.errors import ConfigurationError, RunLimitError
from tako.parts import ToolCallPart, ToolResultPart
from tako.stream import ChatStream
from tako.tools import failed, function_of
from tako.types import ChatResponse, Cost, Delta, FinishReason, Message, Role, Tool, Usage
from tako.value import Value

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator

    from tako.hookspecs import Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest

    Approve = Callable[[ToolCallPart], bool | str | Awaitable[bool | str | None] | None]

NOT_APPROVED = "the call wasn't approved"


class RunResult(Value, Struct, frozen=True):
    """The result of a run.

    Attributes:
        response: The last response.
        messages: The whole conversation, with tool calls and results. Pass it to the next run to continue.
        usage: The tokens of all rounds.
        cost: The price of all rounds in US dollars. None if the price of one isn't known.
        rounds: How often the model was called.
    """

    response: ChatResponse
    messages: list[Message]
    usage: Usage = Usage()
    cost: Cost | None = None
    rounds: int = 1

    @property
    def text(self) -> str:
        """The text of the last response."""
        return self.response.text


class ToolStart(Struct, frozen=True):
    """A tool call is about to run, or to go to ``approve``.

    Attributes:
        kind: "tool_start".
        call: The call.
    """

    kind: ClassVar[Literal["tool_start"]] = "tool_start"
    call: ToolCallPart


class ToolEnd(Struct, frozen=True):
    """A tool call has a result, which may be an error.

    Attributes:
        kind: "tool_end".
        call: The call.
        result: Its result.
    """

    kind: ClassVar[Literal["tool_end"]] = "tool_end"
    call: ToolCallPart
    result: ToolResultPart


class RoundEnd(Struct, frozen=True):
    """The model has replied. If the reply has tool calls, they run next.

    Attributes:
        kind: "round_end".
        response: The response.
    """

    kind: ClassVar[Literal["round_end"]] = "round_end"
    response: ChatResponse


class RunEnd(Struct, frozen=True):
    """The last event of a run.

    Attributes:
        kind: "run_end".
        result: The result of the run.
    """

    kind: ClassVar[Literal["run_end"]] = "run_end"
    result: RunResult


RunEvent = Delta | ToolStart | ToolEnd | RoundEnd | RunEnd
"""An event of a run, told apart by ``kind``: pieces of replies are Deltas, as in a stream."""


class Run:
    """A run that hasn't started. ``await`` it for its RunResult, or iterate over the events of ``stream()``."""

    def __init__(
        self,
        ways: tuple[Chat, Stream],
        request: ChatRequest,
        provider: Provider,
        *,
        max_rounds: int,
        max_cost: float | None,
        approve: Approve | None,
    ) -> None:
        if not isinstance(max_rounds, int) or max_rounds < 1:
            raise ConfigurationError(f"max_rounds is {max_rounds!r}, not a number of rounds, 1 or more")
        if max_cost is not None and (isinstance(max_cost, bool) or not max_cost > 0):
            raise ConfigurationError(f"max_cost is {max_cost!r}, not a number of dollars above 0")
        bare = next((one.name for one in request.tools if isinstance(one, Tool) and function_of(one) is None), None)
        if bare is not None:
            raise ConfigurationError(f"{provider.id}: tool {bare!r} has no function; give a function, or Tool.of")
        self._answer, self._chunks = ways
        self._request, self._provider = request, provider
        self._max_rounds, self._max_cost, self._approve = max_rounds, max_cost, approve
        self._functions = {one.name: function_of(one) for one in request.tools if isinstance(one, Tool)}
        self._progress = _Progress(list(request.messages))
        self._begun = False
        self._result: RunResult | None = None

    def __await__(self) -> Generator[Any, None, RunResult]:
        return self._finished().__await__()

    def stream(self) -> AsyncGenerator[RunEvent, None]:
        """Run, and iterate over the events. Raises the same errors as ``await``."""
        return self._events(streaming=True)

    async def _finished(self) -> RunResult:
        if self._result is None:
            async with aclosing(self._events(streaming=False)) as events:
                async for _ in events:
                    pass
        if self._result is None:
            raise ConfigurationError(f"{self._provider.id}: the run was left before its end; make a new one")
        return self._result

    async def _events(self, *, streaming: bool) -> AsyncGenerator[RunEvent, None]:
        if self._begun:
            raise ConfigurationError(f"{self._provider.id}: the run has begun already; make a new one")
        self._begun = True
        progress, request = self._progress, self._request
        while progress.rounds < self._max_rounds:
            response: ChatResponse | None = None
            async for piece in self._round(replace(request, messages=list(progress.messages)), streaming=streaming):
                if isinstance(piece, Delta):
                    yield piece
                else:
                    response = piece
            assert response is not None
            progress.add(response)
            yield RoundEnd(response)
            calls = response.tool_calls
            cut = response.finish_reason is FinishReason.LENGTH
            if response.finish_reason is not FinishReason.PAUSE and (cut or not calls):
                self._result = progress.result(response)
                yield RunEnd(self._result)
                return
            self._check_cost()
            if calls:
                for call in calls:
                    yield ToolStart(call)
                results = await self._called(calls)
                progress.messages.append(Message(Role.TOOL, [*results]))
                for call, result in zip(calls, results, strict=True):
                    yield ToolEnd(call, result)
                request = _choosing_freely(request)
        raise self._limit(f"the model still calls tools after max_rounds={self._max_rounds} rounds")

    async def _round(self, request: ChatRequest, *, streaming: bool) -> AsyncIterator[Delta | ChatResponse]:
        if not streaming:
            yield await self._answer(request)
            return
        async with ChatStream(self._chunks, request, self._provider) as stream:
            async for chunk in stream:
                if isinstance(chunk, Delta):
                    yield chunk
        yield await stream.response()

    async def _called(self, calls: list[ToolCallPart]) -> list[ToolResultPart]:
        """Decide on each call in turn, then make those that are approved, all at once."""
        from anyio import create_task_group

        results = [await self._refused(call) for call in calls]

        async def make(i: int) -> None:
            function = self._functions[calls[i].name]
            assert function is not None
            results[i] = await function.call(calls[i])

        try:
            async with create_task_group() as group:
                for i, refused in enumerate(results):
                    if refused is None:
                        group.start_soon(make, i)
        except BaseExceptionGroup as error:
            raise error.exceptions[0] from None
        return [result for result in results if result is not None]

    async def _refused(self, call: ToolCallPart) -> ToolResultPart | None:
        """Return the result of a call that isn't made: of no function of ours, or not approved."""
        if call.name not in self._functions:
            return failed(call, f"there is no tool {call.name!r}; the tools are {', '.join(self._functions) or 'none'}")
        if self._approve is None:
            return None
        decided = self._approve(call)
        verdict = await decided if inspect.isawaitable(decided) else decided
        if verdict is True:
            return None
        return failed(call, verdict if isinstance(verdict, str) else NOT_APPROVED)

    def _check_cost(self) -> None:
        if self._max_cost is None:
            return
        cost = self._progress.cost
        if cost is None:
            raise self._limit("what a round cost isn't known, so that max_cost can't be held")
        if float(cost.total) > self._max_cost:
            raise self._limit(f"the run has cost ${cost.total}, more than max_cost={self._max_cost}")

    def _limit(self, text: str) -> RunLimitError:
        progress = self._progress
        return RunLimitError(
            f"{self._provider.id}: {text}", messages=progress.messages, usage=progress.usage, cost=progress.cost
        )


class _Progress:
    """What a run has come to so far."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        self.usage = Usage()
        self.cost: Cost | None = Cost()
        self.rounds = 0

    def add(self, response: ChatResponse) -> None:
        self.messages.append(response.message)
        self.usage += response.usage
        self.cost = None if self.cost is None or response.cost is None else self.cost + response.cost
        self.rounds += 1

    def result(self, response: ChatResponse) -> RunResult:
        return RunResult(response, list(self.messages), self.usage, self.cost, self.rounds)


def _choosing_freely(request: ChatRequest) -> ChatRequest:
    """Let the model choose again: a choice that holds for ever would never let it answer."""
    return request if request.tool_choice in (None, "auto", "none") else replace(request, tool_choice=None)
