"""A conversation on a terminal."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

from tako.cli.editor import Editor, open_editor
from tako.cli.prompt import is_text
from tako.cli.run import print_to_stderr
from tako.cli.slash_commands import Commands
from tako.errors import TakoError
from tako.parts import ContentPart
from tako.types import Message

if TYPE_CHECKING:
    from tako.cli.session import Session
    from tako.provider import Provider
    from tako.types import Part

COMMAND = re.compile(r"(/[A-Za-z?]+)(\s.*)?")
"""A line that may be a command. A path, or a text of several lines, isn't one."""

STOPPED = "tako: stopped; that turn is forgotten"
AS_TEXT = "put a space in front to send the line as text"
SECONDS_TO_STOP = 5.0
"""How long a stopped answer may take to close its connection."""
NO_TEXT = "that isn't UTF-8 text; nothing was sent"


def run_conversation(session: Session, attached: list[Part]) -> int:
    """Run a conversation until the user leaves. An error or Ctrl-C ends a turn, not the conversation."""
    with asyncio.Runner() as runner:
        conversation = Conversation(session, attached, runner)
        try:
            conversation.run()
        finally:
            conversation.close(session.provider)
    return 0


class Conversation:
    """Reads what a person types, one turn after the other: a command, or a question for the model."""

    def __init__(self, session: Session, attached: list[Part], runner: asyncio.Runner) -> None:
        self.session = session
        self.attached = attached
        self._runner = runner
        self._commands = Commands(self)
        past = session.recorder.questions() if session.recorder is not None else []
        self._editor: Editor = open_editor(runner, self._commands.complete, past)
        self._has_left = False
        self._stop = asyncio.Event()

    def run(self) -> None:
        """Go on until the user leaves."""
        sys.stderr.write(f"{self.session.provider.id}: /help shows what you can type; Ctrl-D leaves.\n")
        while not self._has_left:
            try:
                self._turn(self._read())
            except KeyboardInterrupt:
                continue
            except UnicodeDecodeError:
                print_to_stderr(f"tako: {NO_TEXT}")
            except EOFError:
                self.leave()

    def _read(self) -> str:
        sys.stderr.write("\n")
        sys.stderr.flush()
        return self._editor.read()

    def _turn(self, text: str) -> None:
        if not text.strip():
            return
        if not is_text(text):
            print_to_stderr(f"tako: {NO_TEXT}")
        elif not self._obeyed(text.rstrip()):
            self._ask(text)

    def _obeyed(self, line: str) -> bool:
        """Run a command. Return whether the line is a command, or looks like one."""
        match = COMMAND.fullmatch(line)
        name = match[1].lower() if match is not None else ""
        command = self._commands.all.get(name)
        if match is None or (match[2] and command is None):
            return False
        if command is None:
            print_to_stderr(f"tako: {match[1]} isn't a command; /help lists them, and {AS_TEXT}")
        elif match[2] and not command.argument:
            print_to_stderr(f"tako: {name} doesn't take any text after it; {AS_TEXT}")
        else:
            self._commands.run(name, (match[2] or "").strip())
        return True

    def _ask(self, text: str) -> None:
        """Answer one turn. Images and files go with the first turn that is answered."""
        message = Message.user([*self.attached, ContentPart.text(text)])
        self._stop = asyncio.Event()
        previous_handler = signal.signal(signal.SIGINT, self._interrupted)
        try:
            with self._editor.hold_input():
                is_answered = self._runner.run(self._answer(message))
            if is_answered:
                self.attached = []
            else:
                print_to_stderr(STOPPED)
        except KeyboardInterrupt:  # raised by a provider's own code
            print_to_stderr(STOPPED)
        except TakoError as error:
            print_to_stderr(f"tako: {error}")
        finally:
            signal.signal(signal.SIGINT, previous_handler)

    def _interrupted(self, *_: Any) -> None:
        """Stop the answer. During an answer, Ctrl-C never raises, even if it's pressed often."""
        self._runner.get_loop().call_soon_threadsafe(self._stop.set)

    async def _answer(self, message: Message) -> bool:
        """Answer one turn; return False if it was stopped."""
        answer = asyncio.create_task(self.session.ask(message))
        answer.add_done_callback(_read_error)
        stop_waiter = asyncio.create_task(self._stop.wait())
        await asyncio.wait({answer, stop_waiter}, return_when=asyncio.FIRST_COMPLETED)
        stop_waiter.cancel()
        if answer.done():
            await answer
            return True
        answer.cancel()
        await asyncio.wait({answer}, timeout=SECONDS_TO_STOP)
        return False

    def help(self) -> None:
        """Print what the user can type."""
        keys = {
            "Enter": "send",
            **self._editor.keys,
            "Ctrl-C": "clear what you typed, or stop an answer",
            "Ctrl-D": "leave",
        }
        commands = {
            f"{name} {command.argument}".rstrip(): command.summary for name, command in self._commands.all.items()
        }
        sys.stderr.write("".join(f"{name:<16}{text}\n" for name, text in (keys | commands).items()))
        sys.stderr.write("Pasted lines are one message. A line that starts with a space is never a command.\n")

    def leave(self) -> None:
        """End the conversation."""
        self._has_left = True

    def close(self, provider: Provider) -> None:
        """Close the connections of a provider that is no longer used."""
        self._runner.run(provider.aclose())


def _read_error(answer: asyncio.Task[Any]) -> None:
    """Read the error of a stopped answer; otherwise asyncio would print its traceback."""
    if not answer.cancelled():
        answer.exception()
