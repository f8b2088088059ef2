"""One run of a Conductor: plan, fan out, join, and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from msgspec.structs import replace

from tako.conductor.background_task import BackgroundTask
from tako.conductor.events import COORDINATOR, Event, Final, Planned, RunResult, Step, WorkerResult
from tako.conductor.plan import (
    Assignment,
    MalformedPlanError,
    Plan,
    feedback,
    instructions,
    plan_schema,
    read_next,
    read_plan,
    report,
)
from tako.conductor.worker_task import WorkerTask
from tako.errors import ConfigurationError, ResponseError, TakoError
from tako.parts import ContentPart, media_kind
from tako.types import ChatRequest, ChatResponse, Cost, Message, Role, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.streams.memory import MemoryObjectSendStream

    from tako.conductor import Conductor
    from tako.provider import Provider

MAX_AHEAD = 64
"""Events that the workers may be ahead of whoever watches."""
CANCELLED = "the run was cancelled"
UNSUPPORTED_FIELDS = {
    "model": "each provider has its own",
    "tool_choice": "the coordinator hands out the tools",
    "response_format": "the coordinator writes plans and texts",
    "stop": "it would cut plans",
    "extra": "each vendor has its own",
}
"""What a request cannot say where a coordinator splits it, and why."""


CAPABILITY_BY_KIND = {
    "image": "supports_vision",
    "document": "supports_documents",
    "audio": "supports_audio",
    "video": "supports_video",
}
"""The capability that each kind of image or file needs; text is for every worker."""


class Run:
    """One run; ``events`` is called once. ``result`` is there once it is over."""

    def __init__(self, conductor: Conductor, request: ChatRequest) -> None:
        _check(request, is_split=conductor.coordinator is not None)
        self.conductor = conductor
        self.request = request
        self.tools = {tool.name: tool for tool in request.tools}
        self.media = [
            part
            for message in request.messages
            if message.role is Role.USER
            for part in message.parts
            if media_kind(part)
        ]
        self.steps: list[Step] = []
        self.answers: list[WorkerResult] = []
        """The results of the last step, or the one that was first where "any" would do."""
        self.usage: dict[str, Usage] = {}
        self.cost: dict[str, Cost | None] = {}
        self.result: RunResult | None = None

    async def events(self) -> AsyncGenerator[Event, None]:
        """Drive the run and hand out its events; leaving cancels it and waits until nothing is left of it."""
        send, receive = anyio.create_memory_object_stream[Event](MAX_AHEAD)

        async def drive() -> None:
            with send:
                result = await self._conduct(send)
                self.result = result
                await send.send(Final(result))

        with send, receive:
            task = BackgroundTask(drive)
            try:
                async for event in receive:
                    yield event
            finally:
                receive.close()  # first: an event that must not be lost is sent whether the run is cancelled or not
                await task.stop()
            task.check()
        if self.result is None:
            raise TakoError(CANCELLED)

    async def _conduct(self, send: MemoryObjectSendStream[Event]) -> RunResult:
        """Go step by step until there is an answer."""
        coordinator = self.conductor.coordinator
        if coordinator is None:
            task = "\n".join(message.text for message in self.request.messages if message.role is Role.USER)
            plan_for_all = Plan([Assignment(role, task) for role in self.conductor.workers], next_step="halt")
            await self._step(plan_for_all, send)
            return self._result(_join_answers(self.answers))
        planner = Coordinator(self, coordinator)
        plan = await planner.first_plan()
        for step in range(1, self.conductor.max_steps + 1):
            results = await self._step(plan, send)
            if plan.next_step == "halt":
                return self._result(_join_answers(self.answers))
            next_plan = await planner.send_results(results, is_last=step == self.conductor.max_steps)
            if next_plan is None:
                return self._result(planner.reply_text)
            if isinstance(next_plan, Plan):
                plan = next_plan
        return self._result(_join_answers(self.answers), complete=False)

    async def _step(self, plan: Plan, send: MemoryObjectSendStream[Event]) -> list[WorkerResult]:
        """Fan a plan out and join it; the results are in the plan's order, one for each assignment."""
        number = len(self.steps)
        await send.send(Planned(number, plan))
        worker_tasks = [
            WorkerTask(
                self.conductor.workers[assignment.name],
                assignment,
                request=self._worker_request,
                send=send,
                place=(number, index),
                limit=self.conductor.worker_timeout,
            )
            for index, assignment in enumerate(plan.workers)
        ]
        limiter = anyio.CapacityLimiter(self.conductor.max_fanout)
        failures: list[BaseException] = []
        winners: list[WorkerResult] = []
        async with anyio.create_task_group() as group:

            async def run_task(work: WorkerTask) -> None:
                async with limiter:
                    await work.run()
                result = work.result
                fatal_error = work.exit or (result.error if self.conductor.fail_fast else None)
                if failures or winners:
                    pass  # it was done in the moment in which it was stopped
                elif fatal_error is not None:
                    failures.append(fatal_error)
                elif result.response is not None and plan.join_strategy == "any":
                    winners.append(result)
                if failures or winners:
                    group.cancel_scope.cancel()  # before it is told, which takes as long as the watcher does
                await work.end()

            for work in worker_tasks:
                group.start_soon(run_task, work)
        for work in worker_tasks:
            await work.end()  # those that nobody waited for
        if failures:
            raise failures[0]
        results = [work.result for work in worker_tasks]
        if not winners and any(result.state == "stopped" for result in results):
            raise TakoError(CANCELLED)
        self._count_all(results)
        self.steps.append(Step(plan, results))
        self.answers = winners or results
        return results

    def _count_all(self, results: list[WorkerResult]) -> None:
        for result in results:
            if result.response is not None:
                self.count(result.role, result.response)

    def _worker_request(self, worker: Provider, assignment: Assignment) -> ChatRequest:
        """Make what a worker is asked: its task, the tools it was handed, and the images and files that it can take."""
        if self.conductor.coordinator is None:
            return self.request
        task = Message.user(assignment.task)
        known = worker.capabilities
        media = [part for part in self.media if getattr(known, CAPABILITY_BY_KIND.get(media_kind(part), ""), True)]
        if media:
            task = Message.user([*media, ContentPart.text(assignment.task)])
        return replace(self.request, messages=[task], tools=[self.tools[name] for name in assignment.tools])

    def count(self, role: str, response: ChatResponse) -> None:
        """Add what a reply used to its role's share."""
        self.usage[role] = self.usage.get(role, Usage()) + response.usage
        before = self.cost.get(role, Cost())
        self.cost[role] = None if before is None or response.cost is None else before + response.cost

    def _result(self, text: str, *, complete: bool = True) -> RunResult:
        return RunResult(text, self.steps, self.usage, self.cost, complete)


