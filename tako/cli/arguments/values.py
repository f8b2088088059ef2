"""Types of values on the command line, for argparse."""

from __future__ import annotations

from argparse import ArgumentTypeError
from math import isnan, nan


def number(text: str) -> float:
    """Read a number of the command line."""
    try:
        value = float(text)
    except ValueError:
        value = nan
    if isnan(value):
        raise ArgumentTypeError(f"{text!r} isn't a number")
    return value


def whole_number(text: str) -> int:
    """Read a whole number of the command line."""
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} isn't a whole number") from None


def count(text: str) -> int:
    """Read a whole number, 0 or more."""
    value = whole_number(text)
    if value < 0:
        raise ArgumentTypeError(f"{text} is below 0")
    return value


def effort(text: str) -> int | str:
    """Read a level of reasoning, or a number of tokens."""
    return int(text) if text.isdecimal() else text


def parameter(text: str) -> tuple[str, str]:
    """Read a template's NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ArgumentTypeError(f"a parameter is NAME=VALUE, as in language=French, not {name!r}")
    return name, value
