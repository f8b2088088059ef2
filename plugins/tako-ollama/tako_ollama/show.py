"""What a server tells of a model by ``/api/show`` (https://docs.ollama.com/api/show)."""

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


class Shown(Struct):
    """The fields that tako uses. ``parameters`` is the model file's text, a parameter a line."""

    capabilities: list[str] | None = None
    model_info: dict[str, Any] | None = None
    parameters: str | None = None


SHOWN = msgspec.json.Decoder(Shown)


def read_show(body: bytes, options: Mapping[str, Any], known: Capabilities) -> Capabilities:
    """Read what a model can do, over what is ``known``; old servers tell the context's length alone."""
    shown = decode_json(body, SHOWN)
    found: dict[str, Any] = {}
    if shown.capabilities is not None:
        found["supports_tools"] = "tools" in shown.capabilities
        found["supports_vision"] = "vision" in shown.capabilities
    context = context_length(shown, options)
    if context is not None:
        found["max_context_tokens"] = context
    return replace(known, **found, origins={**known.origins, **dict.fromkeys(found, ORIGIN)})


def context_length(shown: Shown, options: Mapping[str, Any]) -> int | None:
    """Return the tokens of the context: as the provider or the model file sets it, else the most that was trained."""
    info = shown.model_info or {}
    written = _NUM_CTX.search(shown.parameters or "")
    trained = info.get(f"{info.get('general.architecture')}.context_length")
    found = [options.get("num_ctx"), int(written[1]) if written else None, trained]
    return next((size for size in found if isinstance(size, int) and size > 0), None)
