"""The loop of a run: call the model, call the functions that it asks for, and repeat until it answers."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tako.errors import ConfigurationError, InvalidReplyError, RunLimitError, kind_of
from tako.runs import RoundEnd, RunEnd, RunResult, ToolEnd, ToolStart
from tako.stream import ChatStream
from tako.tools import call_function, error_result, function_of
from tako.typed import check_repairs, repair_notice, reply_type_of
from tako.types import ChatResponse, Cost, Delta, FinishReason, Message, Notice, Role, Tool, Usage, parsed_as

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from typing import Any

    from tako.hookspecs import Chat, Stream
    from tako.parts import ToolCallPart, ToolResultPart
    from tako.provider import Provider
    from tako.runs import RunEvent
    from tako.types import ChatRequest

    Approve = Callable[[ToolCallPart], bool | str | Awaitable[bool | str | None] | None]

NOT_APPROVED = "the call wasn't approved"
CANCELLED = "the function was cancelled"
"""The function raised a CancelledError, although the run wasn't cancelled."""


class RunLoop:
    """The loop of one run, with its request, functions and limits."""

    def __init__(
        self,
        handlers: tuple[Chat, Stream],
        request: ChatRequest,
        provider: Provider,
        *,
        max_rounds: int,
        max_cost: float | None,
        approve: Approve | None,
        response_type: Any,
        repairs: int,
    ) -> None:
        if type(max_rounds) is not int or max_rounds < 1:
            raise ConfigurationError(f"max_rounds is {max_rounds!r}, not a number of rounds, 1 or more")
        if max_cost is not None and not (type(max_cost) in (int, float) and max_cost > 0):
            raise ConfigurationError(f"max_cost is {max_cost!r}, not a number of dollars above 0")
        if approve is not None and not callable(approve):
            raise ConfigurationError(f"approve is {kind_of(approve)}, not a function that takes a call")
        unbound = next(
            (tool.name for tool in request.tools if isinstance(tool, Tool) and function_of(tool) is None), None
        )
        if unbound is not None:
            raise ConfigurationError(f"{provider.id}: tool {unbound!r} has no function; give a function, or Tool.of")
        self._reply_type = None if response_type is None else reply_type_of(response_type)
        self._repairs = check_repairs(repairs)
        self._chat, self._stream = handlers
        self._request, self._provider = request, provider
        self._max_rounds, self._max_cost, self._approve = max_rounds, max_cost, approve
        self._functions = {tool.name: function_of(tool) for tool in request.tools if isinstance(tool, Tool)}
        self._progress = _Progress(list(request.messages))

    async def events(self, *, streaming: bool) -> AsyncGenerator[RunEvent, None]:
        """Call the model and its tools until it has answered, and yield what happens. Raises a TakoError."""
        progress = self._progress
        while progress.rounds < self._max_rounds:
            response: ChatResponse | None = None
            async for chunk in self._round(streaming=streaming):
                if isinstance(chunk, Delta):
                    yield chunk
                else:
                    response = chunk
            assert response is not None
            progress.add(response)
            yield RoundEnd(response)
            calls = response.tool_calls
            if _is_last(response) and (run_result := self._finish(response)) is not None:
                yield RunEnd(run_result)
                return
            self._check_cost()
            if calls:
                for call in calls:
                    yield ToolStart(call)
                results = await self._call_tools(calls)
                progress.messages.append(Message(Role.TOOL, [*results]))
                for call, result in zip(calls, results, strict=True):
                    yield ToolEnd(call, result)
                self._request = _with_free_choice(self._request)
        raise self._limit_error(f"the model isn't done after max_rounds={self._max_rounds} rounds")

    def _finish(self, response: ChatResponse) -> RunResult | None:
        """Return the result of the run, None if the model has to repeat its reply. Raises InvalidReplyError."""
        progress = self._progress
        if self._reply_type is None:
            return progress.result(response)
        try:
            value = self._reply_type.read(response)
        except InvalidReplyError as error:
            if not self._may_repair(error):
                full_response = replace(response, usage=progress.usage, cost=progress.cost)
                raise self._reply_type.invalid_reply(
                    full_response, error.reason, str(error.args[0]), progress.messages
                ) from None
            self._repairs -= 1
            progress.repair(self._reply_type.repair_turns(error)[1:], repair_notice(error, self._provider))
            return None
        return progress.result(parsed_as(response, value))

    def _may_repair(self, error: InvalidReplyError) -> bool:
        return error.reason == "mismatch" and self._repairs > 0 and self._progress.rounds < self._max_rounds

    async def _round(self, *, streaming: bool) -> AsyncIterator[Delta | ChatResponse]:
        request = replace(self._request, messages=list(self._progress.messages))
        if self._reply_type is not None:
            request = self._reply_type.add_schema(request, self._provider)
        if not streaming:
            yield await self._chat(request)
            return
        async with ChatStream(self._stream, request, self._provider) as stream:
            async for chunk in stream:
                if isinstance(chunk, Delta):
                    yield chunk
        yield await stream.response()

    async def _call_tools(self, calls: list[ToolCallPart]) -> list[ToolResultPart]:
        """Ask for approval of each call in turn, then run the approved ones concurrently."""
        from asyncio import CancelledError  # a function may raise it under trio, too

        from anyio import create_task_group, current_effective_deadline, get_cancelled_exc_class

        results = [await self._refusal(call) for call in calls]
        exits: list[BaseException] = []

        async def call_tool(i: int) -> None:
            function = self._functions[calls[i].name]
            assert function is not None
            try:
                results[i] = await function.call(calls[i])
            except (
                SystemExit,
                KeyboardInterrupt,
                BaseExceptionGroup,
            ) as error:  # tasks mustn't exit in asyncio
                exits.append(error)
                group.cancel_scope.cancel()
            except (CancelledError, get_cancelled_exc_class()):
                if current_effective_deadline() == -math.inf:  # the run is cancelled, not the function alone
                    raise

        async with create_task_group() as group:
            for i, refused in enumerate(results):
                if refused is None:
                    group.start_soon(call_tool, i)
        if exits:
            raise exits[0]
        return [result or error_result(call, CANCELLED) for call, result in zip(calls, results, strict=True)]

    async def _refusal(self, call: ToolCallPart) -> ToolResultPart | None:
        """Return an error result if the tool doesn't exist or the call isn't approved, None if the call may run."""
        if call.name not in self._functions:
            return error_result(
                call, f"there is no tool {call.name!r}; the tools are {', '.join(self._functions) or 'none'}"
            )
        if self._approve is None:
            return None
        verdict = await call_function(self._approve, partial(self._approve, call))
        if verdict is True:
            return None
        return error_result(call, verdict if isinstance(verdict, str) else NOT_APPROVED)

    def _check_cost(self) -> None:
        if self._max_cost is None:
            return
        cost = self._progress.cost
        if cost is None:
            raise self._limit_error("what a round cost isn't known, so that max_cost can't be held")
        if float(cost.total) > self._max_cost:
            raise self._limit_error(f"the run has cost ${cost.total}, more than max_cost={self._max_cost}")

    def _limit_error(self, text: str) -> RunLimitError:
        progress = self._progress
        return RunLimitError(
            f"{self._provider.id}: {text}", messages=progress.messages, usage=progress.usage, cost=progress.cost
        )


