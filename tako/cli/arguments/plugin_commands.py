"""Commands of other distributions: entry points of the group ``tako.commands``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tako.cli.arguments import COMMANDS, Parser, add_debug
from tako.cli.terminal import printable
from tako.discovery import command_entries, exclusion_reason

if TYPE_CHECKING:
    from argparse import ArgumentParser


def plugin_commands() -> dict[str, str]:
    """Return these commands with a line about each, from the metadata of its distribution; nothing is imported."""
    return {name: _summary(claims) for name, claims in _claims().items()}


def plugin_parser(name: str) -> ArgumentParser | None:
    """Import a command, and let it add its arguments to a parser. Raises PluginError."""
    entries = _claims().get(name)
    if entries is None:
        return None
    from tako.errors import PluginError
    from tako.hooks.failures import is_interrupt

    if len({entry.distribution for entry in entries}) > 1:
        raise PluginError(f"the command {name!r} is claimed by {' and '.join(map(repr, entries))}")
    parser = Parser(f"tako {name}")
    add_debug(parser)
    try:
        entries[0].load()(parser)
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise PluginError(f"the command of {entries[0]!r} is broken: {type(error).__name__}: {error}") from error
    return parser


def _summary(claims: list[Any]) -> str:
    """Return what a command's distribution says of itself, and its name."""
    summaries = {entry.distribution: printable(entry.summary).rstrip(".") for entry in claims}
    owners, summary = " and ".join(sorted(summaries)), summaries[claims[0].distribution]
    return (
        f"{summary[0].lower()}{summary[1:]} (from {owners})"
        if summary and len(summaries) == 1
        else f"added by {owners}"
    )


def _claims() -> dict[str, list[Any]]:
    """Return the entry points of each name, without the names of tako's own commands."""
    claims: dict[str, list[Any]] = {}
    for entry in command_entries():
        if exclusion_reason(entry) is None and entry.problem is None and entry.name not in COMMANDS:
            claims.setdefault(entry.name, []).append(entry)
    return claims
