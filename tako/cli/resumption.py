"""Continue a conversation from the log or a file, and decide whether this one is logged."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tako.cli.arguments import UsageError
from tako.cli.run import print_to_stderr
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
"""The id of a conversation, or the start of one."""


class Resumption:
    """The log, if there is one, and the ``messages`` of the conversation that -C continues."""

    def __init__(self, options: Namespace, stack: ExitStack) -> None:
        self.messages: list[Message] = []
        self._id: str | None = None
        self._log = _log_for(options, stack)
        if options.resumed is not None:
            self._resume(options)

    def recorder(self, model: str, options: Namespace) -> Recorder | None:
        """Return what logs this conversation, if the log is on and the conversation isn't private."""
        if self._log is None or options.private or not self._log.is_on:
            return None
        from tako.cli.recorder import Recorder

        return Recorder(self._log, model, options.option, id=self._id)

    def _resume(self, options: Namespace) -> None:
        """Read the conversation. If the value of -C isn't an id or a file, it's the start of the prompt."""
        source: str = options.resumed
        is_file = os.path.isfile(os.path.expanduser(source))  # noqa: PTH111, PTH113 - the user may be unknown
        if source.endswith(".json") and (is_file or len(source.split()) == 1):
            self._resume_file(Path(os.path.expanduser(source)), options)  # noqa: PTH111 - the same
            return
        if source and not ID.fullmatch(source):
            options.prompt = [source, *options.prompt]
            source = ""
        if self._log is None:
            raise UsageError(
                "the log is off, so it has nothing to continue; tako logs on keeps conversations from now on"
            )
        from tako.cli.recorder import read_back

        self._id = self._log.find(source)
        start = self._log.start(self._id)
        keys = {pair.partition("=")[0] for pair in options.option}
        missing = [key for key in start.missing if key not in keys]
        if options.model is None:
            if missing:
                repeated = " ".join(f"-o {key}=…" for key in missing)
                raise UsageError(f"{self._id} used options that the log doesn't contain; pass them again: {repeated}")
            options.model = start.model
            options.option = [*(pair for pair in start.options if pair.partition("=")[0] not in keys), *options.option]
        if options.system is None:
            options.system = start.system
        self.messages = read_back(self._log.turns(self._id))
        print_to_stderr(f"tako: continuing {self._id} ({options.model})")

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
    """Open the log if the conversation needs it. If it can't be used, that's only an error with -C."""
    if options.resumed is not None:
        return open_log(stack)
    if options.private:
        return None
    try:
        log = open_log(stack)
        is_on = log is not None and log.is_on
    except ConfigurationError as error:
        print_to_stderr(f"tako: not logged: {error}")
        return None
    return log if is_on else None


def log_file() -> Path | None:
    """Return the path of the log, even if it doesn't exist; None without a home folder."""
    folder = data_folder()
    return folder / NAME if folder is not None else None


def open_log(stack: ExitStack) -> Log | None:
    """Open the log if it exists; only then is sqlite imported."""
    file = log_file()
    if file is None or not file.exists():
        return None
    from tako.cli.log import Log

    return stack.enter_context(Log(file))
