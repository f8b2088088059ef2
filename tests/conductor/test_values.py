"""Events and results as values: their JSON, and sums of usage and cost."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tako import Capabilities, ChatRequest, Conductor, Usage
from tako.conductor.events import (
    Event,
    Final,
    Planned,
    RunResult,
    WorkerDelta,
    WorkerEnded,
    WorkerEvent,
    WorkerResult,
    WorkerStarted,
)
from tako.conductor.plan import Assignment, Plan
from tako.providers import PythonProvider

from .callables import plan, run

if TYPE_CHECKING:
    from tako import Provider

RESULT = WorkerResult("math", "Prove it", seconds=0.5, partial="It is")
TASK = Assignment("math", "Prove it", ["saw"])
SHAPES: list[tuple[Event, dict[str, Any]]] = [
    (
        Planned(0, Plan([TASK])),
        {
            "kind": "plan",
            "step": 0,
            "plan": {
                "workers": [{"name": "math", "task": "Prove it", "tools": ["saw"]}],
                "join_strategy": "all",
                "next_step": "summarise",
            },
        },
    ),
    (
        WorkerStarted(0, 1, "math", "Prove it"),
        {"kind": "worker_start", "step": 0, "worker": 1, "role": "math", "task": "Prove it"},
    ),
    (
        WorkerDelta(0, 1, "math", "It is"),
        {"kind": "worker_delta", "step": 0, "worker": 1, "role": "math", "text": "It is"},
    ),
    (
        WorkerEnded(0, 1, "math", RESULT),
        {
            "kind": "worker_end",
            "step": 0,
            "worker": 1,
            "role": "math",
            "result": {
                "role": "math",
                "task": "Prove it",
                "response": None,
                "error": None,
                "seconds": 0.5,
                "partial": "It is",
            },
        },
    ),
    (
        Final(RunResult("So it is.")),
        {
            "kind": "final",
            "result": {
                "text": "So it is.",
                "steps": [],
                "usage_by_role": {},
                "cost_by_role": {},
                "complete": True,
            },
        },
    ),
]


@pytest.mark.parametrize(("event", "shape"), SHAPES, ids=lambda value: getattr(value, "kind", ""))
def test_each_event_has_its_json_and_comes_back_from_it(event: Event, shape: dict[str, Any]) -> None:
    """The order of the keys belongs to it."""
    text = json.dumps(shape, separators=(",", ":"))
    assert msgspec.json.encode(event).decode() == text
    assert msgspec.json.decode(text, type=Event) == event


def test_what_happens_to_workers_has_one_head() -> None:
    heads = [event.__struct_fields__[:3] for event, _ in SHAPES if isinstance(event, WorkerEvent)]
    assert heads == [("step", "worker", "role")] * 3


PRICES: dict[str, Any] = {"usd_per_input_mtok": 2.5, "usd_per_output_mtok": 10.0}
COUNTS = st.tuples(st.integers(0, 10_000), st.integers(1, 10_000))


@given(
    plans=st.lists(st.lists(st.tuples(st.sampled_from("abc"), COUNTS), min_size=1, max_size=5), min_size=1, max_size=3),
    lead_counts=COUNTS,
    priced=st.booleans(),
    failing=st.booleans(),
)
@settings(max_examples=30)
def test_the_usage_and_cost_of_a_run_are_the_sums_of_its_replies(
    plans: list[list[tuple[str, tuple[int, int]]]], lead_counts: tuple[int, int], *, priced: bool, failing: bool
) -> None:
    replies: list[Usage] = []
    texts = iter([*[plan(*[f"{role}: {json.dumps(n)}" for role, n in p], then="summarise") for p in plans], "Done."])

    async def lead(_: ChatRequest) -> dict[str, Any]:
        replies.append(Usage(*lead_counts))
        return {"text": next(texts), "input_tokens": lead_counts[0], "output_tokens": lead_counts[1]}

    async def work(request: ChatRequest) -> dict[str, Any]:
        counts = json.loads(request.messages[0].text)
        if failing and counts[0] % 2:
            raise ValueError("odd")
        replies.append(Usage(*counts))
        return {"text": "ok", "input_tokens": counts[0], "output_tokens": counts[1]}

    known = Capabilities(supports_streaming=False, **(PRICES if priced else {}))
    workers: dict[str, Provider] = {role: PythonProvider(role, work, capabilities=known) for role in "abc"}
    coordinator = PythonProvider("lead", lead, capabilities=Capabilities(supports_streaming=False, **PRICES))
    result = run(Conductor(workers, coordinator))
    assert result.usage == sum(replies, Usage())
    assert result.usage == sum(result.usage_by_role.values(), Usage())
    worked = any(one.response for step in result.steps for one in step.results)
    if priced or not worked:
        parts = [Decimal(one.input_tokens) * Decimal("2.5") + Decimal(one.output_tokens) * 10 for one in replies]
        assert result.cost is not None
        assert result.cost.total == sum(parts) / 1_000_000
    else:
        assert result.cost is None
        assert result.cost_by_role["coordinator"] is not None
