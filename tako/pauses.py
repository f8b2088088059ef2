"""Replies that a vendor pauses: the request is sent again with the reply so far, until the reply is complete."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from tako.fold import fold
from tako.state import BLOCK_END
from tako.types import ChatResponse, Delta, End, FinishReason, Message, Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tako.hookspecs import Chat, Stream
    from tako.types import ChatRequest, Chunk

Reply = TypeVar("Reply", ChatResponse, End)

MAX_PAUSES = 8
"""How often one reply is continued."""


async def chat_through_pauses(chat: Chat, request: ChatRequest) -> list[ChatResponse]:
    """Return the replies of one turn: those that the vendor paused, and the last one."""
    replies = [await chat(request)]
    while _is_paused(replies[-1]) and len(replies) <= MAX_PAUSES:
        request = replace(request, messages=[*request.messages, replies[-1].message])
        replies.append(await chat(request))
    return replies


def stream_through_pauses(stream: Stream) -> Stream:
    """Return a stream function that continues paused replies. All of them are one stream."""

    async def chunks(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        earlier: list[End] = []
        while True:
            received: list[Chunk] = []
            paused = None
            async with aclosing(stream(request)) as stream_chunks:
                async for chunk in stream_chunks:
                    received.append(chunk)
                    if isinstance(chunk, Delta):
                        yield chunk
                    elif (paused := _paused_message(received, chunk)) is None or len(earlier) >= MAX_PAUSES:
                        yield add_earlier(earlier, chunk)
                        return
                    else:
                        earlier.append(chunk)
            if paused is None:
                return
            request = replace(request, messages=[*request.messages, paused])
            yield Delta(state=BLOCK_END)  # the next text is a part of its own

    return chunks


def join_replies(replies: list[ChatResponse]) -> ChatResponse:
    """Join the replies of one turn into one with all of their parts."""
    *earlier, last = replies
    if not earlier:
        return last
    message = Message(Role.ASSISTANT, [part for reply in replies for part in reply.message.parts])
    return add_earlier(earlier, replace(last, message=message))


def add_earlier(earlier: Sequence[Reply], last: Reply) -> Reply:
    """Return the last reply with the usage, the cost and the notices of earlier ones added."""
    if not earlier:
        return last
    cost = last.cost
    for reply in earlier:
        cost = None if cost is None or reply.cost is None else cost + reply.cost
    return replace(
        last,
        usage=sum((reply.usage for reply in earlier), last.usage),
        cost=cost,
        notices=[*(notice for reply in earlier for notice in reply.notices), *last.notices],
    )


def _paused_message(chunks: list[Chunk], end: End) -> Message | None:
    """Return the message of a paused stream, None if the stream is complete."""
    if end.finish_reason is not FinishReason.PAUSE:
        return None
    reply = fold(chunks)
    return reply.message if _is_paused(reply) else None


def _is_paused(reply: ChatResponse) -> bool:
    return reply.finish_reason is FinishReason.PAUSE and not reply.tool_calls
