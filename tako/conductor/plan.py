"""The coordinator's plan: its type, the instructions for it, and its parser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from tako.types import JsonSchema

if TYPE_CHECKING:
    from collections.abc import Collection

    from tako.conductor.events import WorkerResult
    from tako.types import Tool, VendorTool

MAX_BRACES = 32
"""How many braces are tried as the beginning of a plan. The text around it may have braces, too."""
_DECODER = json.JSONDecoder()


class Assignment(Struct, frozen=True):
    """A task for the worker with a role.

    Attributes:
        name: The role.
        task: The task.
        tools: The names of the request's tools that the worker may call.
    """

    name: str
    task: str
    tools: list[str] = []


class Plan(Struct, frozen=True):
    """The work of one step.

    Attributes:
        workers: The tasks.
        join_strategy: Wait for "all" workers, or for "any" one that succeeds.
        next_step: "summarise" sends the results back to the coordinator. With "halt" they're the answer.
    """

    workers: list[Assignment]
    join_strategy: Literal["all", "any"] = "all"
    next_step: Literal["summarise", "halt"] = "summarise"


class MalformedPlanError(ValueError):
    """The coordinator's plan can't be read. The text says why, so that the coordinator can correct it."""


def read_plan(text: str, roles: Collection[str], tools: Collection[str]) -> Plan:
    """Read a plan, also from a code fence or surrounding text. Raises MalformedPlanError."""
    try:
        plan = msgspec.convert(_find_object(text), type=Plan)
    except msgspec.ValidationError as error:
        raise MalformedPlanError(f"it is JSON, but no plan: {error}") from None
    if not plan.workers:
        raise MalformedPlanError("it names no workers")
    for assignment in plan.workers:
        if assignment.name not in roles:
            raise MalformedPlanError(f"there is no worker {assignment.name!r}; the workers are {', '.join(roles)}")
        if not assignment.task.strip():
            raise MalformedPlanError(f"the task of {assignment.name!r} is empty")
        unknown = [name for name in assignment.tools if name not in tools]
        if unknown:
            raise MalformedPlanError(f"there is no tool {unknown[0]!r}; the tools are {', '.join(tools) or 'none'}")
    return plan


def read_next(text: str, roles: Collection[str], tools: Collection[str]) -> Plan | None:
    """Read the reply to results: a plan, or None if it's the answer. Raises MalformedPlanError for a broken plan.

    An answer may quote JSON with workers, so a text only counts as a broken plan if it has nothing else in it.
    """
    try:
        return read_plan(text, roles, tools)
    except MalformedPlanError:
        unfenced = text.strip()
        if unfenced.startswith("```") and unfenced.endswith("```"):
            unfenced = unfenced.partition("\n")[2].strip()
        if unfenced.startswith("{") and '"workers"' in unfenced:
            raise
        return None


def _find_object(text: str) -> Any:
    """Find the first object with workers, else the first object. Raises MalformedPlanError if there's none."""
    first_object: Any = None
    problem = "it has no JSON object in it"
    start = text.find("{")
    for _ in range(MAX_BRACES):
        if start < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            problem = problem if "no JSON object" not in problem else f"its JSON is broken: {error}"
            end = start + 1
        except RecursionError:
            raise MalformedPlanError("its JSON is nested too deeply") from None
        except ValueError:  # https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
            raise MalformedPlanError("its JSON has a number of too many digits") from None
        else:
            first_object = value if first_object is None else first_object
            if "workers" in value:
                return value
        start = text.find("{", end)
    if first_object is None:
        raise MalformedPlanError(problem)
    return first_object


def instructions(roles: Collection[str], tools: Collection[Tool | VendorTool], system: str | None) -> str:
    """Return the coordinator's instructions."""
    tool_lines = [f"- {tool.name}: {tool.description}" if tool.description else f"- {tool.name}" for tool in tools]
    tools_field = ', "tools": ["<tool>"]' if tools else ""
    lines = [
        "You coordinate workers that cannot see this conversation. Split the user's task among them.",
        f"The workers are: {', '.join(roles)}.",
        *(["Tools that you may hand them:", *tool_lines] if tool_lines else []),
        "Answer with one JSON object and nothing else:",
        f'{{"workers": [{{"name": "<worker>", "task": "<all that it needs to know>"{tools_field}}}],',
        ' "join_strategy": "all" or "any", "next_step": "summarise" or "halt"}',
        'join_strategy: wait for all workers, or for the first that succeeds. next_step: "summarise" brings their',
        'results back to you; "halt" makes them the answer.',
        system or "",
    ]
    return "\n".join(line for line in lines if line)


def feedback(problem: MalformedPlanError, *, may_answer: bool) -> str:
    """Return the message about a malformed plan. With ``may_answer``, the coordinator may also answer."""
    or_answer = ", or with the answer to the user's task in plain text" if may_answer else " and nothing else"
    return f"That isn't a plan: {problem}. Answer with the JSON object of the plan{or_answer}."


def report(results: list[WorkerResult], *, last: bool) -> str:
    """Return the message with the workers' results for the coordinator."""
    sections = [
        f"<result worker={json.dumps(result.role)} state={json.dumps(result.state)}>\n{_describe(result)}\n</result>"
        for result in results
    ]
    hint = "" if last else " If more work is needed, answer with another plan instead."
    return "\n".join(
        [*sections, f"These are the workers' results. Answer the user's task with them, in plain text.{hint}"]
    )


def _describe(result: WorkerResult) -> str:
    """Describe one result: its text and calls, or the error and the text so far."""
    if result.response is None:
        so_far = f"Its answer so far: {result.partial}" if result.partial else ""
        return "\n".join(filter(None, (str(result.error or "Another worker was first."), so_far)))
    calls = [f"calls {call.name} with {msgspec.json.encode(call.args).decode()}" for call in result.response.tool_calls]
    return "\n".join(filter(None, (result.text, *calls)))


def plan_schema(roles: Collection[str], tools: Collection[str]) -> JsonSchema:
    """Return the schema of a plan, for coordinators with JSON mode. Strict modes require every field."""
    fields: dict[str, Any] = {"name": {"type": "string", "enum": list(roles)}, "task": {"type": "string"}}
    if tools:
        fields["tools"] = {"type": "array", "items": {"type": "string", "enum": list(tools)}}
    assignment: dict[str, Any] = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    properties = {
        "workers": {"type": "array", "items": assignment},
        "join_strategy": {"type": "string", "enum": ["all", "any"]},
        "next_step": {"type": "string", "enum": ["summarise", "halt"]},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return JsonSchema("plan", schema)
