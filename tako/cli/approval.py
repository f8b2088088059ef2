"""Whether the model may call a tool: the person at the terminal decides."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tako.cli.run import complain
from tako.cli.session import shown_call

if TYPE_CHECKING:
    from collections.abc import Generator

    from tako.parts import ToolCallPart

TERMINAL = "/dev/tty"
REFUSED = "the user doesn't allow this call"
NOBODY = "nobody is there to allow this call"


class Approval:
    """Asks about each call, until the answer is "all". ``always``: nobody is asked."""

    def __init__(self, always: bool) -> None:
        self._always = always

    async def __call__(self, call: ToolCallPart) -> bool | str:
        """Return True, or what the model is told instead of a result."""
        if self._always:
            return True
        shown = _visible(shown_call(call.name, call.args, None))
        answer = await _answer(f"tako: call {shown}? [y]es, [a]ll from now on, [n]o: ")
        if answer is None:
            complain(f"tako: {shown} wasn't called: nobody can allow it here (--yes calls without asking)")
            return NOBODY
        self._always = answer in ("a", "all")
        return True if self._always or answer in ("y", "yes") else REFUSED


def _visible(text: str) -> str:
    """Show every character as it is or as its escape: none may hide or turn around what is asked about."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


async def _answer(question: str) -> str | None:
    """Ask on the terminal; None if there is none. Ctrl-C ends the waiting, as it ends that for an answer."""
    try:
        file = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None
    try:
        with _line_mode(file):
            os.write(file, question.encode(errors="replace"))
            loop = asyncio.get_running_loop()
            ready = asyncio.Event()
            loop.add_reader(file, ready.set)
            try:
                await ready.wait()
                return os.read(file, 1000).decode(errors="replace").strip().lower()
            finally:
                loop.remove_reader(file)
    finally:
        os.close(file)


@contextmanager
def _line_mode(file: int) -> Generator[None, None, None]:
    """Let the terminal show what is typed, and hand it over by lines: a conversation has turned that off."""
    termios: Any = import_module("termios")
    before = termios.tcgetattr(file)
    lines = [*before[:6], [*before[6]]]
    lines[0] |= termios.ICRNL
    lines[3] |= termios.ICANON | termios.ECHO
    sys.stdout.flush()
    termios.tcsetattr(file, termios.TCSADRAIN, lines)
    try:
        yield
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)
