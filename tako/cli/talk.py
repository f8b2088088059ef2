"""A conversation on a terminal."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from tako.cli.run import complain
from tako.errors import ProviderError, TakoError
from tako.parts import ContentPart
from tako.types import Message

if TYPE_CHECKING:
    from tako.cli.chat import Session
    from tako.types import Part


def talk(session: Session, images: list[Part]) -> int:
    """Ask and answer until the user leaves. An error ends a turn, not the conversation; so does Ctrl-C."""
    with suppress(ImportError):
        import_module("readline")  # gives `input` its editing keys and its history
    sys.stderr.write(f"{session.provider.id}: Ctrl-D leaves, Ctrl-C stops an answer.\n")
    with asyncio.Runner() as runner:
        try:
            while (line := _line()) is not None:
                if line.strip():
                    content: list[Part] = [*images, ContentPart.text(line)]
                    images = [] if _turn(session, Message.user(content), runner) else images
        finally:
            runner.run(session.provider.aclose())
    return 0


def _turn(session: Session, message: Message, runner: asyncio.Runner) -> bool:
    """Answer one line; returns whether that went well."""
    try:
        runner.run(session.ask(message))
    except KeyboardInterrupt:
        complain("tako: stopped; that turn is forgotten")
        return False
    except TakoError as error:
        complain(f"tako: {error}")
        if not isinstance(error, ProviderError):
            raise
        return False
    return True


def _line() -> str | None:
    """Read a line; None where the user has left."""
    try:
        return input("\n> ")
    except EOFError:
        sys.stderr.write("\n")
        return None
