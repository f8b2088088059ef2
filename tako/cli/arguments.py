"""What the command takes. Parsing imports no part of tako that it does not need."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from functools import partial
from importlib import import_module
from math import isnan, nan
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXITS = "exit codes: 0 well; 1 a call or a check failed; 2 usage, configuration or plugins; 130 interrupted"
CHAT = """\
examples:
  tako chat "What is the capital of France?"
  tako chat -m openai:gpt-5 --image photo.jpg "What is this?"
  tako chat -m anthropic:claude-sonnet-4-5 --file report.pdf "Summarise"
  git diff | tako chat -m anthropic:claude-sonnet-4-5 "Write a commit message for this diff:"
  tako chat "Translate this into French:" - "Answer with the text alone." < letter.txt
  tako chat -m code "Hello"       a provider that tako.toml names
  tako chat                       a conversation (on a terminal)
"""
TRUST = """\
A tako.toml can run code and send your keys to any address, so tako doesn't use one that lies in the current folder
until you trust it. It's remembered with the Python files that it names there; if one of them changes, trust it again.
"""


class UsageError(Exception):
    """The arguments are wrong; the text says how, in one line."""


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (`{self.prog} --help` shows what is possible)")


def parse(arguments: Sequence[str]) -> Namespace:
    """Parse; the result's ``run`` is the function that carries the command out. Raises UsageError."""
    parser = _Parser("tako", description="Chat with any language model, and see what is installed.", epilog=EXITS)
    parser.add_argument("--version", action="store_true", help="say which version of tako this is")
    _debug(parser)
    commands = parser.add_subparsers(metavar="COMMAND")
    asking = (_chat, _conduct, _models, _tokens)
    for add in (*asking, _providers, _doctor, _capabilities, _plugins, _trust, _new_plugin, _setup):
        _debug(add(commands))
    if next((word for word in arguments if not word.startswith("-")), None) not in commands.choices:
        _installed_commands(commands)
    options = parser.parse_args(arguments)
    if options.version:
        options.run = _version
    elif "run" not in options:
        parser.print_help()
        raise UsageError('the command is missing; try: tako chat "Hello"')
    return options


def number(text: str) -> float:
    """Read a number of the command line."""
    try:
        read = float(text)
    except ValueError:
        read = nan
    if isnan(read):
        raise ArgumentTypeError(f"{text!r} isn't a number")
    return read


def whole_number(text: str) -> int:
    """Read a whole number of the command line."""
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} isn't a whole number") from None


def _chat(commands: Any) -> ArgumentParser:
    parser = _command(commands, "chat", "ask a model; without a prompt on a terminal: a conversation", epilog=CHAT)
    parser.add_argument(
        "prompt", nargs="*", metavar="PROMPT", help="what to ask; what is piped in goes after it, or where - stands"
    )
    _model(parser, flag=True)
    _config(parser)
    for option, text in (("image", "an image to look at"), ("file", "a file to read: PDF, audio, video, text")):
        parser.add_argument(
            f"--{option}",
            dest="attached",
            action="append",
            default=[],
            type=partial(_attached, option),
            metavar="FILE|URL",
            help=f"{text}; you can repeat it",
        )
    parser.add_argument("--system", metavar="TEXT", help="an instruction that goes before the conversation")
    _parameters(parser)
    parser.add_argument("--no-stream", dest="stream", action="store_false", help="wait for the whole answer")
    parser.add_argument("--json", action="store_true", help="print the whole response as JSON")
    return parser


def _parameters(parser: ArgumentParser) -> None:
    """Add the parameters of a request, each under its name in ``ChatRequest``."""
    for name, read, shown, text in (
        ("temperature", number, "NUMBER", "how freely the model chooses its words; 0 takes the likeliest"),
        ("top_p", number, "NUMBER", "choose among the likeliest words of this share, 0 to 1"),
        ("max_tokens", whole_number, "N", "the longest answer, in tokens"),
        ("seed", whole_number, "N", "the same seed gives the same answer, where a vendor can"),
        ("reasoning", effort, "WORD|N", "how much the model thinks: none, low, medium, high … or a budget of tokens"),
        ("timeout", number, "SECONDS", "the longest silence of the vendor"),
    ):
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, type=read, metavar=shown, help=text)
    parser.add_argument("--stop", action="append", metavar="TEXT", help="end the answer here; you can repeat it")
    parser.add_argument(
        "--strict", action="store_true", default=None, help="fail before sending if the model can't take all of it"
    )


def effort(text: str) -> int | str:
    """Read a word, or a budget of tokens."""
    return int(text) if text.isdecimal() else text


def _attached(option: str, given: str) -> tuple[str, str]:
    return option, given


def _conduct(commands: Any) -> ArgumentParser:
    parser = _command(commands, "conduct", "have the Conductor of tako.toml split a task among several models")
    parser.add_argument(
        "prompt", nargs="*", metavar="PROMPT", help="the task; what is piped in goes after it, or where - stands"
    )
    _config(parser)
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")
    return parser


