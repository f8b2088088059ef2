"""A whole Chat Completions reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tako.errors import ResponseError
from tako.fold import arguments
from tako.kit.body import decode_any, decode_json, excerpt
from tako.kit.completions.dialect import finish_reason
from tako.kit.completions.media import image_blocks
from tako.kit.completions.shapes import REPLY, Call, Content, content_blocks, fragment, usage_of
from tako.kit.failures import facts_of
from tako.loose import text_of
from tako.parts import ImagePart, ImageUrlPart, Part, ReasoningPart, TextPart, ToolCallPart
from tako.types import ChatResponse, Message, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.kit.exchange import Exchange
    from tako.kit.failures import Reporter
    from tako.kit.http import HttpProvider
    from tako.translator import Translator


def decode_reply(
    body: bytes, exchange: Exchange, provider: Reporter | HttpProvider, translator: Translator
) -> ChatResponse:
    """Read a reply; raises ResponseError where it is none, and the error that it reports where it does."""
    reply = decode_json(body, REPLY)
    choice = next((found for found in reply.choices or () if not found.index), None)
    error = {"error": choice.error} if choice and choice.error else decode_any(body) if reply.failed else None
    if error:
        raise provider.failure(facts_of(error), body=body.decode("utf-8", "replace"))
    if choice is None or choice.message is None:
        raise ResponseError(f"the reply has no choices: {excerpt(body)}", body=body[:4096].decode("utf-8", "replace"))
    parts = [part for block in blocks(choice.message) if (part := translator.decode(block)) is not None]
    calls = any(isinstance(part, ToolCallPart) for part in parts)
    return ChatResponse(
        message=Message(Role.ASSISTANT, parts),
        finish_reason=finish_reason(choice.finish_reason, has_calls=calls),
        usage=usage_of(reply.counts),
        model=text_of(reply.model) or exchange.body.get("model", ""),
        id=text_of(reply.id),
        notices=exchange.notices,
        raw=decode_any(body),
    )


def blocks(message: Content) -> Iterator[dict[str, Any]]:
    """List a message's blocks: ``{"type": "reasoning" | "text", "text"}`` and calls as the wire has them."""
    content = content_blocks(message.content)
    kinds = {block["type"] for block in content}
    thoughts = message.reasoning_content or message.reasoning
    if thoughts and "reasoning" not in kinds:
        yield {"type": "reasoning", "text": thoughts}
    yield from content
    if message.refusal and "text" not in kinds:
        yield {"type": "text", "text": message.refusal}
    yield from image_blocks(message.images)
    calls = message.tool_calls or ([Call(function=lone)] if (lone := message.lone_call) else [])
    used: set[str] = set()
    for call in calls:
        function = call.called
        if function is not None:
            id = call.id if call.id and call.id not in used else mint_id()
            used.add(id)
            inner = {"name": function.name or "", "arguments": fragment(function.arguments)}
            yield {"type": "function", "id": id, "function": inner}


def decode_block(block: Any, provider: str) -> Part | None:
    """Return the part that a block stands for."""
    match block.get("type"):
        case "text":
            return TextPart(block["text"])
        case "reasoning":
            return ReasoningPart(block["text"], block.get("signature"), provider)
        case "image_url":
            url = block["image_url"]["url"]
            head, _, data = url.partition(";base64,")
            return ImagePart(head.removeprefix("data:"), data) if data else ImageUrlPart(url)
        case "function":
            function = block["function"]
            return ToolCallPart(block["id"], function["name"], arguments(function["arguments"]))
        case _:
            return None


def mint_id() -> str:
    """Make an id for a call that came without one."""
    return f"call_{uuid4().hex[:24]}"
