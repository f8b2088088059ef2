"""What the command takes: argparse, and of its parsers only the one that is needed.

Nothing here imports a part of tako that the command doesn't need; see docs/decisions/0012-arguments.md.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from tako.cli.arguments.commands import COMMANDS
from tako.cli.arguments.reading import number, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["COMMANDS", "UsageError", "number", "parse", "parser_of", "whole_number"]

EXAMPLES = """\
examples:
  tako "What is the capital of France?"              the same as tako chat "…"
  git diff | tako chat "Write a commit message:"     what you pipe in goes after the prompt
  tako chat                                          a conversation
  tako doctor                                        what is set up, and what to do next
  tako help chat                                     all options of a command, with examples

exit codes: 0 well; 1 a call or a check failed; 2 usage, configuration or plugins; 130 interrupted
"""
OWN = ("-h", "--help", "--version", "--json", "--debug")
"""Options of ``tako`` itself: what else begins with a dash belongs to ``tako chat``."""


class UsageError(Exception):
    """The arguments are wrong; the text says how, in one line."""


class Parser(ArgumentParser):
    """A parser whose errors are UsageErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message} (`{self.prog} --help` shows the options)")


def parse(arguments: Sequence[str]) -> Namespace:
    """Parse; the result's ``run`` is the function that carries the command out. Raises UsageError."""
    words = _in_full(list(arguments))
    name = next((word for word in words if word != "--debug"), "")
    if name in ("", *OWN):
        return _alone(words)
    rest = list(words)
    rest.remove(name)
    return parser_of(name).parse_args(rest)


def parser_of(name: str) -> ArgumentParser:
    """Return the parser of a command, tako's own or one of another distribution. Raises UsageError."""
    command = COMMANDS.get(name)
    if command is None:
        from tako.cli.arguments.added import added_parser

        added = added_parser(name)
        if added is None:
            raise UsageError(_unknown(name))
        return added
    parser = Parser(
        f"tako {name}",
        description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        epilog=command.epilog,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_late(command.module or name.replace("-", "_")))
    command.add(parser)
    debug(parser)
    return parser


def debug(parser: ArgumentParser) -> None:
    """Add the option that every command has."""
    parser.add_argument("--debug", action="store_true", default=SUPPRESS, help="show tracebacks")


def names() -> dict[str, str]:
    """Return all commands with a line about each, those of other distributions too."""
    from tako.cli.arguments.added import added_commands

    own = {name: command.summary for name, command in COMMANDS.items()}
    return own | {name: f"from {owners}" for name, owners in added_commands().items()}


def _in_full(words: list[str]) -> list[str]:
    """Put ``chat`` before a prompt of several words, or an option of it; turn ``help NAME`` into ``NAME --help``."""
    at = next((i for i, word in enumerate(words) if word != "--debug"), len(words))
    first = words[at] if at < len(words) else ""
    if first == "help":
        return [*words[:at], *words[at + 1 :], "--help"]
    own = first in OWN and (first != "--json" or "--version" in words)
    is_prompt = any(letter.isspace() for letter in first) or (first.startswith("-") and not own)
    return [*words[:at], "chat", *words[at:]] if is_prompt else words


def _alone(words: list[str]) -> Namespace:
    """Parse ``tako`` without a command."""
    helping = not words or "-h" in words or "--help" in words
    parser = Parser(
        "tako",
        usage='tako COMMAND …  or  tako "PROMPT"',
        description="Chat with any language model, and see what is installed.",
        epilog=f"{_commands()}\n{EXAMPLES}" if helping else None,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="show which version of tako this is")
    parser.add_argument("--json", action="store_true", help="print the version as JSON")
    debug(parser)
    options = parser.parse_args(words)
    if not options.version:
        parser.print_help()
        raise UsageError('the command is missing; try: tako chat "Hello"')
    options.run = _version
    return options


def _commands() -> str:
    return "commands:\n" + "".join(f"  {name:<14}{summary}\n" for name, summary in names().items())


def _unknown(name: str) -> str:
    near = get_close_matches(name, names(), 1, 0.6)
    slip = f"did you mean `tako {near[0]}`? To ask a model" if near else "to ask a model"
    return f'{name!r} isn\'t a command; {slip}: tako chat "{name}" (`tako --help` lists the commands)'


def _late(name: str) -> Callable[[Namespace], int]:
    """Return a command's function, whose module is imported when it is called."""

    def run(options: Namespace) -> int:
        code: int = import_module(f"tako.cli.{name}").run(options)
        return code

    return run


def _version(options: Namespace) -> int:
    import tako

    print(f'{{"version":"{tako.__version__}"}}' if options.json else f"tako {tako.__version__}")  # noqa: T201 - a command prints
    return 0
