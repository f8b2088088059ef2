"""The line editor of a conversation: prompt_toolkit's, or plain lines if it isn't installed."""

from __future__ import annotations

import os
import select
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from tako.cli.terminal import is_terminal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator, Iterator

PROMPT, CONTINUATION = "> ", "  "
FENCE = '"""'
"""Starts and ends a text of several lines."""
PASTE_GAP = 0.05
"""Seconds between two lines of one paste, at most."""


class Editor(Protocol):
    """Reads what a person types, one turn at a time."""

    keys: dict[str, str]
    """What keys do, for the help."""

    def read(self) -> str:
        """Return the next turn. Raises KeyboardInterrupt if the person dropped it, and EOFError if the person left."""
        ...

    def hold_input(self) -> AbstractContextManager[None]:
        """Keep what is typed meanwhile for the next turn, without showing it."""
        ...


def open_editor(runner: asyncio.Runner, complete: Callable[[str], list[str]], history: list[str]) -> Editor:
    """Return the best editor for this terminal.

    ``complete`` returns completions of the last word of a line. ``history`` is what the arrow keys bring back.
    """
    if is_terminal(sys.stdin) and (is_terminal(sys.stdout) or is_terminal(sys.stderr)):
        with suppress(ImportError):  # prompt_toolkit isn't installed
            return LineEditor(runner, complete, history)
    return PlainLines(history)


def is_open(text: str) -> bool:
    """Whether a text of several lines has started with a fence, and hasn't ended yet."""
    return text.lstrip().startswith(FENCE) and text.count(FENCE) == 1


def unfenced(text: str) -> str:
    """Remove the fences around a text."""
    inner = text.strip()
    if inner.startswith(FENCE) and inner.endswith(FENCE) and inner.count(FENCE) == 2:  # noqa: PLR2004 - begin and end
        return inner.removeprefix(FENCE).removesuffix(FENCE).strip("\n")
    return text


class LineEditor:
    """prompt_toolkit: editing keys, a history, and pasted lines as one text. Raises ImportError without it."""

    keys = {  # noqa: RUF012 - read only
        "Alt-Enter": "start a new line",
        FENCE: "start and end a text of several lines",
        "Up, Down": "bring back what you typed before; Ctrl-R searches",
        "Tab": "complete a command, a model, or a file",
    }

    def __init__(self, runner: asyncio.Runner, complete: Callable[[str], list[str]], history: list[str]) -> None:
        os.environ.setdefault(
            "PROMPT_TOOLKIT_NO_CPR", "1"
        )  # otherwise it requests the cursor's position, and some terminals don't answer
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory
        from prompt_toolkit.output import create_output
        from prompt_toolkit.shortcuts import CompleteStyle

        self._runner = runner
        self._session: PromptSession[str] = PromptSession(
            [("ansicyan", PROMPT)],
            multiline=True,
            prompt_continuation=CONTINUATION,
            key_bindings=_bindings(),
            enable_suspend=True,
            history=InMemoryHistory(history),
            completer=_completer(complete),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            output=create_output(always_prefer_tty=True),
        )

    def read(self) -> str:
        """Return the next turn."""
        return unfenced(self._runner.run(self._prompt()))

    async def _prompt(self) -> str:
        try:
            return await self._session.prompt_async(handle_sigint=False)
        except _Dropped:
            raise KeyboardInterrupt from None

    @contextmanager
    def hold_input(self) -> Generator[None, None, None]:
        """Keep keys for later without showing them, except Ctrl-C. A paste stays one text."""
        try:
            termios: Any = import_module("termios")
        except ImportError:  # Windows
            yield
            return
        file, attributes = sys.stdin.fileno(), termios.tcgetattr(sys.stdin)
        quiet = [*attributes[:6], [*attributes[6]]]
        quiet[0] &= ~termios.ICRNL
        quiet[3] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(file, termios.TCSANOW, quiet)
        self._session.output.enable_bracketed_paste()
        self._session.output.flush()
        try:
            yield
        finally:
            termios.tcsetattr(file, termios.TCSANOW, attributes)


class _Dropped(Exception):  # noqa: N818 - not an error: the person pressed Ctrl-C
    """Ctrl-C at the prompt."""


def _completer(complete: Callable[[str], list[str]]) -> Any:
    from prompt_toolkit.completion import Completer, Completion

    class Slash(Completer):
        """Completes single lines that start with a slash."""

        def get_completions(self, document: Any, complete_event: Any) -> Iterator[Completion]:
            line: str = document.text_before_cursor
            if line.startswith("/") and "\n" not in document.text:
                last_word = line.rpartition(" ")[2]
                for text in complete(line):
                    yield Completion(text, start_position=-len(last_word))

    return Slash()


def _bindings() -> Any:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def enter(event: Any) -> None:
        buffer = event.current_buffer
        if is_open(buffer.text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def new_line(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def drop(event: Any) -> None:
        event.app.exit(exception=_Dropped, style="class:aborting")

    return keys


class PlainLines:
    """Lines as the terminal edits them. Lines that arrive together were pasted, and are one turn."""

    keys = {FENCE: "start and end a text of several lines"}  # noqa: RUF012 - read only

    def __init__(self, history: list[str]) -> None:
        with suppress(ImportError):
            readline: Any = import_module("readline")  # adds editing keys and a history to `input`
            readline.parse_and_bind("set enable-bracketed-paste on")
            for text in history:
                readline.add_history(text)

    def read(self) -> str:
        """Return the next turn."""
        try:
            return unfenced(self._lines())
        except (KeyboardInterrupt, EOFError):
            sys.stderr.write("\n")
            raise

    def _lines(self) -> str:
        text = self._line(PROMPT)
        while is_open(text) or _has_more_input():
            try:
                text += "\n" + self._line(CONTINUATION if is_open(text) else "")
            except EOFError:
                break
        return text

    def hold_input(self) -> AbstractContextManager[None]:
        """Do nothing: the terminal keeps what is typed."""
        return nullcontext()

    def _line(self, prompt: str) -> str:
        if sys.stdout.isatty():
            return input(prompt)
        sys.stderr.write(prompt)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")


def _has_more_input() -> bool:
    try:
        return bool(select.select([sys.stdin], [], [], PASTE_GAP)[0])
    except (OSError, ValueError):  # Windows only waits for sockets
        return False
