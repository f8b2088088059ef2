"""Commands in a conversation: ``/model``, ``/file`` and so on."""

from __future__ import annotations

import os
import sys
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.attachments import ADDRESSES, read_attachments
from tako.cli.model_ids import model_ids
from tako.cli.models import choose_model
from tako.cli.run import print_to_stderr
from tako.cli.session import usage_text
from tako.conversation import HISTORY_VERSION, History
from tako.errors import ConfigurationError, PluginError
from tako.types import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.cli.conversation import Conversation
    from tako.cli.session import Session

MAX_FILES = 1000


class Command(NamedTuple):
    """Its argument ("" if it doesn't have one), a line about it, and the function that runs it with the argument."""

    argument: str
    summary: str
    run: Callable[[str], None]


class Commands:
    """The commands of one conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._session: Session = conversation.session
        self.all: dict[str, Command] = {
            "/help": Command("", "show this", self._help),
            "/model": Command("ID", "use another model from now on; without ID: show which one answers", self._model),
            "/system": Command(
                "TEXT", "change the instruction for the model, which goes before all messages", self._system
            ),
            "/file": Command("FILE|URL", "send a file or an image with your next question", self._file),
            "/save": Command(
                "FILE", "save the conversation to a .json file; tako chat -C FILE continues it", self._save
            ),
            "/undo": Command("", "forget the last question and its answer", self._undo),
            "/cost": Command("", "show what the conversation has used and cost", self._cost),
            "/exit": Command("", "leave, as Ctrl-D does", self._exit),
        }

    def run(self, name: str, argument: str) -> None:
        """Run a command. An error is one line."""
        try:
            self.all[name].run(argument)
        except (UsageError, ConfigurationError, PluginError, OSError) as error:
            print_to_stderr(f"tako: {error}")

    def complete(self, line: str) -> list[str]:
        """Return completions of the last word of a line."""
        name, space, argument = line.partition(" ")
        if not space:
            return [completion for completion in self.all if completion.startswith(name.lower())]
        if name == "/model":
            return [completion for completion in model_ids() if completion.startswith(argument)]
        if name in ("/file", "/save"):
            paths = glob(f"{argument}*")  # noqa: PTH207 - as typed
            return sorted(f"{path}/" if Path(path).is_dir() else path for path in paths)
        return []

    def _help(self, _: str) -> None:
        self._conversation.help()

    def _exit(self, _: str) -> None:
        self._conversation.leave()

    def _model(self, argument: str) -> None:
        session = self._session
        if not argument:
            sys.stderr.write(f"{session.provider.id}\n")
            return
        provider = choose_model(argument, [], session.options.config).provider()
        self._conversation.close(session.provider)
        session.provider = provider
        sys.stderr.write(f"{provider.id} answers from now on.\n")

    def _system(self, argument: str) -> None:
        if argument:
            self._session.system = argument
        sys.stderr.write(f"{self._session.system or 'No instruction is set.'}\n")

    def _file(self, argument: str) -> None:
        if not argument:
            raise UsageError("/file needs a file or an address")
        parts = read_attachments([("file", argument)])
        if self._session.recorder is not None:
            self._session.recorder.attach(parts, [argument])
        self._conversation.attached += parts
        name = argument if argument.partition(":")[0].lower() in ADDRESSES else Path(argument).name
        sys.stderr.write(f"{name} goes with your next question.\n")

    def _save(self, argument: str) -> None:
        session = self._session
        messages = [*session.earlier_messages, *(message for turn in session.turns for message in turn.messages)]
        path = Path(os.path.expanduser(argument)) if argument else _free_name()  # noqa: PTH111 - Path's raises for an unknown user
        path = path if path.suffix == ".json" else path.with_name(f"{path.name}.json")
        data = msgspec.json.encode(History(HISTORY_VERSION, messages, session.system))
        try:
            with path.open("xb") as file:
                file.write(msgspec.json.format(data, indent=2))
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error.strerror or error}") from None
        sys.stderr.write(f"Written to {path}; tako chat -C {path} continues it.\n")

    def _undo(self, _: str) -> None:
        is_done = self._session.undo()
        sys.stderr.write("The last question and its answer are forgotten.\n" if is_done else "Nothing to undo.\n")

    def _cost(self, _: str) -> None:
        turns = self._session.turns
        costs = [turn.cost for turn in turns if turn.cost is not None]
        is_known = len(costs) == len(turns) and costs
        usage = sum((turn.usage for turn in turns), Usage())
        text = usage_text(usage, sum(costs[1:], costs[0]) if is_known else None)
        sys.stderr.write(f"{len(turns)} turn{'s' * (len(turns) != 1)}, {text}{'' if is_known else ', cost unknown'}\n")


def _free_name() -> Path:
    names = (Path(f"conversation-{number}.json") for number in range(1, MAX_FILES))
    return next(name for name in names if not name.exists())
