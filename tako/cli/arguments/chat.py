"""The arguments of ``tako chat``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tako.cli.arguments.shared import (
    Command,
    add_config,
    add_json,
    add_model,
    add_option,
    add_prompt,
    add_system,
)
from tako.cli.arguments.values import effort, number, parameter, whole_number

if TYPE_CHECKING:
    from argparse import ArgumentParser

EXAMPLES = """\
examples:
  tako chat "What is the capital of France?"
  tako chat -m openai:gpt-6.2-sol -f photo.jpg "What is this?"
  tako chat -m anthropic:claude-sonnet-5-5 -f report.pdf "Summarise"
  git diff | tako chat -m anthropic:claude-sonnet-5-5 "Write a commit message for this diff:"
  tako chat "Translate this into French:" - "Answer with the text alone." < letter.txt
  tako chat --schema "name, age int" "Invent a dog"       prints JSON with these fields
  tako chat -T tools.py "What is the weather in Oslo?"    the model may call your functions
  tako chat -x "A Python function that reverses a list"   prints only the code
  tako chat -t review -f main.py                          uses a template
  tako chat -m code "Hello"       asks the provider or alias "code" of tako.toml
  tako chat                       starts a conversation (on a terminal)
  tako chat -C "And in Italian?"  continues the last conversation (after tako logs on)
"""


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "tako chat [OPTION ...] [PROMPT ...]"
    add_prompt(parser, "what to ask")
    add_model(parser)
    add_option(parser)
    add_config(parser)
    _add_input(parser)
    _add_parameters(parser)
    _add_output(parser)
    _add_conversation(parser)


def _add_input(parser: ArgumentParser) -> None:
    """Add what goes to the model with the prompt."""
    group = parser.add_argument_group("input")
    for letter, option, description in (
        ("-f", "--file", "send a file: image, PDF, audio, video or text"),
        ("-i", "--image", "send an image"),
    ):
        group.add_argument(
            letter,
            option,
            dest="attached",
            action="append",
            default=[],
            type=partial(_attachment, option.removeprefix("--")),
            metavar="FILE|URL",
            help=f"{description}; you can repeat it",
        )
    add_system(group)
    group.add_argument(
        "-t",
        "--template",
        metavar="NAME|FILE",
        help="use a template (`tako templates` lists yours) or a file; your prompt replaces its $input",
    )
    group.add_argument(
        "-p",
        "--param",
        dest="parameters",
        action="append",
        default=[],
        type=parameter,
        metavar="NAME=VALUE",
        help="replace $NAME in the template with VALUE; you can repeat it",
    )
    group.add_argument(
        "-T",
        "--tool",
        dest="tools",
        action="append",
        metavar="MODULE:FUNCTION",
        help="let the model call a Python function, or all functions of a .py file; you can repeat it",
    )
    group.add_argument("--yes", action="store_true", help="call tools without asking you each time")
    group.add_argument(
        "--schema",
        metavar="FILE|TYPE",
        help="print an answer in JSON that fits: a JSON Schema, a Python type (module:Type), or fields such as "
        '"name, age int"',
    )


def _add_parameters(parser: ArgumentParser) -> None:
    """Add the parameters of a request, each under its name in ``ChatRequest``."""
    group = parser.add_argument_group("parameters of the request", "Without an option, the provider's default applies.")
    for name, convert, metavar, description in (
        ("temperature", number, "NUMBER", "how random the answer is; 0 picks the likeliest words"),
        ("top_p", number, "NUMBER", "pick among the likeliest words whose probabilities add up to this, from 0 to 1"),
        ("max_tokens", whole_number, "N", "the most tokens that the answer may have"),
        ("seed", whole_number, "N", "ask for the same answer each time you use the same seed; not all vendors can"),
        ("reasoning", effort, "LEVEL|N", "how much the model thinks: none, low, medium, high …, or at most N tokens"),
        ("timeout", number, "SECONDS", "fail if the vendor sends nothing for so many seconds (usually 120)"),
    ):
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, dest=name, type=convert, metavar=metavar, help=description)
    group.add_argument("--stop", action="append", metavar="TEXT", help="end the answer before TEXT; you can repeat it")
    group.add_argument(
        "--strict",
        action="store_true",
        default=None,
        help="fail before sending if the model doesn't support all of the request (default: leave out the rest, and "
        "print a notice)",
    )


def _add_output(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--no-stream",
        dest="stream",
        action="store_false",
        default=None,
        help="print the answer when it's complete (default: while it arrives)",
    )
    group.add_argument(
        "-x", "--extract", action="store_true", default=None, help="print only the last code block of the answer"
    )
    group.add_argument(
        "-u", "--usage", action="store_true", default=None, help="print the number of tokens and the cost on stderr"
    )
    add_json(group, "print the whole response as JSON")


def _add_conversation(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("conversations and templates")
    group.add_argument(
        "-C",
        "--continue",
        dest="resumed",
        nargs="?",
        const="",
        metavar="ID|FILE",
        help="continue a conversation: its ID in `tako logs`, or a file that /save wrote (default: the last one)",
    )
    group.add_argument(
        "--save", metavar="NAME", help="save these options and the prompt as a template; nothing is sent"
    )
    group.add_argument("--private", action="store_true", help="don't write this conversation to the log")


def _attachment(option: str, value: str) -> tuple[str, str]:
    return option, value


CHAT = Command("ask a model; without a prompt, start a conversation", add, EXAMPLES)
