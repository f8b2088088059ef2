"""Conversations that go on: what the log, or a file, has of one, and whether this one is kept."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tako.cli.arguments import UsageError
from tako.cli.run import complain
from tako.conversation import read_history
from tako.errors import ConfigurationError
from tako.folders import data_folder

if TYPE_CHECKING:
    from argparse import Namespace
    from contextlib import ExitStack

    from tako.cli.log import Log
    from tako.cli.recorder import Recorder
    from tako.types import Message

NAME = "log.db"
ID = re.compile(r"\d{8}-[0-9a-f]{0,4}")
"""What the id of a conversation looks like, or the beginning of one."""


class Keeping:
    """The log, if there is one, and the ``messages`` of the conversation that -C names."""

    def __init__(self, options: Namespace, stack: ExitStack) -> None:
        self.messages: list[Message] = []
        self._id: str | None = None
        self._log = _log_for(options, stack)
        if options.resumed is not None:
            self._resume(options)

    def recorder(self, wanted: str, options: Namespace) -> Recorder | None:
        """Return what keeps this conversation, if the log is on and it isn't private."""
        if self._log is None or options.private or not self._log.on:
            return None
        from tako.cli.recorder import Recorder

        return Recorder(self._log, wanted, options.option, id=self._id)

    def _resume(self, options: Namespace) -> None:
        """Read the conversation; what -C has taken for an id and is none is the beginning of the prompt."""
        given: str = options.resumed
        is_file = os.path.isfile(os.path.expanduser(given))  # noqa: PTH111, PTH113 - ~ may be nobody's
        if given.endswith(".json") and (is_file or len(given.split()) == 1):
            self._resume_file(Path(os.path.expanduser(given)), options)  # noqa: PTH111 - the same
            return
        if given and not ID.fullmatch(given):
            options.prompt = [given, *options.prompt]
            given = ""
        if self._log is None:
            raise UsageError("nothing is kept, since the log is off: tako logs on keeps conversations from now on")
        from tako.cli.recorder import read_back

        self._id = self._log.find(given)
        start = self._log.start(self._id)
        keys = {pair.partition("=")[0] for pair in options.option}
        missing = [key for key in start.missing if key not in keys]
        if options.model is None:
            if missing:
                again = " ".join(f"-o {key}=…" for key in missing)
                raise UsageError(
                    f"{self._id} was asked with options that the log doesn't have; give them again: {again}"
                )
            options.model = start.wanted
            options.option = [*(pair for pair in start.options if pair.partition("=")[0] not in keys), *options.option]
        if options.system is None:
            options.system = start.system
        self.messages = read_back(self._log.turns(self._id))
        complain(f"tako: going on with {self._id} ({options.model})")

    def _resume_file(self, file: Path, options: Namespace) -> None:
        """Read a conversation that ``/save`` or ``Conversation.to_json`` wrote."""
        try:
            history = read_history(file.read_bytes())
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror or error}") from None
        self.messages = history.messages
        if options.system is None and isinstance(history.system, str):
            options.system = history.system


def _log_for(options: Namespace, stack: ExitStack) -> Log | None:
    """Open the log that a conversation needs. One that can't be used is an error only if the conversation is in it."""
    if options.resumed is not None:
        return open_log(stack)
    if options.private:
        return None
    try:
        log = open_log(stack)
        is_on = log is not None and log.on
    except ConfigurationError as error:
        complain(f"tako: not logged: {error}")
        return None
    return log if is_on else None


def log_file() -> Path | None:
    """Return where the log lies, whether it exists or not; None without a home folder."""
    folder = data_folder()
    return folder / NAME if folder is not None else None


def open_log(stack: ExitStack) -> Log | None:
    """Open the log if there is one; sqlite is imported for that alone."""
    file = log_file()
    if file is None or not file.exists():
        return None
    from tako.cli.log import Log

    return stack.enter_context(Log(file))
