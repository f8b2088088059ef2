"""The arguments of the command, parsed with argparse. Only the parser of the command that runs is built.

Nothing here imports a part of tako that the command doesn't need; see docs/decisions/0012-arguments.md.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from tako.cli.arguments.commands import COMMANDS
from tako.cli.arguments.shared import describe
from tako.cli.arguments.values import number, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["COMMANDS", "UsageError", "number", "parse", "parser_of", "whole_number"]

EXAMPLES = """\
examples:
  tako "What is the capital of France?"              asks a model; the same as tako chat "…"
  git diff | tako chat "Write a commit message:"     sends piped input after the prompt
  tako chat                                          starts a conversation
  tako doctor                                        checks your setup, and tells you what to do next
  tako help chat                                     shows the options of a command, with examples
"""
EXIT_CODES = """\
exit codes: 0 success; 1 a call or a check failed; 2 wrong usage or configuration, or a missing or broken plugin;
70 a bug of tako; 130 interrupted; 141 the reader of the output stopped reading
"""
OWN_OPTIONS = ("-h", "--help", "--version", "--json", "--debug")
"""Options of ``tako`` itself. Anything else that starts with a dash belongs to ``tako chat``."""


class UsageError(Exception):
    """The arguments are wrong; the text is one line that says what is wrong."""


class Parser(ArgumentParser):
    """A parser whose errors are UsageErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message} (`{self.prog} --help` shows the options)")


def parse(arguments: Sequence[str]) -> Namespace:
    """Parse; the result's ``run`` is the function that runs the command. Raises UsageError."""
    arguments = _with_command(list(arguments))
    name = next((argument for argument in arguments if argument != "--debug"), "")
    if name in ("", *OWN_OPTIONS):
        return _parse_without_command(arguments)
    arguments.remove(name)
    return parser_of(name).parse_args(arguments)


def parser_of(name: str) -> ArgumentParser:
    """Return the parser of a command, tako's own or one of another distribution. Raises UsageError."""
    command = COMMANDS.get(name)
    if command is None:
        from tako.cli.arguments.plugin_commands import plugin_parser

        parser_from_plugin = plugin_parser(name)
        if parser_from_plugin is None:
            raise UsageError(_unknown_command(name))
        return parser_from_plugin
    parser = Parser(
        f"tako {name}",
        description=describe(command.summary, command.examples),
        epilog=command.notes,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_imported_later(command.module or name.replace("-", "_")))
    command.add(parser)
    add_debug(parser)
    return parser


def add_debug(parser: ArgumentParser) -> None:
    """Add the option that every command has."""
    parser.add_argument("--debug", action="store_true", default=SUPPRESS, help="print the traceback of an error")


def command_summaries() -> dict[str, str]:
    """Return all commands with a line about each, those of other distributions too."""
    from tako.cli.arguments.plugin_commands import plugin_commands

    own = {name: command.summary for name, command in COMMANDS.items()}
    return own | plugin_commands()


def _with_command(arguments: list[str]) -> list[str]:
    """Put ``chat`` before a prompt of several words, or an option of it; turn ``help NAME`` into ``NAME --help``."""
    index = next((i for i, argument in enumerate(arguments) if argument != "--debug"), len(arguments))
    first = arguments[index] if index < len(arguments) else ""
    if first == "help":
        return [*arguments[:index], *arguments[index + 1 :], "--help"]
    is_own = first in OWN_OPTIONS and (first != "--json" or "--version" in arguments)
    is_prompt = any(letter.isspace() for letter in first) or (first.startswith("-") and not is_own)
    return [*arguments[:index], "chat", *arguments[index:]] if is_prompt else arguments


def _parse_without_command(arguments: list[str]) -> Namespace:
    """Parse ``tako`` without a command."""
    prints_help = not arguments or "-h" in arguments or "--help" in arguments
    summary = "Chat with any language model from your terminal."
    parser = Parser(
        "tako",
        usage='tako COMMAND ...  or  tako "PROMPT"',
        description=f"{summary}\n\n{EXAMPLES}\n{_command_list()}" if prints_help else None,
        epilog=EXIT_CODES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version of tako")
    parser.add_argument("--json", action="store_true", help="print the version as JSON (with --version)")
    add_debug(parser)
    options = parser.parse_args(arguments)
    if not options.version:
        parser.print_help()
        raise UsageError('the command is missing; try: tako chat "Hello"')
    options.run = _print_version
    return options


def _command_list() -> str:
    return "commands:\n" + "".join(f"  {name:<14}{summary}\n" for name, summary in command_summaries().items())


def _unknown_command(name: str) -> str:
    similar = get_close_matches(name, command_summaries(), 1, 0.6)
    hint = f"did you mean `tako {similar[0]}`? To ask a model" if similar else "to ask a model"
    return f'{name!r} isn\'t a command; {hint}: tako chat "{name}" (`tako --help` lists the commands)'


def _imported_later(name: str) -> Callable[[Namespace], int]:
    """Return the function of a command. Its module is imported when the function is called."""

    def run(options: Namespace) -> int:
        code: int = import_module(f"tako.cli.{name}").run(options)
        return code

    return run


def _print_version(options: Namespace) -> int:
    import tako

    print(f'{{"version":"{tako.__version__}"}}' if options.json else f"tako {tako.__version__}")  # noqa: T201 - a command prints
    return 0
