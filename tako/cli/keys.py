"""``tako keys``: keep keys, list what they are for, forget them. No key is ever shown."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

from tako.cli.arguments import UsageError
from tako.cli.keychain import KEYRING, forget, keep, stored, variable_for
from tako.cli.run import FAILED, complain
from tako.cli.session import print_json
from tako.cli.table import show
from tako.discovery import find_provider
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace

VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def run(options: Namespace) -> int:
    """Carry out the command."""
    if options.action == "list":
        return _list(as_json=options.json)
    variable = variable_of(options.name)
    if options.action == "remove":
        done = forget(variable)
        place = ""
        text = f"{variable} is forgotten" if done else f"no key is kept for {variable}"
    else:
        done, place = True, keep(variable, _read_key(variable))
        text = f"{variable} is kept in {place}"
    if options.json:
        print_json({"variable": variable, "done": done, "place": place})
    else:
        complain(f"tako: {text}")
    if os.environ.get(variable) and options.action == "set":
        complain(f"tako: the variable {variable} is set, and it wins")
    return 0 if done else FAILED


def variable_of(name: str) -> str:
    """Return the variable that has a provider's key; a variable's own name is one. Raises UsageError."""
    if VARIABLE.fullmatch(name):
        return name
    if find_provider(name) is None:
        raise UsageError(f"{name!r} is neither an installed provider nor a variable, as in OPENAI_API_KEY")
    variable = variable_for(PLUGINS.provider_class(name))
    if not variable:
        raise UsageError(f"{name} takes no key of its own; name the variable, as in MY_KEY, and use $ENV:MY_KEY")
    return variable


def _read_key(variable: str) -> str:
    """Ask for a key without showing it, or read it from a pipe."""
    if sys.stdin.isatty():
        from getpass import getpass

        try:
            key = getpass(f"Key for {variable}: ")
        except EOFError:
            raise UsageError("no key was given, and nothing has changed") from None
    else:
        try:
            key = sys.stdin.read()
        except UnicodeError:
            raise UsageError("the key isn't UTF-8 text") from None
    key = key.strip()
    if not key or any(not one.isprintable() for one in key):
        raise UsageError("the key is empty, or has control characters")
    return key


def _list(*, as_json: bool) -> int:
    rows: list[dict[str, Any]] = [
        {
            "variable": variable,
            "place": "the system's keyring" if place == KEYRING else "the file",
            "used": "no, the variable is set" if os.environ.get(variable) else "yes",
        }
        for variable, place in sorted(stored().items())
    ]
    if rows or as_json:
        show(rows, as_json=as_json)
    else:
        complain("tako: no keys are kept; tako keys set openai would keep one")
    return 0
