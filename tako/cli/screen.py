"""Show an answer: unchanged in a pipe, and on a terminal as Markdown while it arrives (plain text without rich)."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import asynccontextmanager
from shutil import get_terminal_size
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from tako.cli.terminal import is_terminal, printable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SPINNER_DELAY = 0.15
"""Seconds of waiting before the spinner appears."""


class Screen:
    """Shows one answer as it arrives. Leaving it ends the line, so that an error has a line of its own."""

    def __init__(self) -> None:
        self._markdown = _markdown() if is_terminal(sys.stdout) else None
        self._is_terminal = sys.stdout.isatty()
        self._last_text = "\n"

    def __enter__(self) -> Self:
        return self

    def add(self, text: str) -> None:
        """Show a piece of text."""
        if self._markdown is not None:
            self._markdown.add(printable(text))
        elif text:
            sys.stdout.write(printable(text) if self._is_terminal else text)
            sys.stdout.flush()
            self._last_text = text

    def __exit__(self, kind: object, *_: object) -> None:
        if self._markdown is not None:
            self._markdown.close()
        elif not self._last_text.endswith("\n") and kind is not BrokenPipeError:
            sys.stdout.write("\n")
            sys.stdout.flush()


def _markdown() -> _Markdown | None:
    """Return the renderer of Markdown; None if rich isn't installed."""
    try:
        return _Markdown()
    except ImportError:
        return None


class _Markdown:
    """Markdown that grows: complete blocks are printed once, and only the last block is drawn again.

    So an answer that is longer than the screen scrolls like any text.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        width = max(20, get_terminal_size().columns - 2)  # room for the ^C that a terminal echoes
        self._console = Console(highlight=False, width=width)
        self._live: Any = Live(console=self._console, auto_refresh=False, transient=True)
        self._tail = ""
        self._drawn_at = 0.0
        self._has_printed = False

    def add(self, text: str) -> None:
        self._tail += text
        length = complete_blocks(self._tail)
        if length:
            self._live.update("")
            self._print(self._tail[:length])
            self._tail = self._tail[length:]
        now = monotonic()
        if length or now - self._drawn_at > 1 / 15:  # seconds; nobody reads faster than that
            self._draw()
            self._drawn_at = now

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
            if self._has_printed:
                self._console.print()
            self._console.print(Markdown(block))
            self._has_printed = True


def complete_blocks(text: str) -> int:
    """Return how many characters of Markdown are complete blocks, which later text can't change.

    A block ends at an empty line outside a code fence, if the next line is neither indented nor another item of a list.
    """
    fence = ""
    complete = position = 0
    is_after_empty = False
    for line in text.splitlines(keepends=True):
        fence_match = _FENCE.match(line)
        if fence_match and not fence:
            fence = fence_match[1][0] * 3
        elif fence_match and fence and fence_match[1].startswith(fence):
            fence = ""
        elif not fence and is_after_empty and line.strip() and not re.match(r"\s|[-*+] |\d+[.)] ", line):
            complete = position
        is_after_empty = not line.strip() and not fence
        position += len(line)
    return complete


@asynccontextmanager
async def spinner(text: str, *, always: bool = False) -> AsyncGenerator[None, None]:
    """Show on stderr that the command is waiting: a spinner on a terminal; elsewhere one line, if ``always``."""
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
    start = monotonic()
    await asyncio.sleep(SPINNER_DELAY)
    frame = 0
    try:
        while True:
            frame += 1
            sys.stderr.write(f"\r\x1b[K{FRAMES[frame % len(FRAMES)]} {text} … {monotonic() - start:.1f} s")
            sys.stderr.flush()
            await asyncio.sleep(0.08)
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
