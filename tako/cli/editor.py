"""Where a person types in a conversation: prompt_toolkit's editor, or plain lines where it isn't installed."""

from __future__ import annotations

import os
import select
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from tako.cli.screen import is_terminal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator, Iterator

PROMPT, CONTINUED = "> ", "  "
FENCE = '"""'
"""Begins a text of several lines, and ends it."""
PASTE = 0.05
"""Seconds between two lines of one paste, at most."""


class Editor(Protocol):
    """Reads what a person types, one turn at a time."""

    keys: dict[str, str]
    """What keys do, for the help."""

    def read(self) -> str:
        """Return the next turn. Raises KeyboardInterrupt where it was dropped, and EOFError where the person left."""
        ...

    def away(self) -> AbstractContextManager[None]:
        """Keep what is typed meanwhile for the next turn, and off the screen."""
        ...


def open_editor(runner: asyncio.Runner, complete: Callable[[str], list[str]], past: list[str]) -> Editor:
    """Return the best editor that there is for this terminal.

    ``complete`` returns what the last word of a line may become; ``past`` is what the arrows bring back.
    """
    if is_terminal(sys.stdin) and (is_terminal(sys.stdout) or is_terminal(sys.stderr)):
        with suppress(ImportError):  # prompt_toolkit isn't installed
            return LineEditor(runner, complete, past)
    return PlainLines(past)


def is_open(text: str) -> bool:
    """Whether a fence has begun a text of several lines that isn't ended yet."""
    return text.lstrip().startswith(FENCE) and text.count(FENCE) == 1


def unfenced(text: str) -> str:
    """Take the fences off a text that has them around it."""
    inner = text.strip()
    if inner.startswith(FENCE) and inner.endswith(FENCE) and inner.count(FENCE) == 2:  # noqa: PLR2004 - begin and end
        return inner.removeprefix(FENCE).removesuffix(FENCE).strip("\n")
    return text


class LineEditor:
    """prompt_toolkit: editing keys, a history, and pasted lines as one text. Raises ImportError without it."""

    keys = {  # noqa: RUF012 - read only
        "Alt-Enter": "begin a new line",
        FENCE: "begin and end a text of several lines",
        "Up, Down": "bring back what you typed before; Ctrl-R searches",
        "Tab": "complete a command, a model, or a file",
    }

    def __init__(self, runner: asyncio.Runner, complete: Callable[[str], list[str]], past: list[str]) -> None:
        os.environ.setdefault("PROMPT_TOOLKIT_NO_CPR", "1")  # or it asks where the cursor is, and may wait in vain
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory
        from prompt_toolkit.output import create_output
        from prompt_toolkit.shortcuts import CompleteStyle

        self._runner = runner
        self._session: PromptSession[str] = PromptSession(
            [("ansicyan", PROMPT)],
            multiline=True,
            prompt_continuation=CONTINUED,
            key_bindings=_bindings(),
            enable_suspend=True,
            history=InMemoryHistory(past),
            completer=_completer(complete),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            output=create_output(always_prefer_tty=True),
        )

    def read(self) -> str:
        """Return the next turn."""
        return unfenced(self._runner.run(self._ask()))

    async def _ask(self) -> str:
        try:
            return await self._session.prompt_async(handle_sigint=False)
        except _Dropped:
            raise KeyboardInterrupt from None

    @contextmanager
    def away(self) -> Generator[None, None, None]:
        """Let keys wait unseen; Ctrl-C alone is heard. Pastes are marked as such, and stay one text."""
        try:
            termios: Any = import_module("termios")
        except ImportError:  # Windows
            yield
            return
        file, before = sys.stdin.fileno(), termios.tcgetattr(sys.stdin)
        quiet = [*before[:6], [*before[6]]]
        quiet[0] &= ~termios.ICRNL
        quiet[3] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(file, termios.TCSANOW, quiet)
        self._session.output.enable_bracketed_paste()
        self._session.output.flush()
        try:
            yield
        finally:
            termios.tcsetattr(file, termios.TCSANOW, before)


class _Dropped(Exception):  # noqa: N818 - not an error, but what a person wants
    """Ctrl-C at the prompt."""


def _completer(complete: Callable[[str], list[str]]) -> Any:
    from prompt_toolkit.completion import Completer, Completion

    class Slash(Completer):
        """Completes what begins with a slash and is one line."""

        def get_completions(self, document: Any, complete_event: Any) -> Iterator[Completion]:
            line: str = document.text_before_cursor
            if line.startswith("/") and "\n" not in document.text:
                word = line.rpartition(" ")[2]
                for text in complete(line):
                    yield Completion(text, start_position=-len(word))

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
    """Lines as the terminal itself has them. Lines that come at once were pasted, and are one turn."""

    keys = {FENCE: "begin and end a text of several lines"}  # noqa: RUF012 - read only

    def __init__(self, past: list[str]) -> None:
        with suppress(ImportError):
            readline: Any = import_module("readline")  # gives `input` its editing keys and its history
            readline.parse_and_bind("set enable-bracketed-paste on")
            for text in past:
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
        while is_open(text) or _more_is_there():
            try:
                text += "\n" + self._line(CONTINUED if is_open(text) else "")
            except EOFError:
                break
        return text

    def away(self) -> AbstractContextManager[None]:
        """Leave it to the terminal."""
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


def _more_is_there() -> bool:
    try:
        return bool(select.select([sys.stdin], [], [], PASTE)[0])
    except (OSError, ValueError):  # Windows waits for sockets alone
        return False
