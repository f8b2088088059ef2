"""``tako conduct``: have the Conductor of tako.toml do a task, and show who does what meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import AbstractContextManager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, read_configuration
from tako.cli.question import read_prompt
from tako.cli.run import complain
from tako.cli.screen import FRAMES, Screen, is_terminal, printable
from tako.conductor.events import Planned, WorkerDelta, WorkerEnded, WorkerStarted
from tako.config import missing
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.conductor import Conductor
    from tako.conductor.events import Event, RunResult, WorkerResult
    from tako.conductor.plan import Plan

MARKS = {"done": "✓", "failed": "✗", "stopped": "-"}


def run(options: Namespace) -> int:
    """Carry out the command: the answer on stdout, the progress on stderr."""
    prompt = read_prompt(options.prompt)
    if prompt is None:
        raise UsageError('the task is missing: tako conduct "your task", or pipe it in')
    config = read_configuration(options.config)
    if config is None:
        raise ConfigurationError(missing())
    conductor = config.conductor()
    announce(config, options.config)
    result = asyncio.run(_watch(conductor, prompt))
    if options.json:
        sys.stdout.write(msgspec.json.encode(result, enc_hook=str).decode() + "\n")
    else:
        with Screen() as screen:
            screen.add(result.text)
    complain(f"tako: {_total(result)}")
    if not result.complete:
        complain("tako: the plans didn't come to an end: max_steps is reached, and these are the last results")
    return 0


async def _watch(conductor: Conductor, prompt: str) -> RunResult:
    progress = _progress()
    async with conductor, conductor.stream(prompt) as events:
        with progress:
            async for event in events:
                progress.see(event)
            return await events.result()


def _progress() -> Live | Lines:
    if is_terminal(sys.stderr):
        with suppress(ImportError):  # rich isn't installed
            return Live()
    return Lines()


class Lines(AbstractContextManager[Any]):
    """The progress as lines on stderr: plans, and the beginning and the end of each task."""

    def see(self, event: Event) -> None:
        """Tell of an event."""
        if isinstance(event, Planned):
            complain(f"tako: step {event.step + 1}: {_planned(event.plan)}")
        elif isinstance(event, WorkerStarted):
            complain(f"tako: {event.role}: {event.task}")
        elif isinstance(event, WorkerEnded):
            complain(f"tako: {event.role}: {_ended(event.result)}")

    def __exit__(self, *_: object) -> None:
        """Nothing is left to do."""


class Live(AbstractContextManager[Any]):
    """The progress as a table on a terminal that moves: a row for each task of the step, with the end of its text."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as Moving

        self._rows: list[dict[str, Any]] = []
        self._heading = "planning …"
        console = Console(stderr=True, highlight=False)
        self._moving = Moving(self, console=console, refresh_per_second=12, transient=False)

    def __enter__(self) -> Self:
        self._moving.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._rows:
            self._heading = ""
        self._moving.stop()

    def see(self, event: Event) -> None:
        """Take an event in; what is shown is drawn in its own time."""
        if isinstance(event, Planned):
            self._settle()
            self._heading = f"step {event.step + 1}: {_planned(event.plan)}"
            self._rows = [{"role": one.name, "text": one.task, "began": 0.0, "end": None} for one in event.plan.workers]
        elif isinstance(event, WorkerStarted):
            self._rows[event.worker] |= {"began": monotonic(), "text": ""}
        elif isinstance(event, WorkerDelta):
            row = self._rows[event.worker]
            row["text"] = (row["text"] + event.text)[-400:]
        elif isinstance(event, WorkerEnded):
            self._rows[event.worker]["end"] = event.result

    def _settle(self) -> None:
        """Leave the table of the step before where it is, and begin a new one under it."""
        if self._rows:
            self._moving.console.print(self)

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in self._rows:
            result: WorkerResult | None = row["end"]
            if result is not None:
                mark, text = MARKS[result.state], _ended(result)
            elif row["began"]:
                mark = FRAMES[int(monotonic() * 12) % len(FRAMES)]
                text = f"{monotonic() - row['began']:.1f} s  {row['text']}"
            else:
                mark, text = "·", row["text"]
            line = " ".join(printable(text).split())
            table.add_row(mark, printable(row["role"]), Text(line))
        return Group(Text(printable(self._heading)), table) if self._heading else Group()


def _planned(plan: Plan) -> str:
    counts = Counter(assignment.name for assignment in plan.workers)
    names = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items())
    return f"{names} ({plan.join_strategy}, then {plan.next_step})"


def _ended(result: WorkerResult) -> str:
    if result.response is not None:
        return f"done in {result.seconds:.1f} s, {result.response.usage.total} tokens"
    if result.error is not None:
        return f"failed after {result.seconds:.1f} s: {result.error}"
    return "stopped, since another was first"


def _total(result: RunResult) -> str:
    """Say what a run used; a cost that is not known is not mentioned."""
    cost = f", ${result.cost.total:.4f}" if result.cost is not None else ""
    return f"{len(result.steps)} step{'s' * (len(result.steps) != 1)}, {result.usage.total} tokens{cost}"