def _providers(commands: Any) -> ArgumentParser:
    parser = _command(commands, "providers", "list the installed providers and plugins, and why one is broken")
    _config(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _doctor(commands: Any) -> ArgumentParser:
    parser = _command(commands, "doctor", "check each provider: its plugin, its key, and whether its endpoint answers")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these providers, installed or of tako.toml")
    _config(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _capabilities(commands: Any) -> ArgumentParser:
    parser = _command(commands, "capabilities", "show what a model can do and cost, and where each value is from")
    _model(parser, flag=False)
    _config(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _models(commands: Any) -> ArgumentParser:
    parser = _command(commands, "models", "list the models that a vendor or a server has", module="listing")
    parser.add_argument(
        "provider", nargs="?", metavar="PROVIDER", help="as in openai, openai:gpt-5 or a name of tako.toml; else yours"
    )
    _option(parser)
    _config(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _tokens(commands: Any) -> ArgumentParser:
    parser = _command(commands, "tokens", "ask a vendor how many tokens a prompt has, without an answer")
    parser.add_argument(
        "prompt", nargs="*", metavar="PROMPT", help="what to count; what is piped in goes after it, or where - stands"
    )
    _model(parser, flag=True)
    _config(parser)
    parser.add_argument("--system", metavar="TEXT", help="an instruction that goes before the prompt")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _plugins(commands: Any) -> ArgumentParser:
    parser = _command(commands, "plugins", "show which plugins stand around each provider, in which order and how")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these providers")
    _config(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _trust(commands: Any) -> ArgumentParser:
    parser = _command(commands, "trust", "let tako use the tako.toml of a folder, as it is now", epilog=TRUST)
    parser.add_argument("file", nargs="?", metavar="FILE", help="the file, or its folder; else ./tako.toml")
    parser.add_argument("--yes", action="store_true", help="don't ask")
    parser.add_argument("--list", action="store_true", help="list the files that you trust")
    parser.add_argument("--revoke", action="store_true", help="trust FILE no longer")
    return parser


def _new_plugin(commands: Any) -> ArgumentParser:
    parser = _command(commands, "new-plugin", "write a new provider as a distribution, with its tests")
    parser.add_argument("name", metavar="NAME", help='what ids begin with, as in "acme" for acme:MODEL')
    parser.add_argument(
        "--dialect",
        choices=["json", "completions", "responses"],
        default="json",
        help="what the wire begins as: a small one of JSON, all of it shown; or one that is in the kit",
    )
    parser.add_argument(
        "--transport",
        choices=["http", "process"],
        default="http",
        help="how the model is reached: over HTTP, or by a program that each call starts",
    )
    parser.add_argument("--class", dest="class_name", metavar="CLASS", help="the class, as the vendor spells itself")
    parser.add_argument("--into", default=".", metavar="FOLDER", help="where the new folder goes; else here")
    return parser


def _setup(commands: Any) -> ArgumentParser:
    parser = _command(commands, "setup", "download the embedded model for this user, once")
    parser.add_argument("what", choices=["embedded"], help="the small model that runs in process (93 MB)")
    return parser


def _command(
    commands: Any, name: str, text: str, epilog: str | None = None, module: str | None = None
) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_late(module or name))
    return parser


class _Added(_Parser):
    """The parser of a command of another distribution, which is imported when the command is used."""

    entries: list[Any] = []  # noqa: RUF012 - every parser gets its own

    # argparse overloads it, for which pyright needs:
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.entries:
            _fill(self, self.entries)
            self.entries = []
        return super().parse_known_args(args, namespace)


def _installed_commands(commands: Any) -> None:
    """Add the commands of the entry points ``tako.commands`` by their names; tako's own names are taken."""
    from tako.discovery import barred, command_entries

    claims: dict[str, list[Any]] = {}
    for entry in command_entries():
        if barred(entry) is None and entry.problem is None and entry.name not in commands.choices:
            claims.setdefault(entry.name, []).append(entry)
    for name, entries in claims.items():
        owners = " and ".join(sorted({entry.distribution for entry in entries}))
        parser = commands.add_parser(name, help=f"from {owners}")
        parser.__class__ = _Added
        parser.entries = entries
        _debug(parser)


def _fill(parser: ArgumentParser, entries: list[Any]) -> None:
    """Import a command and let it add its arguments. Raises PluginError."""
    from tako.errors import PluginError
    from tako.hooks.failures import is_interrupt

    if len({entry.distribution for entry in entries}) > 1:
        raise PluginError(f"the command {entries[0].name!r} is claimed by {' and '.join(map(repr, entries))}")
    try:
        entries[0].load()(parser)
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise PluginError(f"the command of {entries[0]!r} is broken: {type(error).__name__}: {error}") from error


def _model(parser: ArgumentParser, *, flag: bool) -> None:
    if flag:
        parser.add_argument(
            "-m",
            "--model",
            metavar="ID",
            help='as in "openai:gpt-5", or a name of tako.toml; else TAKO_MODEL, its default, or the embedded model',
        )
    else:
        parser.add_argument("model", metavar="ID", help='as in "openai:gpt-5", or a name of tako.toml')
    _option(parser)


def _option(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the provider; may be repeated",
    )


def _config(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="the configuration; else TAKO_CONFIG, ./tako.toml if you trust it, or your own",
    )


def _debug(parser: ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", default=SUPPRESS, help="show tracebacks")


def _late(name: str) -> Callable[[Namespace], int]:
    """Return a command's function, whose module is imported when it is called."""

    def run(options: Namespace) -> int:
        code: int = import_module(f"tako.cli.{name.replace('-', '_')}").run(options)
        return code

    return run


def _version(options: Namespace) -> int:
    import tako

    print(f"tako {tako.__version__}")  # noqa: T201 - a command prints
    return 0
