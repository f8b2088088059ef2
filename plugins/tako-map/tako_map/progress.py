"""What people see of a run: a line that moves on a terminal, lines now and then elsewhere, a table at the end."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from tako.cli.run import complain
from tako.cli.screen import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako_map.record import Record

MOVING, PLAIN = 0.25, 10.0
"""Seconds between two drawings of the line, and between two plain lines."""
WINDOW = 30.0
"""Seconds over which speeds are averaged."""


class Progress:
    """Counts what is delivered and shows it.

    ``fraction`` says how much of the input has been read; ``moving`` whether a line may move on a terminal.
    """

    def __init__(self, fraction: Callable[[], float], spent: Callable[[], float], in_flight: Callable[[], int]) -> None:
        self.moving = True
        self.done = self.failed = self.refused = 0
        self.input_tokens = self.output_tokens = 0
        self.cost = 0.0
        self._fraction = fraction
        self._spent = spent
        self._in_flight = in_flight
        self._began = monotonic()
        self._begun_at: float | None = None
        self._past: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])

    def count(self, one: Record) -> None:
        """Take one delivered row in."""
        if self._begun_at is None:
            self._begun_at = self._fraction()  # what earlier runs have done goes fast, and says nothing of the rest
        if one.error is None:
            self.done += 1
        else:
            self.failed += 1
        self.input_tokens += one.input_tokens
        self.output_tokens += one.output_tokens
        self.cost += one.cost or 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return monotonic() - self._began

    def line(self) -> str:
        """Put the state in one line."""
        now = monotonic()
        rows, tokens = self.done + self.failed, self.input_tokens + self.output_tokens
        self._past.append((now, rows, tokens))
        while now - self._past[0][0] > WINDOW and len(self._past) > 2:  # noqa: PLR2004 - two make a difference
            self._past.popleft()
        then, rows_then, tokens_then = self._past[0]
        past = max(now - then, 1e-3)
        words = [
            f"{self.done:,} done",
            f"{self.failed:,} failed",
            f"{(rows - rows_then) / past:,.1f} rows/s",
            f"{(tokens - tokens_then) / past * 60:,.0f} tokens/min",
            f"${self._spent():,.4f}",
        ]
        left = self._left()
        return ", ".join([*words, *([f"about {_clock(left)} left"] if left is not None else [])])

    async def show(self) -> None:
        """Show the line until cancelled."""
        if self.moving and is_terminal(sys.stderr):
            with suppress(ImportError):  # rich isn't installed
                await self._move()
        while True:
            await asyncio.sleep(PLAIN)
            complain(f"tako: {self.line()}")

    async def _move(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(Text(self.line()), console=Console(stderr=True), auto_refresh=False, transient=True) as live:
            while True:
                await asyncio.sleep(MOVING)
                live.update(Text(self.line(), no_wrap=True, overflow="ellipsis"), refresh=True)

    def summary(self, rows: dict[str, Any]) -> None:
        """Print the table at the end: these rows, then what has been counted."""
        seconds = self.seconds
        answered = self.done + self.failed
        shown = {
            "done": f"{self.done:,}",
            "failed": f"{self.failed:,}",
            **rows,
            "input tokens": f"{self.input_tokens:,}",
            "output tokens": f"{self.output_tokens:,}",
            "cost": f"${self.cost:,.4f}",
            "time": _clock(seconds),
            "rows/s": f"{answered / max(seconds, 1e-3):,.1f}",
        }
        _show_table({name: str(value) for name, value in shown.items()})

    def _left(self) -> float | None:
        """Estimate the seconds that are left: the rows that are under way, and as many as the rest of the input has."""
        answered, under_way = self.done + self.failed, self._in_flight()
        if self._begun_at is None or not answered:
            return None
        read = self._fraction()
        part = read - self._begun_at
        if part < 1e-3:  # noqa: PLR2004 - too little to tell
            return None
        rows = under_way + (answered + under_way) * (1.0 - read) / part
        return rows * self.seconds / answered


def _show_table(rows: dict[str, str]) -> None:
    """Print two columns to stderr."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        width, most = max(map(len, rows)), max(map(len, rows.values()))
        sys.stderr.write("".join(f"  {name:<{width}}  {value:>{most}}\n" for name, value in rows.items()))
        return
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, value in rows.items():
        table.add_row(name, value)
    Console(stderr=True).print(table)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"
