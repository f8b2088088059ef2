"""The commands of tako itself, by name, in the order of the help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.cli.arguments.chat import CHAT
from tako.cli.arguments.shared import (
    Command,
    add_config,
    add_json,
    add_model,
    add_option,
    add_prompt,
    add_system,
)
from tako.cli.arguments.storage import COMPLETION, KEYS, LOGS, TEMPLATES

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
  git diff | tako tokens -m gemini:gemini-3.8-flash "Write a commit message:"
"""
CAPABILITIES_EXAMPLES = """\
examples:
  tako capabilities openai:gpt-6.2-sol
  tako capabilities -c deploy/tako.toml code
"""
PROVIDERS_EXAMPLES = """\
examples:
  tako providers
  tako providers --debug      prints the traceback of each broken plugin, too
"""
DOCTOR_EXAMPLES = """\
examples:
  tako doctor                 checks all providers, and tells you what to do next
  tako doctor openai          checks one provider
  tako doctor -c tako.toml cheap
"""
DOCTOR_NOTES = """\
It connects to each endpoint for at most 3 seconds, and sends no request. It never prints a key.
"""
PLUGINS_EXAMPLES = """\
examples:
  tako plugins openai
  tako plugins -c tako.toml --json
"""
TRUST_EXAMPLES = """\
examples:
  tako trust                  shows what ./tako.toml does, and asks you
  tako trust --list
  tako trust --revoke
"""
TRUST_NOTES = """\
A tako.toml can run code and send your keys to any address. So tako ignores a tako.toml in the current folder until you
trust it. Trust covers its current content and the Python files that it names. If one of them changes, run `tako trust`
again.
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
NAMES_HELP = "a provider, or a name in tako.toml (default: all)"


def _conduct(parser: ArgumentParser) -> None:
    add_prompt(parser, "the task")
    add_config(parser)
    add_json(parser, "print the whole result as JSON")


def _models(parser: ArgumentParser) -> None:
    parser.add_argument(
        "provider",
        nargs="?",
        metavar="PROVIDER",
        help="a provider such as openai, a model such as openai:gpt-6.2-sol, or a name in tako.toml (default: the "
        "provider that tako chat would use)",
    )
    add_option(parser)
    add_config(parser)
    add_json(parser)


def _tokens(parser: ArgumentParser) -> None:
    add_prompt(parser, "the text to count")
    add_model(parser)
    add_option(parser)
    add_config(parser)
    add_system(parser)
    add_json(parser)


def _capabilities(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="ID", help="a model such as openai:gpt-6.2-sol, or a name in tako.toml")
    add_option(parser)
    add_config(parser)
    add_json(parser)


def _providers(parser: ArgumentParser) -> None:
    add_config(parser)
    add_json(parser)


def _named_providers(parser: ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help=NAMES_HELP)
    _providers(parser)


def _trust(parser: ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", help="a tako.toml, or its folder (default: ./tako.toml)")
    parser.add_argument("--yes", action="store_true", help="trust the file without asking you")
    parser.add_argument("--list", action="store_true", help="list the files that you trust")
    parser.add_argument("--revoke", action="store_true", help="stop trusting FILE")
    add_json(parser)


def _new_plugin(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the provider's name; with acme, models are called acme:MODEL")
    parser.add_argument(
        "--dialect",
        choices=["json", "ndjson", "completions", "responses"],
        default="json",
        help="the API that the plugin starts with: a small JSON API with all its code, which streams Server-Sent "
        "Events (json) or lines of JSON (ndjson), or a subclass for a vendor with the Chat Completions or Responses "
        "API (default: json)",
    )
    parser.add_argument(
        "--transport",
        choices=["http", "process"],
        default="http",
        help="how tako reaches the model: over HTTP, or by starting a program for each call (default: http)",
    )
    parser.add_argument(
        "--class",
        dest="class_name",
        metavar="CLASS",
        help="the name of the class (default: made from NAME, as in Acme)",
    )
    parser.add_argument(
        "--into",
        default=".",
        metavar="FOLDER",
        help="the folder for the new folder tako-NAME (default: the current one)",
    )
    add_json(parser)


def _setup(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what", choices=["embedded"], metavar="embedded", help="the small model that runs on your machine (93 MB)"
    )
    add_json(parser)


COMMANDS: dict[str, Command] = {
    "chat": CHAT,
    "conduct": Command(
        "split a task among several models, as [conductor] in tako.toml says", _conduct, CONDUCT_EXAMPLES
    ),
    "logs": LOGS,
    "templates": TEMPLATES,
    "keys": KEYS,
    "models": Command("list the models of a vendor or a server", _models, MODELS_EXAMPLES, module="listing"),
    "tokens": Command("count the tokens of a prompt; no answer is requested", _tokens, TOKENS_EXAMPLES),
    "capabilities": Command(
        "show what a model can do, what it costs, and where tako knows that from", _capabilities, CAPABILITIES_EXAMPLES
    ),
    "doctor": Command(
        "check each provider's plugin, key and endpoint, and tell you what to do next",
        _named_providers,
        DOCTOR_EXAMPLES,
        DOCTOR_NOTES,
    ),
    "providers": Command("list installed providers and plugins, and what's broken", _providers, PROVIDERS_EXAMPLES),
    "plugins": Command(
        "show which plugins each provider uses, in order, and what they do", _named_providers, PLUGINS_EXAMPLES
    ),
    "trust": Command("let tako use the tako.toml of a folder", _trust, TRUST_EXAMPLES, TRUST_NOTES),
    "completion": COMPLETION,
    "setup": Command("download the embedded model", _setup, SETUP_EXAMPLES),
    "new-plugin": Command("write a plugin for a new provider, with tests", _new_plugin, NEW_PLUGIN_EXAMPLES),
}
