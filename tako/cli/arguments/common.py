"""Options that several commands share, each with one letter and one meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

    Arguments = Any
    """A parser or a group of one; argparse's name of what they share is private."""


class Command(NamedTuple):
    """A command of tako's own: a line about it, what adds its arguments, its examples, and its module."""

    summary: str
    add: Callable[[ArgumentParser], None]
    epilog: str | None = None
    module: str | None = None


def add_prompt(parser: Arguments, what: str) -> None:
    """Add the words of a prompt."""
    parser.add_argument(
        "prompt", nargs="*", metavar="PROMPT", help=f"{what}; piped input goes after it, or in place of -"
    )


def add_model(parser: Arguments) -> None:
    """Add -m."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="ID",
        help='as in "openai:gpt-5", or a name of tako.toml; else TAKO_MODEL, its default, or the embedded model',
    )


def add_option(parser: Arguments) -> None:
    """Add -o."""
    parser.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the provider; you can repeat it",
    )


def add_config(parser: Arguments) -> None:
    """Add -c."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="the configuration; else TAKO_CONFIG, ./tako.toml if you trust it, or your own",
    )


def add_system(parser: Arguments) -> None:
    """Add -s."""
    parser.add_argument("-s", "--system", metavar="TEXT", help="an instruction that goes before all messages")


def add_json(parser: Arguments, what: str = "print JSON") -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help=what)
