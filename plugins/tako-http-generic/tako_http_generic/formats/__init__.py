"""The formats of messages and parameters that ``messages_format`` names.

``native`` is tako's own, ``completions`` has OpenAI's and Ollama's, ``anthropic`` has Anthropic's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tako.kit.messages import encode_part
from tako_http_generic.formats.anthropic import anthropic_values
from tako_http_generic.formats.completions import encode_ollama, encode_openai, ollama_values, openai_values
from tako_http_generic.formats.native import encode_native, native_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako import ChatRequest
    from tako.translator import Encode, PartContext, Translator
    from tako_http_generic.settings import Format


class EncodeRequest(Protocol):
    """Encodes messages and parameters. With ``separate_system``, system messages are the value ``system``."""

    def __call__(
        self, request: ChatRequest, translator: Translator, context: PartContext, *, separate_system: bool
    ) -> dict[str, Any]:
        """Return values by the names of their placeholders, without those that the request doesn't have."""
        ...


REQUEST_ENCODERS: Mapping[Format, EncodeRequest] = {
    "tako": native_values,
    "openai": openai_values,
    "anthropic": anthropic_values,
    "ollama": ollama_values,
}
"""From a request to the values of placeholders."""
PART_ENCODERS: Mapping[Format, Encode] = {
    "tako": encode_native,
    "openai": encode_openai,
    "anthropic": encode_part,
    "ollama": encode_ollama,
}
"""From a part to its block."""
