"""The events of a Conductor's run, and its result."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import Struct, field

from tako.conductor.plan import Plan
from tako.types import ChatResponse, Cost, Usage

COORDINATOR = "coordinator"
"""The key of the coordinator's own share in ``usage_by_role`` and ``cost_by_role``."""


class WorkerResult(Struct, frozen=True):
    """The result of one worker's task.

    Attributes:
        role: The worker's role.
        task: Its task.
        response: Its response, or None if it failed or was stopped.
        error: The TakoError that it failed with. None if it succeeded, or was stopped because another worker was first.
        seconds: How long it took.
        partial: The text that it had written before it failed or was stopped.
    """

    role: str
    task: str
    response: ChatResponse | None = None
    error: Any = None
    seconds: float = 0.0
    partial: str = ""

    @property
    def text(self) -> str:
        """The text of the response. "" without one."""
        return self.response.text if self.response is not None else ""

    @property
    def state(self) -> Literal["done", "failed", "stopped"]:
        """How the task ended."""
        return "done" if self.response is not None else "failed" if self.error is not None else "stopped"


class Step(Struct, frozen=True):
    """One plan and its results.

    Attributes:
        plan: The coordinator's plan.
        results: A result for each of its assignments, in order.
    """

    plan: Plan
    results: list[WorkerResult]


class RunResult(Struct, frozen=True):
    """The result of a Conductor's run. If a worker fails, its tokens aren't counted, because vendors don't report them.

    Attributes:
        text: The answer.
        steps: The plans and their results.
        usage_by_role: The tokens of each role. The coordinator's are under "coordinator".
        cost_by_role: The price of each role in US dollars. None if a price isn't known.
        complete: False if ``max_steps`` ended the run.
    """

    text: str
    steps: list[Step] = []
    usage_by_role: dict[str, Usage] = {}
    cost_by_role: dict[str, Cost | None] = {}
    complete: bool = True

    @property
    def usage(self) -> Usage:
        """The tokens of all roles and the coordinator."""
        return sum(self.usage_by_role.values(), Usage())

    @property
    def cost(self) -> Cost | None:
        """The price of all roles. None if one isn't known."""
        known_costs = [cost for cost in self.cost_by_role.values() if cost is not None]
        return sum(known_costs, Cost()) if known_costs and len(known_costs) == len(self.cost_by_role) else None


class Planned(Struct, frozen=True, tag_field="kind", tag="plan"):
    """A step starts with its plan, made by the coordinator if there is one.

    Attributes:
        kind: "plan".
        step: The number of the step, from 0.
        plan: The plan.
    """

    kind: ClassVar[Literal["plan"]] = "plan"
    step: int
    plan: Plan


class WorkerEvent(Struct, frozen=True, tag_field="kind"):
    """Something happened to one task of a plan.

    Attributes:
        step: The number of the step.
        worker: The task's place in the plan. A role may have several tasks.
        role: The worker's role.
    """

    step: int
    worker: int
    role: str


class WorkerStarted(WorkerEvent, frozen=True, tag="worker_start"):
    """A worker starts its task.

    Attributes:
        kind: "worker_start".
        task: The task.
    """

    kind: ClassVar[Literal["worker_start"]] = "worker_start"
    task: str


class WorkerDelta(WorkerEvent, frozen=True, tag="worker_delta"):
    """A worker wrote some text. A worker that doesn't stream writes all of it at once.

    Attributes:
        kind: "worker_delta".
        text: The next piece of its text.
    """

    kind: ClassVar[Literal["worker_delta"]] = "worker_delta"
    text: str


class WorkerEnded(WorkerEvent, frozen=True, tag="worker_end"):
    """A worker finished, failed, or was stopped. Every start has its end.

    Attributes:
        kind: "worker_end".
        result: The result of its task.
    """

    kind: ClassVar[Literal["worker_end"]] = "worker_end"
    result: WorkerResult


class Final(Struct, frozen=True, tag_field="kind", tag="final"):
    """The run is over. Always the last event.

    Attributes:
        kind: "final".
        result: The result of the run.
    """

    kind: ClassVar[Literal["final"]] = "final"
    result: RunResult = field(default_factory=lambda: RunResult(""))


Event = Planned | WorkerStarted | WorkerDelta | WorkerEnded | Final
