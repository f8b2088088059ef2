"""``tako completion``: a script for the shell, and the completions that it shows."""

from __future__ import annotations

import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from tako.cli.arguments import OWN_OPTIONS, UsageError, command_summaries, parser_of
from tako.json_values import as_object

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SCRIPTS = {
    "bash": """\
_tako() {
  local IFS=$'\\n' line="${COMP_LINE:0:COMP_POINT}" last words
  last="${line##*[[:space:]]}"
  IFS=$' \\t\\n' read -ra words <<< "${line%"$last"}"
  COMPREPLY=($(compgen -W "$(tako completion words -- "${words[@]:1}" "$last" 2>/dev/null)" -- "$last"))
  [[ "$last" == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${last%"${last##*:}"}"}")
  [[ -n "${COMPREPLY[0]}" ]] || COMPREPLY=($(compgen -f -- "$last"))
}
complete -o nospace -F _tako tako
""",
    "zsh": """\
_tako() {
  local -a found
  found=("${(@f)$(tako completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  [[ -n "$found" ]] && compadd -a found || _files
}
compdef _tako tako
""",
    "fish": """\
complete -c tako -f -a '(tako completion words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
complete -c tako -F -n 'string match -qr "^(-[fict]|--(file|image|config|schema|into))$" -- (commandline -opc)[-1]'
""",
}
MODELS = ("model", "provider", "names")
"""Arguments that are a model's id or a provider's name."""


def run(options: Namespace) -> int:
    """Run the command."""
    if options.shell == "words":
        sys.stdout.writelines(f"{candidate}\n" for candidate in completions(options.words))
    else:
        sys.stdout.write(SCRIPTS[options.shell])
    return 0


def completions(line: list[str]) -> list[str]:
    """Return completions of the last word of a command; nothing if it's a file or a text."""
    *preceding, last_word = line or [""]
    if not preceding:
        return [
            candidate for candidate in ("help", *command_summaries(), *OWN_OPTIONS) if candidate.startswith(last_word)
        ]
    try:
        parser = parser_of("chat" if preceding[0].startswith("-") else preceding[0])
    except UsageError:
        return []
    for name in preceding[1:]:
        parser = _actions(parser).get(name, parser)
    return list(
        dict.fromkeys(
            candidate for candidate in _candidates(parser, preceding[-1], last_word) if candidate.startswith(last_word)
        )
    )


def _candidates(parser: ArgumentParser, previous: str, last_word: str) -> list[str]:
    """List what may follow a word: values of an option, options, or arguments of the command."""
    option = next((argument for argument in parser._actions if previous in argument.option_strings), None)  # noqa: SLF001
    if option is not None and option.nargs != 0 and not last_word.startswith("-"):
        return _argument_values(option)
    if last_word.startswith("-"):
        return [text for argument in parser._actions for text in argument.option_strings if text.startswith("--")]  # noqa: SLF001
    candidates = list(_actions(parser))
    for argument in parser._actions:  # noqa: SLF001
        if not argument.option_strings:
            candidates += _argument_values(argument)
    return candidates


def _argument_values(argument: Any) -> list[str]:
    if argument.choices:
        return list(argument.choices)
    if argument.dest in MODELS:
        from tako.cli.model_ids import model_ids
        from tako.discovery import provider_entries

        entries = [entry.name for entry in provider_entries()]
        return model_ids() if argument.dest == "model" else entries
    if argument.dest in ("resumed", "id", "ids"):
        return _conversation_ids()
    if argument.dest == "template":
        from tako.presets import user_templates

        return list(user_templates())
    return []


def _conversation_ids() -> list[str]:
    from tako.cli.resumption import open_log
    from tako.errors import TakoError

    with suppress(TakoError), ExitStack() as stack:
        log = open_log(stack)
        if log is not None:
            return list(reversed(log.ids()))
    return []


def _actions(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    """Return the parsers of a command's actions, by name."""
    actions: list[Any] = parser._actions  # noqa: SLF001 - argparse has no public way to walk a parser
    choices = (as_object(action.choices) for action in actions)
    parsers: dict[str, ArgumentParser] = next((table for table in choices if table is not None), dict[str, Any]())
    return parsers
