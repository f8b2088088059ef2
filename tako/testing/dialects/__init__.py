"""Scripted vendors, one dialect for each wire.

::

    with scripted("completions", Script(text="Hello"), COMPLETIONS.refuse(429)) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url)
        ...
        assert COMPLETIONS.read(server.requests[0]).of("text")[0].value == "Hi"

An answer is a Script (whole or streamed, as the client asks), a Reply of `tako.testing.server`, or a callable that
takes the request and returns one of these.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tako.testing.dialects.completions import Completions
from tako.testing.dialects.converse import Converse
from tako.testing.dialects.dialect import Asked, Dialect, Seen
from tako.testing.dialects.gemini import Gemini
from tako.testing.dialects.in_process import InProcess, stage_at
from tako.testing.dialects.messages import Messages
from tako.testing.dialects.ollama import Ollama
from tako.testing.dialects.responses import Responses
from tako.testing.script import Call, Script

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tako.testing.dialects.dialect import Answer
    from tako.testing.server import Server

COMPLETIONS = Completions()
MESSAGES = Messages()
CONVERSE = Converse()
GEMINI = Gemini()
OLLAMA = Ollama()
IN_PROCESS = InProcess()
RESPONSES = Responses()
DIALECTS: dict[str, Dialect] = {
    one.name: one for one in (COMPLETIONS, MESSAGES, CONVERSE, GEMINI, OLLAMA, RESPONSES, IN_PROCESS)
}

__all__ = [
    "COMPLETIONS",
    "CONVERSE",
    "DIALECTS",
    "GEMINI",
    "IN_PROCESS",
    "MESSAGES",
    "OLLAMA",
    "RESPONSES",
    "Asked",
    "Call",
    "Dialect",
    "Script",
    "Seen",
    "find_dialect",
    "scripted",
    "stage_at",
]


def find_dialect(name_or_dialect: str | Dialect) -> Dialect:
    """Return a dialect by its name, or your own: an object of it, or "MODULE:CLASS".

    Raises TypeError if there is no such dialect, and what the import of the module raises.
    """
    if not isinstance(name_or_dialect, str):
        return name_or_dialect
    if name_or_dialect in DIALECTS:
        return DIALECTS[name_or_dialect]
    module, colon, name = name_or_dialect.partition(":")
    author_dialect: Any = getattr(import_module(module), name, None) if colon else None
    dialect = author_dialect() if isinstance(author_dialect, type) else author_dialect
    if not isinstance(dialect, Dialect):
        names = ", ".join(DIALECTS)
        raise TypeError(f"there is no dialect {name_or_dialect!r}; the names are {names}, or MODULE:CLASS for your own")
    return dialect


def scripted(dialect: str | Dialect, *answers: Answer) -> AbstractContextManager[Server]:
    """Run a scripted vendor that gives these answers in turn, the last one for ever."""
    return find_dialect(dialect).serve(*answers)
