"""How an answer is shown: as it is in a pipe, on a terminal as Markdown while it grows (plain text without rich)."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager
from shutil import get_terminal_size
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PATIENCE = 0.15
"""Seconds of waiting that nobody has to be told about."""


def printable(text: str) -> str:
    """Take out control characters, which could move the cursor, set the title or answer for the user."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sits at the other end."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class Screen:
    """Shows one answer as it comes. Leaving it ends the line, whatever happened, so that an error stands on its own."""

    def __init__(self) -> None:
        self._growing = _markdown() if is_terminal(sys.stdout) else None
        self._seen = sys.stdout.isatty()
        self._last = "\n"

    def __enter__(self) -> Self:
        return self

    def add(self, text: str) -> None:
        """Show a piece of text."""
        if self._growing is not None:
            self._growing.add(printable(text))
        elif text:
            sys.stdout.write(printable(text) if self._seen else text)
            sys.stdout.flush()
            self._last = text

    def __exit__(self, kind: object, *_: object) -> None:
        if self._growing is not None:
            self._growing.close()
        elif not self._last.endswith("\n") and kind is not BrokenPipeError:
            sys.stdout.write("\n")
            sys.stdout.flush()


def _markdown() -> _Markdown | None:
    """Return what renders Markdown; None where rich isn't installed."""
    try:
        return _Markdown()
    except ImportError:
        return None


class _Markdown:
    """Markdown that grows: whole blocks are printed for good, only the last one is drawn again and again.

    So an answer longer than the screen scrolls away like any text, and nothing is drawn twice.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        width = max(20, get_terminal_size().columns - 2)  # room for the ^C that a terminal echoes
        self._console = Console(highlight=False, width=width)
        self._live: Any = Live(console=self._console, auto_refresh=False, transient=True)
        self._tail = ""
        self._drawn = 0.0
        self._began = False

    def add(self, text: str) -> None:
        self._tail += text
        cut = finished(self._tail)
        if cut:
            self._live.update("")
            self._print(self._tail[:cut])
            self._tail = self._tail[cut:]
        now = monotonic()
        if cut or now - self._drawn > 1 / 15:  # seconds; faster than that nobody reads
            self._draw()
            self._drawn = now

    def close(self) -> None:
        if self._live.is_started:
            self._live.update("")
            self._live.stop()
        self._print(self._tail)
        self._tail = ""

    def _draw(self) -> None:
        from rich.markdown import Markdown

        if not self._live.is_started:
            self._live.start()
        self._live.update(Markdown(self._tail), refresh=True)

    def _print(self, block: str) -> None:
        from rich.markdown import Markdown

        if block.strip():
            if self._began:
                self._console.print()
            self._console.print(Markdown(block))
            self._began = True


def finished(text: str) -> int:
    """Return how many characters of Markdown are whole blocks, which nothing that follows can change.

    A block ends at an empty line outside a code fence, if what follows is neither indented nor the next item of a list.
    """
    fence = ""
    cut = at = 0
    empty = False
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1][0] * 3
        elif mark and fence and mark[1].startswith(fence):
            fence = ""
        elif not fence and empty and line.strip() and not re.match(r"\s|[-*+] |\d+[.)] ", line):
            cut = at
        empty = not line.strip() and not fence
        at += len(line)
    return cut


@asynccontextmanager
async def waiting(text: str, *, always: bool = False) -> AsyncGenerator[None, None]:
    """Show on stderr that something takes its time: a moving line on a terminal; elsewhere one line, if ``always``."""
    if not is_terminal(sys.stderr):
        if always:
            sys.stderr.write(f"tako: {text} …\n")
            sys.stderr.flush()
        yield
        return
    spinning = asyncio.ensure_future(_spin(text))
    try:
        yield
    finally:
        spinning.cancel()
        await asyncio.wait([spinning])


async def _spin(text: str) -> None:
    began = monotonic()
    await asyncio.sleep(PATIENCE)
    frame = 0
    try:
        while True:
            frame += 1
            sys.stderr.write(f"\r\x1b[K{FRAMES[frame % len(FRAMES)]} {text} … {monotonic() - began:.1f} s")
            sys.stderr.flush()
            await asyncio.sleep(0.08)
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
