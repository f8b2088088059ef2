"""The arguments of the commands that keep things: the log, keys, templates; and of completion."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any

from tako.cli.arguments.common import Command, add_config, add_json
from tako.cli.arguments.reading import count

if TYPE_CHECKING:
    from argparse import ArgumentParser

LOGS_EXAMPLES = """\
The log is off until `tako logs on`. It lies in your own data folder, for you alone. It has what plugins let out, and
neither keys nor images, but where those come from.

examples:
  tako logs on                      log from now on
  tako logs                         the last conversations
  tako logs show                    the last one, whole
  tako logs search quicksort
  tako logs export > backup.jsonl
  tako logs prune --days 30         forget what is older
"""
KEYS_EXAMPLES = """\
Keys are kept in the system's keyring where there is one (pip install "tako-core[keyring]"), else in a file that you
alone can read. The commands use them; variables of the environment win. In a program, pass `api_key=` or set variables.

examples:
  tako keys set openai              asks for the key, and doesn't show it
  tako keys set MY_GATE_KEY < key.txt
  tako keys list
  tako keys remove openai
"""
TEMPLATES_EXAMPLES = """\
A template is a file of your own (NAME.toml in the folder that this command shows), a table [templates.NAME] of
tako.toml, or any .toml, .md or .txt file that you name.

examples:
  tako chat -s "Answer as a poet." --save poet     make one
  tako chat -t poet "What is a tako?"              use it
  tako templates                                   list them
  tako templates poet                              show it
"""
COMPLETION_EXAMPLES = """\
examples:
  bash   add to ~/.bashrc:                    eval "$(tako completion bash)"
  zsh    add to ~/.zshrc, after compinit:     eval "$(tako completion zsh)"
  fish   tako completion fish > ~/.config/fish/completions/tako.fish
"""
NUMBER = 20
"""How many conversations are listed."""


def _logs(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(action="list", number=NUMBER, json=False)
    on = _action(actions, "on", "log from now on")
    on.add_argument(
        "--max-mb", type=count, metavar="N", help="the size in megabytes at which the oldest go (100 unless you say)"
    )
    _action(actions, "off", "log no longer; what is there stays")
    _number(_action(actions, "list", "list the last conversations"))
    _conversation(_action(actions, "show", "show a conversation"))
    search = _action(actions, "search", "find turns that have all these words")
    search.add_argument("words", nargs="+", metavar="WORD", help="in any order, capitals or not")
    _number(search)
    export = _action(actions, "export", "print conversations as JSON, one a line, as Conversation.from_json reads them")
    export.add_argument("ids", nargs="*", metavar="ID", help="only these")
    prune = _action(actions, "prune", "delete conversations from the log")
    prune.add_argument("ids", nargs="*", metavar="ID", help="these")
    prune.add_argument("--days", type=count, metavar="N", help="those of which nothing is newer than N days")
    prune.add_argument("--all", action="store_true", help="all of them")
    for name, action in actions.choices.items():
        if name not in ("list", "search"):
            action.set_defaults(number=NUMBER)


def _number(parser: ArgumentParser) -> None:
    parser.add_argument("-n", "--number", type=count, default=NUMBER, metavar="N", help=f"how many ({NUMBER})")


def _conversation(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", default="", metavar="ID", help="or its beginning; else the last one")


def _keys(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(action="list", json=False)
    named = "a provider, as in openai, or the variable that the key is for, as in MY_GATE_KEY"
    for name, text in (("set", "keep a key; it is asked for, or piped in"), ("remove", "forget a key")):
        _action(actions, name, text).add_argument("name", metavar="NAME", help=named)
    _action(actions, "list", "list what keys are kept for, and where; never a key")


def _templates(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="show this one; else list all")
    add_config(parser)
    add_json(parser)


def _completion(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=["bash", "zsh", "fish", "words"], help="the shell to print a script for")
    parser.add_argument("words", nargs="*", metavar="WORD", help="for the scripts: print what the last may become")


def _action(actions: Any, name: str, text: str) -> ArgumentParser:
    parser: ArgumentParser = actions.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    add_json(parser)
    return parser


LOGS = Command("keep conversations, find them again, delete them", _logs, LOGS_EXAMPLES)
KEYS = Command("keep keys, so that no variable is needed", _keys, KEYS_EXAMPLES)
TEMPLATES = Command("list and show templates of prompts", _templates, TEMPLATES_EXAMPLES)
COMPLETION = Command(
    "print a script by which your shell completes commands and models", _completion, COMPLETION_EXAMPLES
)
