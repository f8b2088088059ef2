"""Conversations, which keep their messages turn by turn, and can be stored as JSON."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

import anyio.lowlevel
import msgspec
from msgspec import Struct

from tako.errors import ConfigurationError, InvalidReplyError, kind_of, one_line
from tako.json_values import is_deep
from tako.keywords import check_names, merge_options
from tako.parts import Part
from tako.pauses import chat_through_pauses, join_replies, stream_through_pauses
from tako.request import as_request
from tako.stream import ChatStream
from tako.types import ChatRequest, Message, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from tako.blocking_conversation import BlockingConversation
    from tako.keywords import RequestOptions
    from tako.provider import Provider
    from tako.run_loop import Approve
    from tako.runs import Run, RunEvent
    from tako.typed import TypedStream
    from tako.types import ChatResponse, Chunk, Cost

    Turn = str | list[Part] | Message

T = TypeVar("T")
HISTORY_VERSION = 1
"""The version of the JSON of conversations. tako reads all earlier versions."""


MAX_STEPS = 12
"""Steps of the event loop in which a streamed turn ends after a `break`."""


class History(Struct, frozen=True, tag_field="kind", tag="tako.conversation"):
    """A conversation as JSON."""

    version: int
    messages: list[Message]
    system: str | list[Part] | None = None


class Conversation:
    """Turns with one provider. Each request has all messages so far.

    If a turn fails, or you leave its stream, its messages aren't kept.

    Args:
        provider: The provider. You can change it between turns.
        messages: The messages so far.
        **options: Keywords of ``Provider.chat`` that hold for every turn, such as ``system``.

    Attributes:
        messages: The messages so far. You may edit them between turns.
        usage: The tokens of the turns that were kept.
        provider: The provider of the next turn.
        options: The keywords that hold for every turn.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        messages: Sequence[Message] = (),
        **options: Unpack[RequestOptions],
    ) -> None:
        if not hasattr(provider, "chat"):
            raise ConfigurationError(
                f"Conversation: provider is {kind_of(provider)}, not a provider: use tako.get_provider(…)"
            )
        check_names(options, provider.id)
        self.provider = provider
        self.options = options
        self.messages = list(messages)
        self.usage = Usage()
        self._costs: list[Cost | None] = []
        self._open_turn: Literal["chat", "stream"] | None = None
        if messages:
            as_request(ChatRequest(self.messages))

    def __repr__(self) -> str:
        return f"<Conversation with {self.provider.id}: {len(self.messages)} messages>"

    @property
    def system(self) -> str | list[Part] | None:
        """The system text that goes before the messages."""
        return self.options.get("system")

    @property
    def cost(self) -> Cost | None:
        """The price of the turns that were kept. None if one isn't known, and before the first."""
        known_costs = [cost for cost in self._costs if cost is not None]
        return sum(known_costs[1:], known_costs[0]) if known_costs and len(known_costs) == len(self._costs) else None

    @property
    def blocking(self) -> BlockingConversation:
        """The same methods without ``await``."""
        from tako.blocking_conversation import BlockingConversation

        return BlockingConversation(self)

    @overload
    async def say(self, turn: Turn, **options: Unpack[RequestOptions]) -> ChatResponse: ...
    @overload
    async def say(
        self, turn: Turn, *, response_type: type[T], repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[T]: ...
    @overload
    async def say(
        self, turn: Turn, *, response_type: Any, repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[Any]: ...
    async def say(
        self, turn: Turn, *, response_type: Any = None, repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[Any]:
        """Send one turn, and keep it with its reply. Keywords are those of ``Provider.chat``, for this turn."""
        async with self._hold_turn("chat"):
            messages, merged = self._with_turn(turn), self._merged_options(options)
            if response_type is None:
                replies = await chat_through_pauses(
                    lambda request: self.provider.chat(request, **merged), ChatRequest(messages)
                )
                response = join_replies(replies)
            else:
                response = await self.provider.chat(messages, response_type=response_type, repairs=repairs, **merged)
            self._keep([*messages, response.message], response.usage, response.cost)
        return response

    @overload
    def stream(self, turn: Turn, **options: Unpack[RequestOptions]) -> ChatStream: ...
    @overload
    def stream(self, turn: Turn, *, response_type: type[T], **options: Unpack[RequestOptions]) -> TypedStream[T]: ...
    @overload
    def stream(self, turn: Turn, *, response_type: Any, **options: Unpack[RequestOptions]) -> TypedStream[Any]: ...
    def stream(self, turn: Turn, *, response_type: Any = None, **options: Unpack[RequestOptions]) -> ChatStream:
        """Send one turn and stream the reply. It's kept once its last chunk has come."""
        earlier, messages = list(self.messages), self._with_turn(turn)
        merged = self._merged_options(options)
        request = ChatRequest(messages, model=merged.get("model"))
        if response_type is None:
            chunks_of_turn = stream_through_pauses(partial(self._stream_messages, merged))
            inner = ChatStream(chunks_of_turn, request, self.provider)
            return ChatStream(partial(self._chunks, earlier, inner, None), request, self.provider)
        from tako.typed import TypedStream

        typed = self.provider.stream(messages, response_type=response_type, **merged)
        chunks = partial(self._chunks, earlier, typed, typed.reply_type.read)
        typed_stream: TypedStream[Any] = TypedStream(chunks, request, self.provider, typed.reply_type)
        return typed_stream

    @overload
    def run(
        self,
        turn: Turn,
        *,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> Run: ...
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
    ) -> Run[T]: ...
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
    ) -> Run[Any]: ...
    def run(
        self,
        turn: Turn,
        *,
        response_type: Any = None,
        repairs: int = 1,
        max_rounds: int = 8,
        max_cost: float | None = None,
        approve: Approve | None = None,
        **options: Unpack[RequestOptions],
    ) -> Run[Any]:
        """Send one turn in which the model may call ``tools``. Calls and results are kept, too.

        ``await`` it, or iterate over its ``stream()``, as with ``Provider.run``.
        """
        from tako.runs import Run

        earlier, messages = list(self.messages), self._with_turn(turn)
        run = self.provider.run(
            messages,
            response_type=response_type,
            repairs=repairs,
            max_rounds=max_rounds,
            max_cost=max_cost,
            approve=approve,
            **self._merged_options(options),
        )
        return Run(partial(self._events, earlier, run, messages), self.provider.id)

    async def _events(
        self, earlier: list[Message], run: Run, messages: list[Message], *, streaming: bool
    ) -> AsyncGenerator[RunEvent, None]:
        async with (
            aclosing(run.events(streaming=streaming)) as events,
            self._hold_turn("stream" if streaming else "chat", earlier),
        ):
            async for event in events:
                if event.kind == "run_end":
                    messages_so_far = event.result.messages
                    first_index = next(
                        i for i, message in enumerate(messages_so_far) if message is messages[0]
                    )  # a system message goes before it
                    self._keep(messages_so_far[first_index:], event.result.usage, event.result.cost)
                yield event

    def to_json(self) -> str:
        """Write the messages and the system text as JSON, without the provider and other options."""
        return msgspec.json.encode(History(HISTORY_VERSION, self.messages, self.system)).decode()

    @classmethod
    def from_json(cls, provider: Provider, text: str | bytes, **options: Unpack[RequestOptions]) -> Self:
        """Read what ``to_json`` of this version or an earlier one wrote. Raises ConfigurationError."""
        history = read_history(text)
        merged: RequestOptions = {**options}
        if merged.get("system") is None:
            merged["system"] = history.system
        return cls(provider, messages=history.messages, **merged)

    def _with_turn(self, turn: Turn) -> list[Message]:
        """Return the messages with a new one."""
        message = turn if isinstance(turn, Message) else Message.user(turn)
        return as_request(ChatRequest([*self.messages, message])).messages

    def _merged_options(self, options: RequestOptions) -> RequestOptions:
        """Return the keywords of a turn over those of all turns."""
        merged: RequestOptions = merge_options(self.options, options)
        return merged

    async def _chunks(
        self,
        earlier: list[Message],
        stream: ChatStream,
        check: Callable[[ChatResponse], Any] | None,
        request: ChatRequest,
    ) -> AsyncGenerator[Chunk, None]:
        async with aclosing(stream), self._hold_turn("stream", earlier):
            async for chunk in stream:
                if chunk.kind == "end":
                    self._finish(stream.partial, request.messages, check)
                yield chunk

    async def _stream_messages(self, options: RequestOptions, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        async with self.provider.stream(request.messages, **options) as stream:
            async for chunk in stream:
                yield chunk

    def _finish(
        self, response: ChatResponse, messages: list[Message], check: Callable[[ChatResponse], Any] | None
    ) -> None:
        if check is not None:
            try:
                check(response)
            except InvalidReplyError:
                return  # reading the reply raises the error
        self._keep([*messages, response.message], response.usage, response.cost)

    def _keep(self, messages: list[Message], usage: Usage, cost: Cost | None) -> None:
        self.messages[:] = messages
        self.usage += usage
        self._costs.append(cost)

    @asynccontextmanager
    async def _hold_turn(
        self, kind: Literal["chat", "stream"], earlier: list[Message] | None = None
    ) -> AsyncGenerator[None]:
        """Mark a turn as open. ``earlier`` are the messages at the time when the turn was made."""
        for _ in range(MAX_STEPS):
            if self._open_turn != "stream":
                break
            await anyio.lowlevel.checkpoint()
        if self._open_turn is not None:
            raise ConfigurationError(f"{self.provider.id}: a turn of this conversation is still going on")
        if earlier is not None and earlier != self.messages:
            raise ConfigurationError(f"{self.provider.id}: this turn was made before messages changed; make it again")
        self._open_turn = kind
        try:
            yield
        finally:
            self._open_turn = None


def read_history(text: str | bytes) -> History:
    """Read the JSON of a conversation. Raises ConfigurationError with the path of the problem."""
    try:
        history = msgspec.json.decode(text, type=History)
    except (msgspec.DecodeError, UnicodeError, TypeError) as error:
        raise ConfigurationError(f"this isn't the JSON of a conversation: {one_line(str(error))}") from None
    except RecursionError:
        raise ConfigurationError("this isn't the JSON of a conversation: it's nested too deeply") from None
    if history.version > HISTORY_VERSION:
        raise ConfigurationError(f"this conversation was written by a later tako (version {history.version})")
    if is_deep(history.messages):
        raise ConfigurationError("this isn't the JSON of a conversation: it's nested too deeply")
    return history
