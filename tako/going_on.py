"""Going on with a reply that its vendor pauses, until it's whole."""

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

MOST_PAUSES = 8
"""How often one reply is gone on with."""


async def replies_of(chat: Chat, request: ChatRequest) -> list[ChatResponse]:
    """Return the replies of one turn: those that the vendor paused, and the last one."""
    replies = [await chat(request)]
    while _is_paused(replies[-1]) and len(replies) <= MOST_PAUSES:
        request = replace(request, messages=[*request.messages, replies[-1].message])
        replies.append(await chat(request))
    return replies


def going_on(stream: Stream) -> Stream:
    """Return a stream that goes on where the vendor pauses: all of it is one reply."""

    async def chunks(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        before: list[End] = []
        while True:
            kept: list[Chunk] = []
            paused = None
            async with aclosing(stream(request)) as pieces:
                async for chunk in pieces:
                    kept.append(chunk)
                    if isinstance(chunk, Delta):
                        yield chunk
                    elif (paused := _paused(kept, chunk)) is None or len(before) >= MOST_PAUSES:
                        yield with_all_of(before, chunk)
                        return
                    else:
                        before.append(chunk)
            if paused is None:
                return
            request = replace(request, messages=[*request.messages, paused])
            yield Delta(state=BLOCK_END)  # what comes next is a part of its own

    return chunks


def joined(replies: list[ChatResponse]) -> ChatResponse:
    """Return the replies of one turn as one, with the parts of all of them."""
    *before, last = replies
    if not before:
        return last
    message = Message(Role.ASSISTANT, [part for reply in replies for part in reply.message.parts])
    return with_all_of(before, replace(last, message=message))


def with_all_of(before: Sequence[Reply], last: Reply) -> Reply:
    """Return the last reply with the usage, the cost and the notices of those before it."""
    if not before:
        return last
    cost = last.cost
    for reply in before:
        cost = None if cost is None or reply.cost is None else cost + reply.cost
    return replace(
        last,
        usage=sum((reply.usage for reply in before), last.usage),
        cost=cost,
        notices=[*(notice for reply in before for notice in reply.notices), *last.notices],
    )


def _paused(chunks: list[Chunk], end: End) -> Message | None:
    """Return what a stream said before its vendor paused it; None if it's whole."""
    if end.finish_reason is not FinishReason.PAUSE:
        return None
    reply = fold(chunks)
    return reply.message if _is_paused(reply) else None


def _is_paused(reply: ChatResponse) -> bool:
    return reply.finish_reason is FinishReason.PAUSE and not reply.tool_calls
