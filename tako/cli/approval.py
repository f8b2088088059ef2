"""Ask the person at the terminal whether the model may call a tool."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tako.cli.run import print_to_stderr
from tako.cli.session import call_text

if TYPE_CHECKING:
    from collections.abc import Generator

    from tako.parts import ToolCallPart

TERMINAL = "/dev/tty"
REFUSED = "the user doesn't allow this call"
NO_TERMINAL = "the user can't be asked to allow this call"


class Approval:
    """Asks about each call, until the answer is "all". With ``always`` it doesn't ask."""

    def __init__(self, always: bool) -> None:
        self._always = always

    async def __call__(self, call: ToolCallPart) -> bool | str:
        """Return True, or the text that the model gets instead of a result."""
        if self._always:
            return True
        text = _escape(call_text(call.name, call.args, None))
        answer = await _ask_on_terminal(f"tako: call {text}? [y]es, [a]ll from now on, [n]o: ")
        if answer is None:
            print_to_stderr(
                f"tako: {text} wasn't called: without a terminal, tako can't ask you (--yes allows all calls)"
            )
            return NO_TERMINAL
        self._always = answer in ("a", "all")
        return True if self._always or answer in ("y", "yes") else REFUSED


def _escape(text: str) -> str:
    """Escape characters that could hide or reverse a part of the question."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


async def _ask_on_terminal(question: str) -> str | None:
    """Ask on the terminal; return None without a terminal. Ctrl-C stops waiting."""
    try:
        file = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None
    try:
        with _line_mode(file):
            os.write(file, question.encode(errors="replace"))
            loop = asyncio.get_running_loop()
            is_readable = asyncio.Event()
            loop.add_reader(file, is_readable.set)
            try:
                await is_readable.wait()
                return os.read(file, 1000).decode(errors="replace").strip().lower()
            finally:
                loop.remove_reader(file)
    finally:
        os.close(file)


@contextmanager
def _line_mode(file: int) -> Generator[None, None, None]:
    """Let the terminal show what is typed, and return it by lines. A conversation turns that off."""
    termios: Any = import_module("termios")
    attributes = termios.tcgetattr(file)
    lines = [*attributes[:6], [*attributes[6]]]
    lines[0] |= termios.ICRNL
    lines[3] |= termios.ICANON | termios.ECHO
    sys.stdout.flush()
    termios.tcsetattr(file, termios.TCSADRAIN, lines)
    try:
        yield
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, attributes)
