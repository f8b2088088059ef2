"""A model's capabilities from ``/api/show`` (https://docs.ollama.com/api/show)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tako.kit.body import decode_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako import Capabilities

ORIGIN = "Ollama's /api/show"
_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)\s*$", re.MULTILINE)


class ShowReply(Struct):
    """The fields that tako uses. ``parameters`` is the model file's text, with a parameter on each line."""

    capabilities: list[str] | None = None
    model_info: dict[str, Any] | None = None
    parameters: str | None = None


SHOW_REPLY = msgspec.json.Decoder(ShowReply)


def read_show(body: bytes, options: Mapping[str, Any], wire: Capabilities) -> Capabilities:
    """Return a model's capabilities over those of the API. Old servers only send the length of the context."""
    reply = decode_json(body, SHOW_REPLY)
    capabilities: dict[str, Any] = {}
    if reply.capabilities is not None:
        capabilities["supports_tools"] = "tools" in reply.capabilities
        capabilities["supports_vision"] = "vision" in reply.capabilities
    context = context_length(reply, options)
    if context is not None:
        capabilities["max_context_tokens"] = context
    return replace(wire, **capabilities, origins={**wire.origins, **dict.fromkeys(capabilities, ORIGIN)})


def context_length(reply: ShowReply, options: Mapping[str, Any]) -> int | None:
    """Return the tokens of the context: as the provider or the model file sets it, else as the model was trained."""
    info = reply.model_info or {}
    parameter = _NUM_CTX.search(reply.parameters or "")
    trained = info.get(f"{info.get('general.architecture')}.context_length")
    sizes = [options.get("num_ctx"), int(parameter[1]) if parameter else None, trained]
    return next((size for size in sizes if isinstance(size, int) and size > 0), None)
