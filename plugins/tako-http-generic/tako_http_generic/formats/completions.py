"""The formats "openai" (messages and parameters of Chat Completions) and "ollama" (three differences from it)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tako import notices
from tako.json_values import as_array, as_object
from tako.kit.completions import encode_request
from tako.kit.completions.dialect import Dialect
from tako.kit.completions.encode import encode_part
from tako.kit.files import FETCHING, is_data_url, is_fetched, read_media
from tako.kit.schemas import OPENAI
from tako.parts import FileUrlPart, ImageUrlPart, Part, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from tako import ChatRequest
    from tako.translator import PartContext, Translator

WIRE = replace(OPENAI, vendor="the server", needs_json_in_prompt=False)
DIALECT = Dialect(wire=WIRE)
OLLAMA = Dialect(wire=WIRE, file=lambda _: None)
FIELDS = {DIALECT.max_tokens: "max_tokens", DIALECT.reasoning_effort: "reasoning"}


def encode_openai(part: Part, context: PartContext) -> Any:
    """Return the block of one part."""
    return encode_part(part, context, DIALECT)


def encode_ollama(part: Part, context: PartContext) -> Any:
    """Return the block of one part. Ollama fetches no URLs, and needs arguments as objects."""
    if isinstance(part, (ImageUrlPart, FileUrlPart)) and not is_data_url(part):
        media = read_media(part, context)
        fetched = media is not None and is_fetched(media, part, context)
        return {"type": "text", "text": FETCHING} if fetched else None
    block = encode_part(part, context, OLLAMA)
    if isinstance(part, ToolCallPart) and block is not None:
        args = as_object(part.args)
        if args is None and part.args not in (None, ""):
            context.notice(notices.CHANGED_PART, "the arguments aren't a JSON object, so they were sent inside one")
            args = {"arguments": part.args}
        block["function"]["arguments"] = args or {}
    if isinstance(part, ToolResultPart) and block is not None:
        name = _tool_name(part.id, context)
        return {**block, "tool_name": name} if name is not None else block
    return block


def openai_values(
    request: ChatRequest, translator: Translator, context: PartContext, *, separate_system: bool
) -> dict[str, Any]:
    """Return messages and parameters as Chat Completions has them."""
    body = encode_request(request, "", translator, context, DIALECT, stream=False)
    values = {FIELDS.get(name, name): value for name, value in body.items() if name != "model"}
    if separate_system:
        system = [message for message in values["messages"] if message["role"] == "system"]
        values["messages"] = [message for message in values["messages"] if message["role"] != "system"]
        if system:
            values["system"] = "\n\n".join(_text(message.get("content")) for message in system)
    return values


def ollama_values(
    request: ChatRequest, translator: Translator, context: PartContext, *, separate_system: bool
) -> dict[str, Any]:
    """Return messages with their images next to the text, as plain base64."""
    values = openai_values(request, translator, context, separate_system=separate_system)
    values["messages"] = [_with_images(message) for message in values["messages"]]
    response_format = values.get("response_format")
    if response_format is not None:
        is_schema = "json_schema" in response_format
        values["response_format"] = response_format["json_schema"]["schema"] if is_schema else "json"
    return values


def _with_images(message: dict[str, Any]) -> dict[str, Any]:
    blocks = as_array(message.get("content"))
    if blocks is None:
        return message
    images = [block["image_url"]["url"].partition(",")[2] for block in blocks if block.get("type") == "image_url"]
    return {**message, "content": _text(blocks), **({"images": images} if images else {})}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join([block["text"] for block in as_array(content) or [] if block.get("type") == "text"])


def _tool_name(call_id: str, context: PartContext) -> str | None:
    """Return the name of the tool that a result is from."""
    calls = [
        part
        for message in context.outgoing.messages
        for part in message.parts
        if isinstance(part, ToolCallPart) and part.id == call_id
    ]
    return calls[-1].name if calls else None
