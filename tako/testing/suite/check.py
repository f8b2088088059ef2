"""What a check is, how its outcome is told, and the words in which it fails."""

from __future__ import annotations

import re
import unittest
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ABILITIES = {
    "scripted": "its answers can be scripted: there is a dialect",
    "http": "it speaks over HTTP, so that replies can be refused, redirected and compressed",
    "bytes": "its replies are bytes, over HTTP or not, so that they can be cut, split and held back",
    "streaming": "replies come in pieces",
    "tools": "tools can be offered and called",
    "images": "images go out inline",
    "reasoning": "reasoning comes apart from the text",
    "state": "opaque state of the vendor's goes back",
    "notices": "what the wire can't carry is left out with a notice",
    "retries": "calls that failed for a reason that passes are repeated",
    "key": "it has a key, which nobody may see",
    "pickle": "the provider itself can be pickled",
}
"""What a provider may lack. ``not_applicable`` takes these names, or the names of single checks, each with a reason."""


class NotApplicable(unittest.SkipTest):
    """A check does not apply, for the reason that the author gave (pytest takes it for a skip)."""


class CheckFailed(AssertionError):  # noqa: N818 - it is an outcome
    """A promise is broken; the text says which and how."""


class Check(Struct, frozen=True):
    """One check: ``promise`` is what it proves, ``needs`` the abilities without which it does not apply."""

    name: str
    promise: str
    needs: tuple[str, ...]
    group: str
    body: Any


CHECKS: dict[str, Check] = {}
"""Every check of the suite, in order. What is in here must be in a suite, as it is."""


def check(*needs: str) -> Callable[[Callable[[Any], Awaitable[None]]], Callable[[Any], None]]:
    """Make a check of an async method: a plain test method that runs it on an event loop of its own."""

    def mark(body: Callable[[Any], Awaitable[None]]) -> Callable[[Any], None]:
        name = body.__name__.removeprefix("test_")
        group = body.__module__.rpartition(".")[2]
        check_of_method = Check(name, re.sub(r"\s+", " ", body.__doc__ or "").strip(), needs, group, body)
        CHECKS[name] = check_of_method

        def run(self: Any) -> None:
            self.run_check(check_of_method)

        run.__name__, run.__qualname__, run.__doc__ = body.__name__, body.__qualname__, body.__doc__
        run.__module__ = body.__module__
        return run

    return mark


def expect(condition: object, message: str) -> None:
    """Fail with what is said unless it holds."""
    if not condition:
        raise CheckFailed(message)


def expect_equal(actual: Any, expected: Any, subject: str) -> None:
    """Fail where two values differ, showing both."""
    if actual != expected:
        raise CheckFailed(f"{subject}: found {shortened(actual)}, wanted {shortened(expected)}")


def shortened(value: Any) -> str:
    """Return a value's repr, its middle left out where it is long."""
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:300]} … {text[-300:]}"  # noqa: PLR2004 - fits a screen
