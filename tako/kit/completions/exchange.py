"""The chat and stream functions of a plugin whose vendor speaks the dialect."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tako.kit.completions.decode import decode_reply
from tako.kit.completions.stream import CompletionsDecoder
from tako.kit.exchange import chat_through, stream_through

if TYPE_CHECKING:
    from tako.hookspecs import Chat, Stream
    from tako.kit.completions.dialect import Dialect
    from tako.kit.exchange import Prepare
    from tako.kit.http import HttpProvider
    from tako.translator import Translator


def chat_completions(
    provider: HttpProvider, translator: Translator, prepare: Prepare, dialect: Dialect | None = None
) -> Chat:
    """Make the chat function, for ``tako_chat``; ``prepare(request, False)`` encodes."""
    return chat_through(
        provider, prepare, partial(decode_reply, provider=provider, translator=translator, dialect=dialect)
    )


def stream_completions(
    provider: HttpProvider, translator: Translator, prepare: Prepare, dialect: Dialect | None = None
) -> Stream:
    """Make the stream function, for ``tako_stream``; ``prepare(request, True)`` encodes.

    A server that answers with one JSON document is understood, too.
    """
    return stream_through(
        provider,
        prepare,
        lambda _, exchange: CompletionsDecoder(provider, exchange, translator, dialect),
        partial(decode_reply, provider=provider, translator=translator, dialect=dialect),
    )
