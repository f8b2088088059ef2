"""The arguments of ``tako chat``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tako.cli.arguments.common import (
    Command,
    add_config,
    add_json,
    add_model,
    add_option,
    add_prompt,
    add_system,
)
from tako.cli.arguments.reading import effort, number, parameter, whole_number

if TYPE_CHECKING:
    from argparse import ArgumentParser

EPILOG = """\
examples:
  tako chat "What is the capital of France?"
  tako chat -m openai:gpt-5 -f photo.jpg "What is this?"
  tako chat -m anthropic:claude-sonnet-4-5 -f report.pdf "Summarise"
  git diff | tako chat -m anthropic:claude-sonnet-4-5 "Write a commit message for this diff:"
  tako chat "Translate this into French:" - "Answer with the text alone." < letter.txt
  tako chat --schema "name, age int" "Invent a dog"       JSON that fits
  tako chat -T tools.py "What is the weather in Oslo?"    functions that the model may call
  tako chat -x "A Python function that reverses a list"   the code alone
  tako chat -t review -f main.py                          a template
  tako chat -m code "Hello"       a provider, or an alias, of tako.toml
  tako chat                       a conversation (on a terminal)
  tako chat -C "And in Italian?"  goes on with the last conversation (after tako logs on)
"""


def add(parser: ArgumentParser) -> None:
    """Add the arguments."""
    add_prompt(parser, "what to ask")
    _add_input(parser)
    _add_parameters(parser)
    _add_output(parser)
    kept = parser.add_argument_group("conversations")
    kept.add_argument(
        "-C",
        "--continue",
        dest="resumed",
        nargs="?",
        const="",
        metavar="ID|FILE",
        help="go on with a conversation of the log, or one that /save wrote; else with the last one",
    )
    kept.add_argument("--save", metavar="NAME", help="ask nothing: keep these options, and the prompt, as a template")
    kept.add_argument("--private", action="store_true", help="keep nothing of this in the log")


def _add_input(parser: ArgumentParser) -> None:
    add_model(parser)
    add_option(parser)
    add_config(parser)
    asked = parser.add_argument_group("what is asked")
    for letter, option, text in (
        ("-f", "--file", "a file to read: image, PDF, audio, video, text"),
        ("-i", "--image", "an image to look at"),
    ):
        asked.add_argument(
            letter,
            option,
            dest="attached",
            action="append",
            default=[],
            type=partial(_attached, option.removeprefix("--")),
            metavar="FILE|URL",
            help=f"{text}; you can repeat it",
        )
    add_system(asked)
    asked.add_argument("-t", "--template", metavar="NAME|FILE", help="a template, whose $input is the prompt")
    asked.add_argument(
        "-p",
        "--param",
        dest="parameters",
        action="append",
        default=[],
        type=parameter,
        metavar="NAME=VALUE",
        help="what $NAME of the template stands for; you can repeat it",
    )
    asked.add_argument(
        "-T",
        "--tool",
        dest="tools",
        action="append",
        metavar="MODULE:FUNCTION",
        help="a Python function that the model may call, or a .py file of them; you can repeat it",
    )
    asked.add_argument("--yes", action="store_true", help="call tools without asking you")
    asked.add_argument(
        "--schema",
        metavar="FILE|TYPE",
        help='answer in JSON that fits: a JSON Schema, a type (module:Type), or fields as in "name, age int"',
    )


def _add_parameters(parser: ArgumentParser) -> None:
    """Add the parameters of a request, each under its name in ``ChatRequest``."""
    how = parser.add_argument_group("how it is answered")
    for name, read, shown, text in (
        ("temperature", number, "NUMBER", "how freely the model chooses its words; 0 takes the likeliest"),
        ("top_p", number, "NUMBER", "choose among the likeliest words of this share, 0 to 1"),
        ("max_tokens", whole_number, "N", "the longest answer, in tokens"),
        ("seed", whole_number, "N", "the same seed gives the same answer, where a vendor can"),
        ("reasoning", effort, "WORD|N", "how much the model thinks: none, low, medium, high … or a budget of tokens"),
        ("timeout", number, "SECONDS", "the longest silence of the vendor"),
    ):
        how.add_argument(f"--{name.replace('_', '-')}", dest=name, type=read, metavar=shown, help=text)
    how.add_argument("--stop", action="append", metavar="TEXT", help="end the answer here; you can repeat it")
    how.add_argument(
        "--strict", action="store_true", default=None, help="fail before sending if the model can't take all of it"
    )


def _add_output(parser: ArgumentParser) -> None:
    out = parser.add_argument_group("what is printed")
    out.add_argument("--no-stream", dest="stream", action="store_false", default=None, help="wait for the whole answer")
    out.add_argument(
        "-x", "--extract", action="store_true", default=None, help="print the last code block of the answer alone"
    )
    out.add_argument(
        "-u", "--usage", action="store_true", default=None, help="say on stderr how many tokens it took, and the cost"
    )
    add_json(out, "print the whole response as JSON")


def _attached(option: str, given: str) -> tuple[str, str]:
    return option, given


CHAT = Command("ask a model; without a prompt on a terminal: a conversation", add, EPILOG)