class Coordinator:
    """The coordinator of one run, and what it and the run have said to each other."""

    def __init__(self, run: Run, provider: Provider) -> None:
        self.run = run
        self.provider = provider
        self.roles = list(run.conductor.workers)
        self.reply_text = ""
        system = instructions(self.roles, run.request.tools, run.conductor.system)
        self.messages = [Message.system(system), *run.request.messages]

    async def first_plan(self) -> Plan:
        """Ask for a plan; a malformed one goes back once."""
        await self._ask(is_planning=True)
        try:
            return read_plan(self.reply_text, self.roles, self.run.tools)
        except MalformedPlanError as problem:
            self.messages.append(Message.user(feedback(problem, may_answer=False)))
        await self._ask(is_planning=True)
        try:
            return read_plan(self.reply_text, self.roles, self.run.tools)
        except MalformedPlanError as problem:
            raise self._no_plan_error(problem) from problem

    async def send_results(self, results: list[WorkerResult], *, is_last: bool) -> Plan | MalformedPlanError | None:
        """Hand the results over; the coordinator answers (None) or plans again.

        A malformed plan goes back to it once, unless it was the ``last`` word that it had.
        """
        self.messages.append(Message.user(report(results, last=is_last)))
        await self._ask(is_planning=False)
        try:
            return read_next(self.reply_text, self.roles, self.run.tools)
        except MalformedPlanError as problem:
            if is_last:
                return problem
            self.messages.append(Message.user(feedback(problem, may_answer=True)))
        await self._ask(is_planning=False)
        try:
            return read_next(self.reply_text, self.roles, self.run.tools)
        except MalformedPlanError as problem:
            raise self._no_plan_error(problem) from problem

    async def _ask(self, *, is_planning: bool) -> None:
        """Ask the coordinator and remember its answer; a plan is asked for by its schema where that is possible."""
        wants_schema = is_planning and self.provider.capabilities.supports_json_mode
        schema = plan_schema(self.roles, self.run.tools) if wants_schema else None
        request = replace(self.run.request, messages=list(self.messages), tools=[], response_format=schema)
        response = await self.provider.chat(request)
        self.run.count(COORDINATOR, response)
        self.reply_text = response.text
        self.messages.append(Message.assistant(self.reply_text or "(nothing)"))

    def _no_plan_error(self, problem: MalformedPlanError) -> ResponseError:
        text = f"the coordinator gave no plan that can be followed, twice in a row: {problem}"
        return ResponseError(text, provider=self.provider.name, model=self.provider.model, body=self.reply_text)


def _check(request: ChatRequest, *, is_split: bool) -> None:
    """Refuse what a run would have to leave out."""
    for name, reason in UNSUPPORTED_FIELDS.items():
        value: Any = getattr(request, name)
        if value not in (None, [], {}) and (is_split or name == "model"):
            raise ConfigurationError(f"a request to several providers has no {name}: {reason}")


def _join_answers(results: list[WorkerResult]) -> str:
    """Make the workers' answers the answer; raises the first error where all of them failed."""
    succeeded = [result for result in results if result.response is not None]
    if not succeeded:
        raise next(result.error for result in results if result.error is not None)
    if len(succeeded) == 1:
        return succeeded[0].text
    return "\n\n".join(f"{result.role}:\n{result.text}" for result in succeeded)
