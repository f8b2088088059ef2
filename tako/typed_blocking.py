"""A stream of a typed reply, for code without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tako.blocking import BlockingStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tako.typed import TypedStream
    from tako.types import ChatResponse

T = TypeVar("T")


class BlockingTypedStream(BlockingStream, Generic[T]):
    """The chunks of one reply, which is read into a type."""

    def __init__(self, stream: TypedStream[T]) -> None:
        super().__init__(stream)
        self._reply_type = stream.reply_type

    @property
    def partials(self) -> Iterator[T]:
        """The value as it grows, as ``TypedStream.partials`` has it. Raises InvalidReplyError at the end."""
        partials = self._reply_type.partials()
        for chunk in self:
            yield from partials.feed(chunk)
        yield from partials.end(self.response())

    def response(self) -> ChatResponse[T]:
        """Return the whole reply, read into the type. Raises InvalidReplyError if it doesn't fit."""
        response: ChatResponse[Any] = super().response()
        return response
