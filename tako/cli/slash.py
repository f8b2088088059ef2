"""What a person can tell a conversation beside questions: ``/model``, ``/file`` and so on."""

from __future__ import annotations

import os
import sys
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tako.cli.arguments import UsageError
from tako.cli.attachments import ADDRESSES, read_attachments
from tako.cli.known import model_ids
from tako.cli.models import decide
from tako.cli.run import complain
from tako.cli.session import used
from tako.conversation import VERSION, History
from tako.errors import ConfigurationError, PluginError
from tako.types import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.cli.session import Session
    from tako.cli.talk import Conversation

MOST_FILES = 1000


class Command(NamedTuple):
    """What follows it ("" for nothing), a line about it, and what carries it out with what follows."""

    takes: str
    summary: str
    run: Callable[[str], None]


class Commands:
    """The commands of one conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._session: Session = conversation.session
        self.all: dict[str, Command] = {
            "/help": Command("", "show this", self._help),
            "/model": Command("ID", "ask another model from now on; alone: say which one answers", self._model),
            "/system": Command("TEXT", "change the instruction that goes before all messages", self._system),
            "/file": Command("FILE|URL", "send a file or an image with the next question", self._file),
            "/save": Command(
                "FILE", "write the conversation to a .json file; tako chat -C FILE goes on with it", self._save
            ),
            "/undo": Command("", "forget the last question and its answer", self._undo),
            "/cost": Command("", "say what the conversation has used and cost", self._cost),
            "/exit": Command("", "leave, as Ctrl-D does", self._exit),
        }

    def run(self, name: str, rest: str) -> None:
        """Carry one out. What is wrong with it is a line."""
        try:
            self.all[name].run(rest)
        except (UsageError, ConfigurationError, PluginError, OSError) as error:
            complain(f"tako: {error}")

    def complete(self, line: str) -> list[str]:
        """Return what the last word of a line may become."""
        name, space, rest = line.partition(" ")
        if not space:
            return [one for one in self.all if one.startswith(name.lower())]
        if name == "/model":
            return [one for one in model_ids() if one.startswith(rest)]
        if name in ("/file", "/save"):
            return sorted(f"{one}/" if Path(one).is_dir() else one for one in glob(f"{rest}*"))  # noqa: PTH207 - as typed
        return []

    def _help(self, _: str) -> None:
        self._conversation.help()

    def _exit(self, _: str) -> None:
        self._conversation.leave()

    def _model(self, rest: str) -> None:
        session = self._session
        if not rest:
            sys.stderr.write(f"{session.provider.id}\n")
            return
        provider = decide(rest, [], session.options.config).provider()
        self._conversation.close(session.provider)
        session.provider = provider
        sys.stderr.write(f"{provider.id} answers from now on.\n")

    def _system(self, rest: str) -> None:
        if rest:
            self._session.system = rest
        sys.stderr.write(f"{self._session.system or 'There is no instruction.'}\n")

    def _file(self, rest: str) -> None:
        if not rest:
            raise UsageError("/file needs a file or an address")
        parts = read_attachments([("file", rest)])
        if self._session.recorder is not None:
            self._session.recorder.attach(parts, [rest])
        self._conversation.attached += parts
        name = rest if rest.partition(":")[0].lower() in ADDRESSES else Path(rest).name
        sys.stderr.write(f"{name} goes with your next question.\n")

    def _save(self, rest: str) -> None:
        session = self._session
        messages = [*session.before, *(message for turn in session.turns for message in turn.messages)]
        path = Path(os.path.expanduser(rest)) if rest else _free_name()  # noqa: PTH111 - Path's raises where ~ is nobody's
        path = path if path.suffix == ".json" else path.with_name(f"{path.name}.json")
        data = msgspec.json.encode(History(VERSION, messages, session.system))
        try:
            with path.open("xb") as file:
                file.write(msgspec.json.format(data, indent=2))
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error.strerror or error}") from None
        sys.stderr.write(f"Written to {path}; tako chat -C {path} goes on with it.\n")

    def _undo(self, _: str) -> None:
        done = self._session.undo()
        sys.stderr.write("The last question and its answer are forgotten.\n" if done else "There is nothing to undo.\n")

    def _cost(self, _: str) -> None:
        turns = self._session.turns
        costs = [turn.cost for turn in turns if turn.cost is not None]
        known = len(costs) == len(turns) and costs
        usage = sum((turn.usage for turn in turns), Usage())
        text = used(usage, sum(costs[1:], costs[0]) if known else None)
        sys.stderr.write(f"{len(turns)} turn{'s' * (len(turns) != 1)}, {text}{'' if known else ', cost unknown'}\n")


def _free_name() -> Path:
    names = (Path(f"conversation-{number}.json") for number in range(1, MOST_FILES))
    return next(name for name in names if not name.exists())
