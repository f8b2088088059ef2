"""What a run tells while it goes on, and what it leaves."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import Struct, field

from tako.conductor.plan import Plan
from tako.types import ChatResponse, Cost, Usage

COORDINATOR = "coordinator"
"""The key of the coordinator's own share in ``usage_by_role`` and ``cost_by_role``."""


class WorkerResult(Struct, frozen=True):
    """What came of one worker's task: a response, or the error (a TakoError) that it failed with.

    Neither is there where nobody waited for it, because another worker was first. ``seconds`` it took. ``partial`` is
    the text that had come before it failed or was stopped.
    """

    role: str
    task: str
    response: ChatResponse | None = None
    error: Any = None
    seconds: float = 0.0
    partial: str = ""

    @property
    def text(self) -> str:
        """The text of the response; "" where there is none."""
        return self.response.text if self.response is not None else ""

    @property
    def state(self) -> Literal["done", "failed", "stopped"]:
        """How it ended."""
        return "done" if self.response is not None else "failed" if self.error is not None else "stopped"


class Step(Struct, frozen=True):
    """One plan and what its workers made of it: a result for each of its assignments, in its order."""

    plan: Plan
    results: list[WorkerResult]


class RunResult(Struct, frozen=True):
    """What a run leaves: its text, its steps, and what it used by role (the coordinator's share under "coordinator").

    Replies count; what a worker used before it failed is not known. A role's cost is None where a price of it is not
    known. ``complete`` is False where ``max_steps`` ended it.
    """

    text: str
    steps: list[Step] = []
    usage_by_role: dict[str, Usage] = {}
    cost_by_role: dict[str, Cost | None] = {}
    complete: bool = True

    @property
    def usage(self) -> Usage:
        """All tokens, the coordinator's included."""
        return sum(self.usage_by_role.values(), Usage())

    @property
    def cost(self) -> Cost | None:
        """All costs; None where one is not known."""
        known = [cost for cost in self.cost_by_role.values() if cost is not None]
        return sum(known, Cost()) if known and len(known) == len(self.cost_by_role) else None


class Planned(Struct, frozen=True, tag_field="kind", tag="plan"):
    """The coordinator has decided what to do in a step."""

    kind: ClassVar[Literal["plan"]] = "plan"
    step: int
    plan: Plan


class WorkerEvent(Struct, frozen=True, tag_field="kind"):
    """What happens to one task of a plan. ``worker`` is its place in the plan; a role may have several."""

    step: int
    worker: int
    role: str


class WorkerStarted(WorkerEvent, frozen=True, tag="worker_start"):
    """A worker begins its task."""

    kind: ClassVar[Literal["worker_start"]] = "worker_start"
    task: str


class WorkerDelta(WorkerEvent, frozen=True, tag="worker_delta"):
    """A worker says something. One that does not stream says it all at once."""

    kind: ClassVar[Literal["worker_delta"]] = "worker_delta"
    text: str


class WorkerEnded(WorkerEvent, frozen=True, tag="worker_end"):
    """A worker is done, has failed, or was stopped; every start has its end."""

    kind: ClassVar[Literal["worker_end"]] = "worker_end"
    result: WorkerResult


class Final(Struct, frozen=True, tag_field="kind", tag="final"):
    """The run is over; always the last event."""

    kind: ClassVar[Literal["final"]] = "final"
    result: RunResult = field(default_factory=lambda: RunResult(""))


Event = Planned | WorkerStarted | WorkerDelta | WorkerEnded | Final
