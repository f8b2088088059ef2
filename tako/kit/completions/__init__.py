"""The Chat Completions dialect: OpenAI's wire, and that of everyone who speaks it.

``CompletionsProvider`` is a whole plugin for such a vendor: its subclass says in a ``Dialect`` how the wire differs.
``encode_request`` makes request bodies, ``decode_reply`` reads whole replies, ``CompletionsDecoder`` streamed ones.
``chat_completions`` and ``stream_completions`` make the functions that two of the hooks return.
"""

from tako.kit.completions.decode import decode_reply
from tako.kit.completions.dialect import Dialect, for_openai
from tako.kit.completions.encode import encode_request, translator_for
from tako.kit.completions.exchange import chat_completions, stream_completions
from tako.kit.completions.provider import CompletionsProvider
from tako.kit.completions.stream import CompletionsDecoder

__all__ = [
    "CompletionsDecoder",
    "CompletionsProvider",
    "Dialect",
    "chat_completions",
    "decode_reply",
    "encode_request",
    "for_openai",
    "stream_completions",
    "translator_for",
]
