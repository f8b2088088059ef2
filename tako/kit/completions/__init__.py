"""The Chat Completions dialect: OpenAI's wire, and that of everyone who speaks it.

``encode`` makes request bodies, ``decode`` reads whole replies, ``stream`` reads streamed ones, ``exchange`` has the
functions that two of the hooks return. A plugin whose vendor differs says how in a ``Dialect``.
"""

from tako.kit.completions.decode import decode_reply
from tako.kit.completions.dialect import Dialect, for_openai
from tako.kit.completions.encode import encode_request, translator_for
from tako.kit.completions.exchange import chat_completions, stream_completions
from tako.kit.completions.stream import CompletionsDecoder

__all__ = [
    "CompletionsDecoder",
    "Dialect",
    "chat_completions",
    "decode_reply",
    "encode_request",
    "for_openai",
    "stream_completions",
    "translator_for",
]