class _Progress:
    """The messages, usage and cost of a run so far."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        self.usage = Usage()
        self.cost: Cost | None = Cost()
        self.rounds = 0
        self.notices: list[Notice] = []

    def add(self, response: ChatResponse) -> None:
        self.messages.append(response.message)
        self.usage += response.usage
        self.cost = None if self.cost is None or response.cost is None else self.cost + response.cost
        self.rounds += 1

    def repair(self, turns: list[Message], notice: Notice) -> None:
        """Add the turns that ask for the last reply again."""
        self.messages += turns
        self.notices.append(notice)

    def result(self, response: ChatResponse) -> RunResult:
        if self.notices:
            response = replace(response, notices=[*self.notices, *response.notices])
        return RunResult(response, list(self.messages), self.usage, self.cost, self.rounds)


def _is_last(response: ChatResponse) -> bool:
    """Whether the model is done. Tool calls of a reply that was cut aren't run; a paused reply is continued."""
    if response.finish_reason in (FinishReason.LENGTH, FinishReason.CONTENT_FILTER):
        return True
    return response.finish_reason is not FinishReason.PAUSE and not response.tool_calls


def _with_free_choice(request: ChatRequest) -> ChatRequest:
    """Let the model choose again. If it had to call a tool every time, it could never answer."""
    return request if request.tool_choice in (None, "auto", "none") else replace(request, tool_choice=None)
