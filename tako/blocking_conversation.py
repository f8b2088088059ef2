"""A conversation for code without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from tako.blocking import BlockingRun, BlockingStream, wait_for
from tako.hooks import PLUGINS
from tako.loop_thread import loop_thread

if TYPE_CHECKING:
    from tako.conversation import Conversation, Turn
    from tako.keywords import RequestOptions
    from tako.run_loop import Approve
    from tako.runs import RunResult
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
        response = self._conversation.say(turn, response_type=response_type, repairs=repairs, **options)
        return loop_thread().run(response)

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
        """Take one turn and stream the reply. It's kept once its last chunk has come."""
        if response_type is None:
            return BlockingStream(self._conversation.stream(turn, **options))
        from tako.typed_blocking import BlockingTypedStream

        return BlockingTypedStream(self._conversation.stream(turn, response_type=response_type, **options))

    @overload
    def run(
        self,
        turn: Turn,
        *,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> RunResult: ...
    @overload
    def run(
        self,
        turn: Turn,
        *,
        response_type: type[T],
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> RunResult[T]: ...
    @overload
    def run(
        self,
        turn: Turn,
        *,
        response_type: Any,
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> RunResult[Any]: ...
    def run(self, turn: Turn, **options: Any) -> RunResult[Any]:
        """Take one turn in which the model may call ``tools``, as ``Conversation.run`` does."""
        PLUGINS.load()
        return loop_thread().run(wait_for(self._conversation.run(turn, **options)))

    @overload
    def run_stream(
        self,
        turn: Turn,
        *,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> BlockingRun[Any]: ...
    @overload
    def run_stream(
        self,
        turn: Turn,
        *,
        response_type: type[T],
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> BlockingRun[T]: ...
    @overload
    def run_stream(
        self,
        turn: Turn,
        *,
        response_type: Any,
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> BlockingRun[Any]: ...
    def run_stream(self, turn: Turn, **options: Any) -> BlockingRun[Any]:
        """Take one turn as ``run`` does, and iterate over the events, within ``with`` if you may leave early."""
        return BlockingRun(self._conversation.run(turn, **options))
