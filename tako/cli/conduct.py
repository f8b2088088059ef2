"""``tako conduct``: run the Conductor of tako.toml, and show its progress."""

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
from tako.cli.prompt import read_prompt
from tako.cli.run import print_to_stderr
from tako.cli.screen import FRAMES, Screen
from tako.cli.terminal import is_terminal, printable
from tako.conductor.events import Planned, WorkerDelta, WorkerEnded, WorkerStarted
from tako.config import missing_message
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import Namespace

    from tako.conductor import Conductor
    from tako.conductor.events import Event, RunResult, WorkerResult
    from tako.conductor.plan import Plan

MARKS = {"done": "✓", "failed": "✗", "stopped": "-"}


def run(options: Namespace) -> int:
    """Run the command: the answer goes to stdout, the progress to stderr."""
    prompt = read_prompt(options.prompt)
    if prompt is None:
        raise UsageError('the task is missing; try: tako conduct "your task"')
    config = read_configuration(options.config)
    if config is None:
        raise ConfigurationError(missing_message())
    conductor = config.conductor()
    announce(config, options.config)
    result = asyncio.run(_run_with_progress(conductor, prompt))
    if options.json:
        sys.stdout.write(msgspec.json.encode(result, enc_hook=str).decode() + "\n")
    else:
        with Screen() as screen:
            screen.add(result.text)
    print_to_stderr(f"tako: {_totals(result)}")
    if not result.complete:
        print_to_stderr("tako: the run stopped at max_steps before it was complete; these are the last results")
    return 0


async def _run_with_progress(conductor: Conductor, prompt: str) -> RunResult:
    progress = _choose_progress()
    async with conductor, conductor.stream(prompt) as events:
        with progress:
            async for event in events:
                progress.show(event)
            return await events.result()


def _choose_progress() -> LiveProgress | LineProgress:
    if is_terminal(sys.stderr):
        with suppress(ImportError):  # rich isn't installed
            return LiveProgress()
    return LineProgress()


class LineProgress(AbstractContextManager[Any]):
    """The progress as lines on stderr: each plan, and the start and the end of each task."""

    def show(self, event: Event) -> None:
        """Print a line for an event."""
        if isinstance(event, Planned):
            print_to_stderr(f"tako: step {event.step + 1}: {_plan_text(event.plan)}")
        elif isinstance(event, WorkerStarted):
            print_to_stderr(f"tako: {event.role}: {event.task}")
        elif isinstance(event, WorkerEnded):
            print_to_stderr(f"tako: {event.role}: {_outcome(event.result)}")

    def __exit__(self, *_: object) -> None:
        """Do nothing: all lines are printed."""


class LiveProgress(AbstractContextManager[Any]):
    """The progress as a live table: a row for each task of the step, with the end of its text."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._rows: list[dict[str, Any]] = []
        self._heading = "planning …"
        console = Console(stderr=True, highlight=False)
        self._live = RichLive(self, console=console, refresh_per_second=12, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._rows:
            self._heading = ""
        self._live.stop()

    def show(self, event: Event) -> None:
        """Update the rows; the table is drawn at its own rate."""
        if isinstance(event, Planned):
            self._settle()
            self._heading = f"step {event.step + 1}: {_plan_text(event.plan)}"
            self._rows = [
                {"role": assignment.name, "text": assignment.task, "began": 0.0, "end": None}
                for assignment in event.plan.workers
            ]
        elif isinstance(event, WorkerStarted):
            self._rows[event.worker] |= {"began": monotonic(), "text": ""}
        elif isinstance(event, WorkerDelta):
            row = self._rows[event.worker]
            row["text"] = (row["text"] + event.text)[-400:]
        elif isinstance(event, WorkerEnded):
            self._rows[event.worker]["end"] = event.result

    def _settle(self) -> None:
        """Leave the previous step's table on the screen, and start a new one below it."""
        if self._rows:
            self._live.console.print(self)

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
                mark, text = MARKS[result.state], _outcome(result)
            elif row["began"]:
                mark = FRAMES[int(monotonic() * 12) % len(FRAMES)]
                text = f"{monotonic() - row['began']:.1f} s  {row['text']}"
            else:
                mark, text = "·", row["text"]
            line = " ".join(printable(text).split())
            table.add_row(mark, printable(row["role"]), Text(line))
        return Group(Text(printable(self._heading)), table) if self._heading else Group()


def _plan_text(plan: Plan) -> str:
    counts = Counter(assignment.name for assignment in plan.workers)
    names = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items())
    return f"{names} ({plan.join_strategy}, then {plan.next_step})"


def _outcome(result: WorkerResult) -> str:
    if result.response is not None:
        return f"done in {result.seconds:.1f} s, {result.response.usage.total} tokens"
    if result.error is not None:
        return f"failed after {result.seconds:.1f} s: {result.error}"
    return "stopped, because another task was first"


def _totals(result: RunResult) -> str:
    """Return what a run used, with the cost if it's known."""
    cost = f", ${result.cost.total:.4f}" if result.cost is not None else ""
    return f"{len(result.steps)} step{'s' * (len(result.steps) != 1)}, {result.usage.total} tokens{cost}"
