"""The Chat Completions dialect: OpenAI's wire, and that of everyone who speaks it.

``encode`` makes request bodies, ``decode`` reads whole replies, ``stream`` reads streamed ones. A plugin whose vendor
differs says how in a ``Dialect``.
"""

from tako.kit.completions.decode import decode_reply
from tako.kit.completions.dialect import Dialect, for_openai
from tako.kit.completions.encode import encode_request, translator_for
from tako.kit.completions.stream import CompletionsDecoder

__all__ = ["CompletionsDecoder", "Dialect", "decode_reply", "encode_request", "for_openai", "translator_for"]
