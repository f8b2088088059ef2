"""The coordinator's plan: its shape, the words that ask for it, and reading it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from tako.types import JsonSchema

if TYPE_CHECKING:
    from collections.abc import Collection

    from tako.conductor.events import WorkerResult

_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)


class Assignment(Struct, frozen=True):
    """A task for the worker of a role; ``tools`` are the names of those of the request that it may call."""

    name: str
    task: str
    tools: list[str] = []


class Plan(Struct, frozen=True):
    """What is done in one step.

    ``join_strategy``: wait for "all" workers, or for "any" one that succeeds. ``next_step``: the results go back to the
    coordinator to "summarise", or they are the answer ("halt").
    """

    workers: list[Assignment]
    join_strategy: Literal["all", "any"] = "all"
    next_step: Literal["summarise", "halt"] = "summarise"


class MalformedPlanError(ValueError):
    """What a coordinator wrote is no plan; the text says why, in words that it can act on."""


def read_plan(text: str, roles: Collection[str], tools: Collection[str]) -> Plan:
    """Read a plan, out of code fences and surrounding prose; raises MalformedPlanError."""
    try:
        plan = msgspec.json.decode(find_json(text) or text, type=Plan)
    except msgspec.DecodeError as error:
        raise MalformedPlanError(f"it is not the JSON of a plan: {error}") from None
    if not plan.workers:
        raise MalformedPlanError("it names no workers")
    for assignment in plan.workers:
        if assignment.name not in roles:
            raise MalformedPlanError(f"there is no worker {assignment.name!r}; the workers are {', '.join(roles)}")
        unknown = [name for name in assignment.tools if name not in tools]
        if unknown:
            raise MalformedPlanError(f"there is no tool {unknown[0]!r}; the tools are {', '.join(tools) or 'none'}")
    return plan


def find_json(text: str) -> str | None:
    """Find the object in a text, or None where there is none: in a code fence, or from the first brace to the last."""
    fenced = _FENCE.search(text)
    inner = fenced[1] if fenced else text
    start, end = inner.find("{"), inner.rfind("}")
    return inner[start : end + 1] if 0 <= start < end else None


def looks_like_a_plan(text: str) -> bool:
    """Tell a plan, be it a broken one, from an answer."""
    found = find_json(text)
    return found is not None and '"workers"' in found


def instructions(roles: Collection[str], tools: Collection[str], system: str | None) -> str:
    """Say what a coordinator is to do."""
    lines = [
        "You coordinate workers that cannot see this conversation. Split the user's task among them.",
        f"The workers are: {', '.join(roles)}.",
        f"Tools that you may hand them: {', '.join(tools)}." if tools else "",
        "Answer with one JSON object and nothing else:",
        '{"workers": [{"name": "<worker>", "task": "<all that it needs to know>"}],',
        ' "join_strategy": "all" or "any", "next_step": "summarise" or "halt"}',
        'join_strategy: wait for all workers, or for the first that succeeds. next_step: "summarise" brings their',
        'results back to you; "halt" makes them the answer.',
        system or "",
    ]
    return "\n".join(line for line in lines if line)


def feedback(problem: MalformedPlanError) -> str:
    """Say what was wrong with a plan."""
    return f"That is no plan: {problem}. Answer with the JSON object of the plan and nothing else."


def report(results: list[WorkerResult], *, last: bool) -> str:
    """Hand the workers' results to the coordinator."""
    told = [
        f"<result worker={result.role!r} failed={result.response is None}>\n"
        f"{result.text if result.response is not None else result.error}\n</result>"
        for result in results
    ]
    more = "" if last else " If more work is needed, answer with another plan instead."
    return "\n".join([*told, f"These are the workers' results. Answer the user's task with them, in plain text.{more}"])


def plan_schema(roles: Collection[str]) -> JsonSchema:
    """Return the schema of a plan, for coordinators that can be held to one."""
    assignment: dict[str, Any] = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": list(roles)},
            "task": {"type": "string"},
            "tools": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["name", "task", "tools"],
        "additionalProperties": False,
    }
    properties = {
        "workers": {"type": "array", "items": assignment},
        "join_strategy": {"type": "string", "enum": ["all", "any"]},
        "next_step": {"type": "string", "enum": ["summarise", "halt"]},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return JsonSchema("plan", schema)
