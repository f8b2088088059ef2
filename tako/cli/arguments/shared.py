"""Options that several commands share, each with one letter and one meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

    Arguments = Any
    """A parser or a group of options; argparse's name of their base class is private."""


class Command(NamedTuple):
    """A command of tako's own.

    ``summary`` is one line about it, ``add`` adds its arguments, ``examples`` and ``notes`` are for its help.
    ``module`` is the module in ``tako.cli`` that runs it, if its name differs from the command's.
    """

    summary: str
    add: Callable[[ArgumentParser], None]
    examples: str
    notes: str | None = None
    module: str | None = None


def describe(summary: str, examples: str) -> str:
    """Return the text above the options of a command: what it does, and examples."""
    return f"{summary[0].upper()}{summary[1:]}.\n\n{examples}"


def add_prompt(parser: Arguments, description: str) -> None:
    """Add the prompt."""
    parser.add_argument(
        "prompt", nargs="*", metavar="PROMPT", help=f"{description}; piped input goes after it, or where you write -"
    )


def add_model(parser: Arguments) -> None:
    """Add -m."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="ID",
        help="the model, such as openai:gpt-6.2-sol, or a name in tako.toml (default: TAKO_MODEL, then the default in "
        "tako.toml, then the embedded model)",
    )


def add_option(parser: Arguments) -> None:
    """Add -o."""
    parser.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the provider, such as base_url=http://gpu:11434; you can repeat it",
    )


def add_config(parser: Arguments) -> None:
    """Add -c."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="the configuration (default: TAKO_CONFIG, then ./tako.toml if you trust it, then your own tako.toml)",
    )


def add_system(parser: Arguments) -> None:
    """Add -s."""
    parser.add_argument(
        "-s", "--system", metavar="TEXT", help="an instruction for the model, which goes before all messages"
    )


def add_json(parser: Arguments, description: str = "print the result as JSON") -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help=description)
