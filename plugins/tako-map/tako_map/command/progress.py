"""The progress of a run: a live line on a terminal, a line now and then elsewhere, and a table at the end."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from tako.cli.run import print_to_stderr
from tako.cli.terminal import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako_map.output.record import Record

LIVE, PLAIN = 0.25, 10.0
"""Seconds between two updates of the live line, and between two plain lines."""
WINDOW = 30.0
"""Seconds over which speeds are averaged."""


class Progress:
    """Counts results and shows the counts.

    ``fraction`` returns how much of the input has been read. With ``is_live`` a terminal has a live line.
    """

    def __init__(self, fraction: Callable[[], float], spent: Callable[[], float], in_flight: Callable[[], int]) -> None:
        self.is_live = True
        self.done = self.failed = self.refused = 0
        self.input_tokens = self.output_tokens = 0
        self.cost = 0.0
        self._fraction = fraction
        self._spent = spent
        self._in_flight = in_flight
        self._began = monotonic()
        self._first_fraction: float | None = None
        self._samples: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])

    def count(self, record: Record) -> None:
        """Count one row."""
        if self._first_fraction is None:
            self._first_fraction = (
                self._fraction()
            )  # rows of earlier runs are skipped fast, so they don't count for the time left
        if record.error is None:
            self.done += 1
        else:
            self.failed += 1
        self.input_tokens += record.input_tokens
        self.output_tokens += record.output_tokens
        self.cost += record.cost or 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return monotonic() - self._began

    def line(self) -> str:
        """Return the counts and the speed in one line."""
        now = monotonic()
        rows, tokens = self.done + self.failed, self.input_tokens + self.output_tokens
        self._samples.append((now, rows, tokens))
        while now - self._samples[0][0] > WINDOW and len(self._samples) > 2:  # noqa: PLR2004 - two make a difference
            self._samples.popleft()
        then, rows_then, tokens_then = self._samples[0]
        seconds = max(now - then, 1e-3)
        fields = [
            f"{self.done:,} done",
            f"{self.failed:,} failed",
            f"{(rows - rows_then) / seconds:,.1f} rows/s",
            f"{(tokens - tokens_then) / seconds * 60:,.0f} tokens/min",
            f"${self._spent():,.4f}",
        ]
        left = self._seconds_left()
        return ", ".join([*fields, *([f"about {_clock(left)} left"] if left is not None else [])])

    async def show(self) -> None:
        """Show the line until cancelled."""
        if self.is_live and is_terminal(sys.stderr):
            with suppress(ImportError):  # rich isn't installed
                await self._show_live()
        while True:
            await asyncio.sleep(PLAIN)
            print_to_stderr(f"tako: {self.line()}")

    async def _show_live(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(Text(self.line()), console=Console(stderr=True), auto_refresh=False, transient=True) as live:
            while True:
                await asyncio.sleep(LIVE)
                live.update(Text(self.line(), no_wrap=True, overflow="ellipsis"), refresh=True)

    def summary(self, rows: dict[str, Any]) -> None:
        """Print the table at the end: the counts, with these rows among them."""
        seconds = self.seconds
        answered = self.done + self.failed
        table = {
            "done": f"{self.done:,}",
            "failed": f"{self.failed:,}",
            **rows,
            "input tokens": f"{self.input_tokens:,}",
            "output tokens": f"{self.output_tokens:,}",
            "cost": f"${self.cost:,.4f}",
            "time": _clock(seconds),
            "rows/s": f"{answered / max(seconds, 1e-3):,.1f}",
        }
        _show_table({name: str(value) for name, value in table.items()})

    def _seconds_left(self) -> float | None:
        """Estimate the seconds that are left, for the rows that are under way and those that haven't been read."""
        answered, under_way = self.done + self.failed, self._in_flight()
        if self._first_fraction is None or not answered:
            return None
        fraction = self._fraction()
        progress = fraction - self._first_fraction
        if progress < 1e-3:  # noqa: PLR2004 - too little for an estimate
            return None
        rows = under_way + (answered + under_way) * (1.0 - fraction) / progress
        return rows * self.seconds / answered


def _show_table(rows: dict[str, str]) -> None:
    """Print two columns to stderr."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        name_width, value_width = max(map(len, rows)), max(map(len, rows.values()))
        sys.stderr.write("".join(f"  {name:<{name_width}}  {value:>{value_width}}\n" for name, value in rows.items()))
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
