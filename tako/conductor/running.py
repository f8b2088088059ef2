"""One run of a Conductor: plan, fan out, join, and again."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import anyio

from tako.conductor.events import (
    COORDINATOR,
    Event,
    Final,
    Planned,
    RunResult,
    Step,
    WorkerDelta,
    WorkerEnded,
    WorkerResult,
    WorkerStarted,
)
from tako.conductor.plan import (
    Assignment,
    MalformedPlanError,
    Plan,
    feedback,
    instructions,
    looks_like_a_plan,
    plan_schema,
    read_plan,
    report,
)
from tako.errors import ProviderTimeoutError, ResponseError, TakoError
from tako.types import ChatRequest, ChatResponse, Cost, Message, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.streams.memory import MemoryObjectSendStream

    from tako.conductor import Conductor
    from tako.provider import Provider

AHEAD = 64
"""Events that the workers may be ahead of whoever watches."""


class Run:
    """One run; ``events`` is called once."""

    def __init__(self, conductor: Conductor, request: ChatRequest) -> None:
        self.conductor = conductor
        self.request = request
        self.tools = {tool.name: tool for tool in request.tools}
        self.steps: list[Step] = []
        self.usage: dict[str, Usage] = {}
        self.cost: dict[str, Cost | None] = {}
        self.send, self.receive = anyio.create_memory_object_stream[Event | TakoError](AHEAD)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Drive the run and hand out its events; leaving cancels it."""
        failure = None
        async with anyio.create_task_group() as group, self.receive:
            group.start_soon(self._drive, self.send)
            try:
                async for event in self.receive:
                    if isinstance(event, TakoError):
                        failure = event
                    else:
                        yield event
            except GeneratorExit:  # not through the group, which would wrap it
                group.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _drive(self, send: MemoryObjectSendStream[Event | TakoError]) -> None:
        async with send:
            try:
                await send.send(Final(await self._conduct()))
            except TakoError as error:
                await send.send(error)

    async def _conduct(self) -> RunResult:
        """Go step by step until there is an answer."""
        coordinator = self.conductor.coordinator
        if coordinator is None:
            task = "\n".join(message.text for message in self.request.messages)
            plan = Plan([Assignment(role, task) for role in self.conductor.workers], next_step="halt")
            return self._result(_joined(await self._step(plan)))
        roles = list(self.conductor.workers)
        system = Message.system(instructions(roles, list(self.tools), self.conductor.system))
        messages = [system, *self.request.messages]
        said = await self._say(coordinator, messages, planning=True)
        for step in range(self.conductor.max_steps):
            plan = await self._plan(coordinator, messages, said)
            results = await self._step(plan)
            if plan.next_step == "halt":
                return self._result(_joined(results))
            last = step + 1 == self.conductor.max_steps
            messages.append(Message.user(report(results, last=last)))
            said = await self._say(coordinator, messages, planning=False)
            if not looks_like_a_plan(said):
                return self._result(said)
        return self._result(_joined(self.steps[-1].results), complete=False)

    async def _plan(self, coordinator: Provider, messages: list[Message], said: str) -> Plan:
        """Read a plan; a malformed one goes back to the coordinator once."""
        roles = list(self.conductor.workers)
        try:
            return read_plan(said, roles, list(self.tools))
        except MalformedPlanError as problem:
            messages.append(Message.user(feedback(problem)))
        said = await self._say(coordinator, messages, planning=True)
        try:
            return read_plan(said, roles, list(self.tools))
        except MalformedPlanError as problem:
            text = f"the coordinator gave no plan that can be followed, twice: {problem}"
            raise ResponseError(text, provider=coordinator.name, model=coordinator.model, body=said) from problem

    async def _say(self, coordinator: Provider, messages: list[Message], *, planning: bool) -> str:
        """Ask the coordinator and remember its answer."""
        held = planning and coordinator.capabilities.supports_json_mode
        schema = plan_schema(list(self.conductor.workers)) if held else None
        response = await coordinator.chat(ChatRequest(list(messages), response_format=schema))
        self._count(COORDINATOR, response)
        messages.append(Message.assistant(response.text or "(nothing)"))
        return response.text

    async def _step(self, plan: Plan) -> list[WorkerResult]:
        """Fan a plan out and join it; the results are in the plan's order."""
        number = len(self.steps)
        await self.send.send(Planned(number, plan))
        results: dict[int, WorkerResult] = {}
        failure: list[TakoError] = []
        limiter = anyio.CapacityLimiter(self.conductor.max_fanout)
        async with anyio.create_task_group() as group:

            async def work(index: int, assignment: Assignment) -> None:
                async with limiter:
                    result = await self._work(number, index, assignment)
                results[index] = result
                await self.send.send(WorkerEnded(number, index, assignment.name, result))
                if isinstance(result.error, TakoError) and self.conductor.fail_fast:
                    failure.append(result.error)
                    group.cancel_scope.cancel()
                elif result.response is not None and plan.join_strategy == "any":
                    group.cancel_scope.cancel()

            for index, assignment in enumerate(plan.workers):
                group.start_soon(work, index, assignment)
        if failure:
            raise failure[0]
        done = [results[index] for index in sorted(results)]
        self.steps.append(Step(plan, done))
        return done

    async def _work(self, step: int, index: int, assignment: Assignment) -> WorkerResult:
        """Have one task done, within its time."""
        role, task = assignment.name, assignment.task
        await self.send.send(WorkerStarted(step, index, role, task))
        worker = self.conductor.workers[role]
        request = ChatRequest([Message.user(task)], tools=[self.tools[name] for name in assignment.tools])
        began = monotonic()
        try:
            with anyio.fail_after(self.conductor.worker_timeout):
                response = await self._ask(worker, request, step, index, role)
        except TimeoutError:
            limit = self.conductor.worker_timeout
            error: TakoError = ProviderTimeoutError(
                f"the worker {role!r} took longer than worker_timeout={limit:g} s",
                provider=worker.name,
                model=worker.model,
            )
        except TakoError as failure:
            error = failure
        else:
            self._count(role, response)
            return WorkerResult(role, task, response, seconds=monotonic() - began)
        return WorkerResult(role, task, error=error, seconds=monotonic() - began)

    async def _ask(self, worker: Provider, request: ChatRequest, step: int, index: int, role: str) -> ChatResponse:
        """Stream where the worker can, so that whoever watches sees it work."""
        if not worker.capabilities.supports_streaming:
            return await worker.chat(request)
        async with worker.stream(request) as stream:
            async for text in stream.text:
                await self.send.send(WorkerDelta(step, index, role, text))
            return await stream.response()

    def _count(self, role: str, response: ChatResponse) -> None:
        self.usage[role] = self.usage.get(role, Usage()) + response.usage
        before = self.cost.get(role, Cost())
        self.cost[role] = None if before is None or response.cost is None else before + response.cost

    def _result(self, text: str, *, complete: bool = True) -> RunResult:
        return RunResult(text, self.steps, self.usage, self.cost, complete)


def _joined(results: list[WorkerResult]) -> str:
    """Make the workers' answers the answer; raises the first error where all of them failed."""
    good = [result for result in results if result.response is not None]
    if not good:
        raise results[0].error
    if len(good) == 1:
        return good[0].text
    return "\n\n".join(f"{result.role}:\n{result.text}" for result in good)
