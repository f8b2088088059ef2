"""The Messages dialect: Anthropic's wire, and that of everyone who speaks it.

- Parts and tools to blocks and back: ``encode_part``, ``encode_tool``, ``decode_block``; ``translator`` is the pair.
- A request: ``encode_request`` makes the whole body, by what the model's family takes. Its steps are ``arrange``, which
  puts blocks in turns, by the rules in ``BLOCKS``, ``BETWEEN`` (for models that take system messages between turns) or
  ``COMPATIBLE`` (for servers of others), ``content``, ``declared``, ``tool_fields`` and ``parameters``.
- A reply: ``decode_reply`` reads a whole one, ``MessagesDecoder`` a stream.
"""

from tako.kit.messages.body import encode_request
from tako.kit.messages.decode import decode_block
from tako.kit.messages.encode import encode_part, encode_tool
from tako.kit.messages.reply import decode_reply
from tako.kit.messages.request import parameters, tool_choice, tool_fields, tool_items
from tako.kit.messages.stream import MessagesDecoder
from tako.kit.messages.turns import BETWEEN, BLOCKS, COMPATIBLE, arrange, content
from tako.translator import Translator

translator = Translator(encode_part, decode_block)
"""The dialect's translation of content."""

__all__ = [
    "BETWEEN",
    "BLOCKS",
    "COMPATIBLE",
    "MessagesDecoder",
    "arrange",
    "content",
    "decode_block",
    "decode_reply",
    "encode_part",
    "encode_request",
    "encode_tool",
    "parameters",
    "tool_choice",
    "tool_fields",
    "tool_items",
    "translator",
]
