"""The translator, and the chat and stream functions, of a plugin whose vendor speaks the dialect."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tako.kit.exchange import chat_through, stream_through
from tako.kit.responses.blocks import decode_block, encode_part
from tako.kit.responses.reply import decode_reply
from tako.kit.responses.stream import ResponsesDecoder
from tako.translator import Translator

if TYPE_CHECKING:
    from tako.hookspecs import Chat, Stream
    from tako.kit.exchange import Prepare
    from tako.kit.http import HttpProvider


def translator() -> Translator:
    """Make the dialect's translator, for ``tako_translator``."""
    return Translator(encode_part, decode_block)


def responses_chat(provider: HttpProvider, translator: Translator, prepare: Prepare) -> Chat:
    """Make the chat function, for ``tako_chat``; ``prepare(request, False)`` encodes."""
    return chat_through(provider, prepare, partial(decode_reply, provider=provider, translator=translator))


def responses_stream(
    provider: HttpProvider, translator: Translator, prepare: Prepare, *, require_finish: bool = True
) -> Stream:
    """Make the stream function, for ``tako_stream``; ``prepare(request, True)`` encodes.

    A server that answers with one JSON document is understood, too. ``require_finish``: see ResponsesDecoder.
    """
    return stream_through(
        provider,
        prepare,
        lambda _, exchange: ResponsesDecoder(provider, exchange, translator, require_finish=require_finish),
        partial(decode_reply, provider=provider, translator=translator),
    )
