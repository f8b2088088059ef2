"""``tako keys``: store, list and delete keys. Keys are never shown."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

from tako.cli.arguments import UsageError
from tako.cli.keychain import KEYRING, remove_key, store_key, stored_keys, variable_for
from tako.cli.run import FAILED, print_to_stderr
from tako.cli.session import print_json
from tako.cli.table import print_rows
from tako.discovery import find_provider
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from argparse import Namespace

VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def run(options: Namespace) -> int:
    """Run the command."""
    if options.action == "list":
        return _print_keys(as_json=options.json)
    variable = variable_of(options.name)
    if options.action == "remove":
        is_done = remove_key(variable)
        location = ""
        text = f"the key for {variable} is deleted" if is_done else f"no key is stored for {variable}"
    else:
        is_done, location = True, store_key(variable, _read_key(variable))
        text = f"the key for {variable} is stored in {location}"
    if options.json:
        print_json({"variable": variable, "done": is_done, "place": location})
    else:
        print_to_stderr(f"tako: {text}")
    if os.environ.get(variable) and options.action == "set":
        print_to_stderr(f"tako: the environment variable {variable} is set, and wins over the stored key")
    return 0 if is_done else FAILED


def variable_of(name: str) -> str:
    """Return the variable of a provider's key. The name may also be a variable's. Raises UsageError."""
    if VARIABLE.fullmatch(name):
        return name
    if find_provider(name) is None:
        raise UsageError(f"{name!r} is neither an installed provider nor a variable such as OPENAI_API_KEY")
    variable = variable_for(PLUGINS.provider_class(name))
    if not variable:
        raise UsageError(
            f"{name} doesn't look for a key in a variable; choose a variable, such as MY_KEY, and use $ENV:MY_KEY"
        )
    return variable


def _read_key(variable: str) -> str:
    """Ask for a key without showing it, or read it from a pipe."""
    if sys.stdin.isatty():
        from getpass import getpass

        try:
            key = getpass(f"Key for {variable}: ")
        except EOFError:
            raise UsageError("you entered no key; nothing has changed") from None
    else:
        try:
            key = sys.stdin.read()
        except UnicodeError:
            raise UsageError("the key isn't UTF-8 text") from None
    key = key.strip()
    if not key or any(not character.isprintable() for character in key):
        raise UsageError("the key is empty or contains control characters")
    return key


def _print_keys(*, as_json: bool) -> int:
    rows: list[dict[str, Any]] = [
        {
            "variable": variable,
            "place": "the system's keyring" if location == KEYRING else "the file",
            "used": "no, the environment variable is set" if os.environ.get(variable) else "yes",
        }
        for variable, location in sorted(stored_keys().items())
    ]
    if rows or as_json:
        print_rows(rows, as_json=as_json)
    else:
        print_to_stderr("tako: no keys are stored; try: tako keys set openai")
    return 0
