"""A conversation on a terminal."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tako.cli.editor import Editor, open_editor
from tako.cli.question import is_text
from tako.cli.run import complain
from tako.cli.slash import Commands
from tako.errors import TakoError
from tako.parts import ContentPart
from tako.types import Message

if TYPE_CHECKING:
    from tako.cli.session import Session
    from tako.provider import Provider
    from tako.types import Part

COMMAND = re.compile(r"(/[A-Za-z?]+)(\s.*)?")
"""What may be a line that isn't for the model: a path or a text of several lines isn't a command."""

AS_TEXT = "a space in front sends the line as text"
SECONDS_TO_STOP = 5.0
"""How long an answer that was stopped may take to close its connection."""
NO_TEXT = "that isn't UTF-8 text; nothing was sent"


def talk(session: Session, attached: list[Part]) -> int:
    """Ask and answer until the user leaves. An error ends a turn, not the conversation; so does Ctrl-C."""
    with asyncio.Runner() as runner:
        conversation = Conversation(session, attached, runner)
        try:
            conversation.run()
        finally:
            conversation.close(session.provider)
    return 0


class Conversation:
    """What a person types, one turn after the other: a command, or a question for the model."""

    def __init__(self, session: Session, attached: list[Part], runner: asyncio.Runner) -> None:
        self.session = session
        self.attached = attached
        self._runner = runner
        self._commands = Commands(self)
        past = session.recorder.questions() if session.recorder is not None else []
        self._editor: Editor = open_editor(runner, self._commands.complete, past)
        self._left = False
        self._task: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Go on until the user leaves."""
        sys.stderr.write(f"{self.session.provider.id}: /help shows what you can type; Ctrl-D leaves.\n")
        while not self._left:
            try:
                self._turn(self._read())
            except KeyboardInterrupt:
                continue
            except UnicodeDecodeError:
                complain(f"tako: {NO_TEXT}")
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
            complain(f"tako: {NO_TEXT}")
        elif not self._obeyed(text.rstrip()):
            self._ask(text)

    def _obeyed(self, line: str) -> bool:
        """Carry out a command; returns whether the line is one, or looks like one."""
        match = COMMAND.fullmatch(line)
        name = match[1].lower() if match is not None else ""
        command = self._commands.all.get(name)
        if match is None or (match[2] and command is None):
            return False
        if command is None:
            complain(f"tako: {match[1]} isn't a command; /help lists them, and {AS_TEXT}")
        elif match[2] and not command.takes:
            complain(f"tako: {name} takes no text after it; {AS_TEXT}")
        else:
            self._commands.run(name, (match[2] or "").strip())
        return True

    def _ask(self, text: str) -> None:
        """Answer one turn; images and files go with the first one that is answered."""
        message = Message.user([*self.attached, ContentPart.text(text)])
        try:
            with self._editor.away():
                self._runner.run(self._answer(message))
        except KeyboardInterrupt:
            self._stop()
        except TakoError as error:
            complain(f"tako: {error}")
        else:
            self.attached = []

    async def _answer(self, message: Message) -> None:
        self._task = asyncio.current_task()
        await self.session.ask(message)

    def _stop(self) -> None:
        """Say that the answer was stopped, once it has come to its end; more of Ctrl-C change nothing."""
        handler: Any = None
        ignored = False
        while not ignored:
            with suppress(KeyboardInterrupt):
                handler = handler or signal.getsignal(signal.SIGINT)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                ignored = True
        try:
            self._settle()
            complain("tako: stopped; that turn is forgotten")
        finally:
            signal.signal(signal.SIGINT, handler)

    def _settle(self) -> None:
        """Let an answer come to its end that a second Ctrl-C has left behind."""
        task = self._task
        if task is None:
            return
        self._runner.get_loop().run_until_complete(asyncio.wait({task}, timeout=SECONDS_TO_STOP))
        if task.done() and not task.cancelled():
            task.exception()  # nobody else looks at it, and asyncio would print a traceback

    def help(self) -> None:
        """Show what can be typed."""
        keys = {
            "Enter": "send",
            **self._editor.keys,
            "Ctrl-C": "clear what you typed, or stop an answer",
            "Ctrl-D": "leave",
        }
        commands = {f"{name} {one.takes}".rstrip(): one.summary for name, one in self._commands.all.items()}
        sys.stderr.write("".join(f"{name:<16}{text}\n" for name, text in (keys | commands).items()))
        sys.stderr.write("Pasted lines are one message. A line that begins with a space is never a command.\n")

    def leave(self) -> None:
        """End the conversation."""
        self._left = True

    def close(self, provider: Provider) -> None:
        """Close the connections of a provider that is asked no more."""
        self._runner.run(provider.aclose())
