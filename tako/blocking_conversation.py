"""A conversation for code without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from tako.blocking import BlockingStream, awaited, loop_thread
from tako.hooks import PLUGINS

if TYPE_CHECKING:
    from tako.conversation import Conversation, Turn
    from tako.keywords import RequestOptions
    from tako.runs import Approve, RunResult
    from tako.typed_blocking import BlockingTypedStream
    from tako.types import ChatResponse

T = TypeVar("T")


class BlockingConversation:
    """The methods of a Conversation without ``await``."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @overload
    def say(self, turn: Turn, **options: Unpack[RequestOptions]) -> ChatResponse: ...
    @overload
    def say(
        self, turn: Turn, *, response_type: type[T], repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[T]: ...
    @overload
    def say(
        self, turn: Turn, *, response_type: Any, repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[Any]: ...
    def say(
        self, turn: Turn, *, response_type: Any = None, repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[Any]:
        """Take one turn, and keep it."""
        PLUGINS.load()
        said = self._conversation.say(turn, response_type=response_type, repairs=repairs, **options)
        return loop_thread().run(said)

    @overload
    def stream(self, turn: Turn, **options: Unpack[RequestOptions]) -> BlockingStream: ...
    @overload
    def stream(
        self, turn: Turn, *, response_type: type[T], **options: Unpack[RequestOptions]
    ) -> BlockingTypedStream[T]: ...
    @overload
    def stream(
        self, turn: Turn, *, response_type: Any, **options: Unpack[RequestOptions]
    ) -> BlockingTypedStream[Any]: ...
    def stream(self, turn: Turn, *, response_type: Any = None, **options: Unpack[RequestOptions]) -> BlockingStream:
        """Take one turn piece by piece; it's kept once its last chunk has come."""
        if response_type is None:
            return BlockingStream(self._conversation.stream(turn, **options))
        from tako.typed_blocking import BlockingTypedStream

        return BlockingTypedStream(self._conversation.stream(turn, response_type=response_type, **options))

    def run(
        self,
        turn: Turn,
        *,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> RunResult:
        """Take one turn in which the model may call ``tools``."""
        PLUGINS.load()
        run = self._conversation.run(turn, max_rounds=max_rounds, max_cost=max_cost, approve=approve, **options)
        return loop_thread().run(awaited(run))
