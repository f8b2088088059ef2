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
"""How many events the workers may be ahead of the reader."""
CANCELLED = "the run was cancelled"
UNSUPPORTED_FIELDS = {
    "model": "each provider has its own",
    "tool_choice": "the coordinator hands out the tools",
    "response_format": "the coordinator writes plans and texts",
    "stop": "it would cut plans",
    "extra": "each vendor has its own",
}
"""Fields that a request to several providers can't have, and why."""


CAPABILITY_BY_KIND = {
    "image": "supports_vision",
    "document": "supports_documents",
    "audio": "supports_audio",
    "video": "supports_video",
}
"""The capability that each kind of image or file needs. Every worker takes text."""


class Run:
    """One run. ``events`` is called once, and ``result`` is set at the end."""

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
        """The results of the last step, or the first one if the plan has "any"."""
        self.usage: dict[str, Usage] = {}
        self.cost: dict[str, Cost | None] = {}
        self.result: RunResult | None = None

    async def events(self) -> AsyncGenerator[Event, None]:
        """Run, and yield the events. Leaving early cancels the run and waits until it has ended."""
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
                receive.close()  # first, since events that mustn't be lost are sent even if the run is cancelled
                await task.stop()
            task.check()
        if self.result is None:
            raise TakoError(CANCELLED)

    async def _conduct(self, send: MemoryObjectSendStream[Event]) -> RunResult:
        """Run step by step until there's an answer."""
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
        """Run the tasks of a plan, and return their results in the plan's order."""
        number = len(self.steps)
        await send.send(Planned(number, plan))
        worker_tasks = [
            WorkerTask(
                self.conductor.workers[assignment.name],
                assignment,
                request=self._worker_request,
                send=send,
                position=(number, index),
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
                    pass  # it finished just when it was stopped
                elif fatal_error is not None:
                    failures.append(fatal_error)
                elif result.response is not None and plan.join_strategy == "any":
                    winners.append(result)
                if failures or winners:
                    group.cancel_scope.cancel()  # before the end is reported, which takes as long as the reader does
                await work.end()

            for work in worker_tasks:
                group.start_soon(run_task, work)
        for work in worker_tasks:
            await work.end()  # tasks that were stopped
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
        """Make a worker's request: its task, its tools, and the images and files that it can take."""
        if self.conductor.coordinator is None:
            return self.request
        task = Message.user(assignment.task)
        capabilities = worker.capabilities
        media = [
            part for part in self.media if getattr(capabilities, CAPABILITY_BY_KIND.get(media_kind(part), ""), True)
        ]
        if media:
            task = Message.user([*media, ContentPart.text(assignment.task)])
        return replace(self.request, messages=[task], tools=[self.tools[name] for name in assignment.tools])

    def count(self, role: str, response: ChatResponse) -> None:
        """Add a reply's usage and cost to its role."""
        self.usage[role] = self.usage.get(role, Usage()) + response.usage
        previous = self.cost.get(role, Cost())
        self.cost[role] = None if previous is None or response.cost is None else previous + response.cost

    def _result(self, text: str, *, complete: bool = True) -> RunResult:
        return RunResult(text, self.steps, self.usage, self.cost, complete)


class Coordinator:
    """The coordinator of one run, and its conversation."""

    def __init__(self, run: Run, provider: Provider) -> None:
        self.run = run
        self.provider = provider
        self.roles = list(run.conductor.workers)
        self.reply_text = ""
        system = instructions(self.roles, run.request.tools, run.conductor.system)
        self.messages = [Message.system(system), *run.request.messages]

    async def first_plan(self) -> Plan:
        """Request a plan. A malformed one is sent back once."""
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
        """Send the results. Returns None if the coordinator answers, or its next plan.

        A malformed plan is sent back once, unless this is the last step.
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
        """Send the conversation to the coordinator, and add its reply. A plan is requested by schema if possible."""
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
    """Raise ConfigurationError for a field that several providers can't share."""
    for name, reason in UNSUPPORTED_FIELDS.items():
        value: Any = getattr(request, name)
        if value not in (None, [], {}) and (is_split or name == "model"):
            raise ConfigurationError(f"a request to several providers has no {name}: {reason}")


def _join_answers(results: list[WorkerResult]) -> str:
    """Join the workers' answers. Raises the first error if all of them failed."""
    succeeded = [result for result in results if result.response is not None]
    if not succeeded:
        raise next(result.error for result in results if result.error is not None)
    if len(succeeded) == 1:
        return succeeded[0].text
    return "\n\n".join(f"{result.role}:\n{result.text}" for result in succeeded)
