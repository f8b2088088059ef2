"""The arguments of the commands that store something for the user: logs, keys, templates; and of completion."""

from __future__ import annotations

from argparse import SUPPRESS, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any

from tako.cli.arguments.shared import Command, add_config, add_json, describe
from tako.cli.arguments.values import count

if TYPE_CHECKING:
    from argparse import ArgumentParser

LOGS_EXAMPLES = """\
examples:
  tako logs on                      logs conversations from now on
  tako logs                         lists the last conversations
  tako logs show                    prints the last conversation
  tako logs search quicksort        finds turns that contain this word
  tako logs export > backup.jsonl   saves all conversations as JSON
  tako logs prune --days 30         deletes conversations older than 30 days
"""
LOGS_NOTES = """\
The log is off until you run `tako logs on`. It's a file in your data folder that only you can read. It never contains
keys. For images and files it has the path, not the content. If a plugin redacts requests, the log has the redacted
text.
"""
KEYS_EXAMPLES = """\
examples:
  tako keys set openai                   asks you for the key, and doesn't show it
  tako keys set MY_GATE_KEY < key.txt    reads the key from a file
  tako keys list                         shows which keys are stored, and where
  tako keys remove openai                deletes the key
"""
KEYS_NOTES = """\
Keys are stored in the system's keyring if it has one (pip install "tako-core[keyring]"), and otherwise in a file that
only you can read. If an environment variable is set as well, it wins. Only the `tako` command uses stored keys. In a
program, pass `api_key=` or set the variable.
"""
TEMPLATES_EXAMPLES = """\
examples:
  tako chat -s "Answer as a poet." --save poet     saves a template
  tako chat -t poet "What is a tako?"              uses it
  tako templates                                   lists your templates
  tako templates poet                              shows this template
"""
TEMPLATES_NOTES = """\
A template is a file such as ~/.config/tako/templates/poet.toml (`--save` writes it), a table [templates.poet] in
tako.toml, or any .toml, .md or .txt file that you pass with -t.
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
    on = _action(actions, "on", "log conversations from now on", "tako logs on --max-mb 500")
    on.add_argument(
        "--max-mb",
        type=count,
        metavar="N",
        help="the maximum size of the log in megabytes; above it, the oldest turns are deleted (default: 100)",
    )
    _action(actions, "off", "stop logging; the log stays", "tako logs off")
    _number(_action(actions, "list", "list the last conversations, newest first", "tako logs list -n 5"))
    show = _action(actions, "show", "print one conversation", "tako logs show 20261129-1f")
    show.add_argument(
        "id", nargs="?", default="", metavar="ID", help="its ID, or the start of it (default: the last conversation)"
    )
    search = _action(actions, "search", "find the turns that contain all of the words", "tako logs search quick sort")
    search.add_argument("words", nargs="+", metavar="WORD", help="a word to find, in upper or lower case")
    _number(search)
    export = _action(
        actions,
        "export",
        "print conversations as JSON lines, for Conversation.from_json",
        "tako logs export > backup.jsonl",
    )
    export.add_argument("ids", nargs="*", metavar="ID", help="a conversation to export (default: all)")
    prune = _action(actions, "prune", "delete conversations from the log", "tako logs prune --days 30")
    prune.add_argument("ids", nargs="*", metavar="ID", help="a conversation to delete")
    prune.add_argument(
        "--days", type=count, metavar="N", help="delete conversations whose last turn is more than N days old"
    )
    prune.add_argument("--all", action="store_true", help="delete all conversations")
    for name, action in actions.choices.items():
        if name not in ("list", "search"):
            action.set_defaults(number=NUMBER)


def _number(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--number", type=count, default=NUMBER, metavar="N", help=f"list at most N (default: {NUMBER})"
    )


def _keys(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(action="list", json=False)
    for name, summary, example in (
        ("set", "store a key; tako asks you for it, or reads it from a pipe", "tako keys set openai"),
        ("remove", "delete a stored key", "tako keys remove openai"),
    ):
        _action(actions, name, summary, example).add_argument(
            "name", metavar="NAME", help="a provider, such as openai, or a variable for the key, such as MY_GATE_KEY"
        )
    _action(actions, "list", "list which keys are stored, and where; keys are never shown", "tako keys list")


def _templates(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="show this template (default: list all)")
    add_config(parser)
    add_json(parser)


def _completion(parser: ArgumentParser) -> None:
    shells = ["bash", "zsh", "fish", "words"]  # the scripts pass "words", and what the user has typed
    parser.add_argument("shell", choices=shells, metavar="SHELL", help="your shell: bash, zsh or fish")
    parser.add_argument("words", nargs="*", default=[], help=SUPPRESS)


def _action(actions: Any, name: str, summary: str, example: str) -> ArgumentParser:
    parser: ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=describe(summary, f"example:\n  {example}\n"),
        formatter_class=RawDescriptionHelpFormatter,
    )
    add_json(parser)
    return parser


LOGS = Command("keep conversations, and search, show or delete them", _logs, LOGS_EXAMPLES, LOGS_NOTES)
KEYS = Command("store API keys, so that you don't have to set variables", _keys, KEYS_EXAMPLES, KEYS_NOTES)
TEMPLATES = Command("list and show your prompt templates", _templates, TEMPLATES_EXAMPLES, TEMPLATES_NOTES)
COMPLETION = Command(
    "print a script that completes commands and models in your shell", _completion, COMPLETION_EXAMPLES
)
