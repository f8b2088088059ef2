"""A run, its events, and its result. The loop itself is in ``run_loop``."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NoReturn, Protocol

from msgspec import Struct

from tako.errors import ConfigurationError
from tako.form_hints import wrong_form
from tako.parts import ToolCallPart, ToolResultPart
from tako.types import ChatResponse, Cost, Delta, Message, T_co, Usage
from tako.value import Value

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator


class RunResult(Value, Struct, Generic[T_co], frozen=True):
    """The result of a run.

    Attributes:
        response: The last response.
        messages: The whole conversation, with tool calls and results. Pass it to the next run to continue.
        usage: The tokens of all rounds.
        cost: The price of all rounds in US dollars. None if the price of one isn't known.
        rounds: How often the model was called.
    """

    response: ChatResponse[T_co]
    messages: list[Message]
    usage: Usage = Usage()
    cost: Cost | None = None
    rounds: int = 1

    @property
    def text(self) -> str:
        """The text of the last response."""
        return self.response.text

    @property
    def parsed(self) -> T_co:
        """The value of the ``response_type``, as in ``response.parsed``. None without a type."""
        return self.response.parsed


class ToolStart(Struct, frozen=True):
    """A tool call is about to run, or to go to ``approve``.

    Attributes:
        kind: "tool_start".
        call: The call.
    """

    kind: ClassVar[Literal["tool_start"]] = "tool_start"
    call: ToolCallPart


class ToolEnd(Struct, frozen=True):
    """A tool call has a result, which may be an error.

    Attributes:
        kind: "tool_end".
        call: The call.
        result: Its result.
    """

    kind: ClassVar[Literal["tool_end"]] = "tool_end"
    call: ToolCallPart
    result: ToolResultPart


class RoundEnd(Struct, frozen=True):
    """The model has replied. If the reply has tool calls, they run next.

    Attributes:
        kind: "round_end".
        response: The response.
    """

    kind: ClassVar[Literal["round_end"]] = "round_end"
    response: ChatResponse


class RunEnd(Struct, frozen=True):
    """The last event of a run.

    Attributes:
        kind: "run_end".
        result: The result of the run.
    """

    kind: ClassVar[Literal["run_end"]] = "run_end"
    result: RunResult


RunEvent = Delta | ToolStart | ToolEnd | RoundEnd | RunEnd
"""An event of a run, told apart by ``kind``: pieces of replies are Deltas, as in a stream."""


class Events(Protocol):
    """The function that makes the events of a run. With ``streaming``, pieces of replies are among them."""

    def __call__(self, *, streaming: bool) -> AsyncGenerator[RunEvent, None]:
        """Start the run."""
        ...


class Run(Generic[T_co]):
    """A run that hasn't started. ``await`` it for its RunResult, or iterate over the events of ``stream()``."""

    def __init__(self, events: Events, owner: str) -> None:
        self._start, self._owner = events, owner
        self._has_started = False
        self._result: RunResult[T_co] | None = None

    def __await__(self) -> Generator[Any, None, RunResult[T_co]]:
        return self.result().__await__()

    if not TYPE_CHECKING:
        __enter__ = __exit__ = __iter__ = wrong_form("write `await provider.run(…)`, or `provider.blocking.run(…)`")
        __aenter__ = __aexit__ = __aiter__ = wrong_form("write `async for event in run.stream()`, or `await run`")

        def __getattr__(self, name: str) -> NoReturn:
            advice = "" if name.startswith("_") else ": write `await provider.run(…)`, or `provider.blocking.run(…)`"
            raise AttributeError(f"a run that isn't awaited has no {name!r}{advice}", name=name, obj=self)

    def stream(self) -> AsyncGenerator[RunEvent, None]:
        """Run, and iterate over the events. Raises the same errors as ``await``."""
        return self.events(streaming=True)

    async def events(self, *, streaming: bool) -> AsyncGenerator[RunEvent, None]:
        """Run, and iterate over the events, with pieces of replies only if ``streaming``."""
        if self._has_started:
            raise ConfigurationError(f"{self._owner}: the run has already begun; make a new one")
        self._has_started = True
        async with aclosing(self._start(streaming=streaming)) as events:
            async for event in events:
                if isinstance(event, RunEnd):
                    self._result = event.result
                yield event

    async def result(self) -> RunResult[T_co]:
        """Run, unless that's done, and return the result, as ``await`` does: a coroutine, for ``create_task``."""
        if self._result is None:
            async with aclosing(self.events(streaming=False)) as events:
                async for _ in events:
                    pass
        if self._result is None:
            raise ConfigurationError(f"{self._owner}: the run was left before its end; make a new one")
        return self._result
