"""Content in the conventions' shapes: a list of messages as JSON text, each with a role and parts.

https://github.com/open-telemetry/semantic-conventions-genai, model/gen-ai/gen-ai-input-messages.json and the like.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

import msgspec

from tako.parts import (
    FileIdPart,
    FilePart,
    FileUrlPart,
    ImagePart,
    ImageUrlPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
    media_kind,
)
from tako.types import Role, VendorTool

if TYPE_CHECKING:
    from tako.types import ChatRequest, ChatResponse, Message, Tool


def system_instructions(request: ChatRequest) -> str | None:
    """Return the texts of the system messages at the beginning, or None if there are none."""
    texts = [part for message in _instructions(request) for part in message.parts if isinstance(part, TextPart)]
    return _text([_part(part) for part in texts]) if texts else None


def input_messages(request: ChatRequest) -> str:
    """Return the conversation without these. A later system message stays in its place."""
    return _text([_message(message) for message in request.messages[len(_instructions(request)) :]])


def output_messages(response: ChatResponse, *, old_names: bool = False) -> str:
    """Return the reply. In version 1.41 it contains the finish reason, too."""
    finish = {"finish_reason": response.finish_reason.value} if old_names else {}
    return _text([{**_message(response.message), **finish}])


def tool_definitions(request: ChatRequest) -> str:
    """Return the tools of the request."""
    return _text([_definition(tool) for tool in request.tools])


def _definition(tool: Tool | VendorTool) -> dict[str, Any]:
    if isinstance(tool, VendorTool):
        return {"type": "extension", "name": tool.name}
    return {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.input_schema}


def _instructions(request: ChatRequest) -> list[Message]:
    """Return the system messages at the start that only have text; other parts would be lost there."""
    return [*takewhile(_is_instruction, request.messages)]


def _is_instruction(message: Message) -> bool:
    return message.role is Role.SYSTEM and all(isinstance(part, TextPart) for part in message.parts)


def _message(message: Message) -> dict[str, Any]:
    return {"role": str(message.role), "parts": [_part(part) for part in message.parts]}


def _part(part: Part) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind
    match part:
        case TextPart():
            return {"type": "text", "content": part.text}
        case ReasoningPart():
            return {"type": "reasoning", "content": part.text}
        case ToolCallPart():
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.args}
        case ToolResultPart():
            return {"type": "tool_call_response", "id": part.id, "response": part.result}
        case ImagePart() | FilePart():
            return {"type": "blob", "modality": media_kind(part), "mime_type": part.mime, "content": part.data_b64}
        case ImageUrlPart() | FileUrlPart():
            return {"type": "uri", "modality": media_kind(part), "mime_type": part.mime, "uri": part.url}
        case FileIdPart():
            return {"type": "file", "modality": media_kind(part), "mime_type": part.mime, "file_id": part.id}
        case VendorPart():
            return {"type": "generic", "generic_type": part.kind}
        case _:  # a part that a plugin has added
            return {"type": "generic", "generic_type": type(part).__struct_config__.tag}


def _text(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=repr).decode()
