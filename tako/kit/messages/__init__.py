"""The Messages shape: Anthropic's content blocks and turns, and those of everyone who takes them.

``encode_part`` makes the block of one part, ``encode_tool`` that of a tool. ``arrange`` puts blocks in turns,
``content`` writes one down.
"""

from tako.kit.messages.blocks import encode_part, encode_tool
from tako.kit.messages.turns import arrange, content

__all__ = ["arrange", "content", "encode_part", "encode_tool"]
