"""The Responses dialect: OpenAI's current wire, and that of everyone who speaks it.

``blocks`` turns parts into items and back, ``turns`` puts the items of a conversation in order, ``request`` makes
bodies, ``reply`` reads whole replies and ``stream`` streamed ones; ``exchange`` has what the hooks return, and
``provider`` is a whole plugin.

Nothing is stored on the vendor's side: every request holds the whole conversation, with the model's own items as they
came (https://platform.openai.com/docs/guides/conversation-state).
"""

from tako.kit.responses.blocks import decode_block, encode_part
from tako.kit.responses.exchange import responses_chat, responses_stream, translator
from tako.kit.responses.provider import Api, ResponsesProvider, check_api
from tako.kit.responses.reply import decode_reply
from tako.kit.responses.request import encode_request
from tako.kit.responses.stream import ResponsesDecoder

__all__ = [
    "Api",
    "ResponsesDecoder",
    "ResponsesProvider",
    "check_api",
    "decode_block",
    "decode_reply",
    "encode_part",
    "encode_request",
    "responses_chat",
    "responses_stream",
    "translator",
]
