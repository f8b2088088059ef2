"""tako's own commands, by their names, in the order of the help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.cli.arguments.chatting import CHAT
from tako.cli.arguments.common import (
    Command,
    add_config,
    add_json,
    add_model,
    add_option,
    add_prompt,
    add_system,
)
from tako.cli.arguments.keeping import COMPLETION, KEYS, LOGS, TEMPLATES

if TYPE_CHECKING:
    from argparse import ArgumentParser

CONDUCT_EXAMPLES = """\
examples:
  tako conduct "Write quicksort, and prove that it ends"
  tako conduct -c deploy/tako.toml --json < task.txt
"""
MODELS_EXAMPLES = """\
examples:
  tako models openai
  tako models ollama -o base_url=http://gpu:11434
  tako models anthropic --json
"""
TOKENS_EXAMPLES = """\
examples:
  tako tokens -m anthropic:claude-sonnet-5-5 < letter.txt
  git diff | tako tokens -m gemini:gemini-3-flash "Write a commit message:"
"""
CAPABILITIES_EXAMPLES = """\
examples:
  tako capabilities openai:gpt-5
  tako capabilities -c deploy/tako.toml code
"""
PROVIDERS_EXAMPLES = """\
examples:
  tako providers
  tako providers --debug      the traceback of what is broken, too
"""
DOCTOR_EXAMPLES = """\
examples:
  tako doctor                 everything, and what to do next
  tako doctor openai          this provider alone
  tako doctor -c tako.toml cheap
"""
PLUGINS_EXAMPLES = """\
examples:
  tako plugins openai
  tako plugins -c tako.toml --json
"""
TRUST_EXAMPLES = """\
A tako.toml can run code and send your keys to any address, so tako doesn't use one that lies in the current folder
until you trust it. It's remembered with the Python files that it names there; if one of them changes, trust it again.

examples:
  tako trust                  shows what ./tako.toml does, and asks
  tako trust --list
  tako trust --revoke
"""
NEW_PLUGIN_EXAMPLES = """\
examples:
  tako new-plugin acme
  tako new-plugin acme --dialect completions --class AcmeAI
"""
SETUP_EXAMPLES = """\
examples:
  tako setup embedded
"""


def _conduct(parser: ArgumentParser) -> None:
    add_prompt(parser, "the task")
    add_config(parser)
    add_json(parser, "print the whole result as JSON")


def _models(parser: ArgumentParser) -> None:
    parser.add_argument(
        "provider", nargs="?", metavar="PROVIDER", help="as in openai, openai:gpt-5 or a name of tako.toml; else yours"
    )
    add_option(parser)
    add_config(parser)
    add_json(parser)


def _tokens(parser: ArgumentParser) -> None:
    add_prompt(parser, "what to count")
    add_model(parser)
    add_option(parser)
    add_config(parser)
    add_system(parser)
    add_json(parser)


def _capabilities(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="ID", help='as in "openai:gpt-5", or a name of tako.toml')
    add_option(parser)
    add_config(parser)
    add_json(parser)


def _listing(parser: ArgumentParser) -> None:
    add_config(parser)
    add_json(parser)


def _named(parser: ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these providers, installed or of tako.toml")
    _listing(parser)


def _trust(parser: ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", help="the file, or its folder; else ./tako.toml")
    parser.add_argument("--yes", action="store_true", help="don't ask")
    parser.add_argument("--list", action="store_true", help="list the files that you trust")
    parser.add_argument("--revoke", action="store_true", help="trust FILE no longer")
    add_json(parser)


def _new_plugin(parser: ArgumentParser) -> None:
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
    add_json(parser)


def _setup(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=["embedded"], help="the small model that runs in process (93 MB)")
    add_json(parser)


COMMANDS: dict[str, Command] = {
    "chat": CHAT,
    "conduct": Command("have the Conductor of tako.toml split a task among several models", _conduct, CONDUCT_EXAMPLES),
    "logs": LOGS,
    "templates": TEMPLATES,
    "keys": KEYS,
    "models": Command("list the models that a vendor or a server has", _models, MODELS_EXAMPLES, "listing"),
    "tokens": Command("ask a vendor how many tokens a prompt has, without an answer", _tokens, TOKENS_EXAMPLES),
    "capabilities": Command(
        "show what a model can do and cost, and where each value is from", _capabilities, CAPABILITIES_EXAMPLES
    ),
    "doctor": Command(
        "check each provider: its plugin, its key, and whether its endpoint answers", _named, DOCTOR_EXAMPLES
    ),
    "providers": Command(
        "list the installed providers and plugins, and why one is broken", _listing, PROVIDERS_EXAMPLES
    ),
    "plugins": Command("show the plugins of each provider, in order, and what they do", _named, PLUGINS_EXAMPLES),
    "trust": Command("let tako use the tako.toml of a folder, as it is now", _trust, TRUST_EXAMPLES),
    "completion": COMPLETION,
    "setup": Command("download the embedded model for this user, once", _setup, SETUP_EXAMPLES),
    "new-plugin": Command("write a new provider as a distribution, with its tests", _new_plugin, NEW_PLUGIN_EXAMPLES),
}
