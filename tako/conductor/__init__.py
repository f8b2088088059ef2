"""Several models at one task: workers keyed by role, and a coordinator that splits the work among them."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Self

from tako.conductor.events import Event, Final, RunResult
from tako.conductor.running import Run
from tako.errors import ConfigurationError
from tako.request import as_request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping
    from types import TracebackType

    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Message


class Conductor:
    """Routes requests to workers by role, and runs tasks that a coordinator splits among them.

    ::

        conductor = Conductor({"code": anthropic, "math": vertex}, coordinator=openai)
        response = await conductor.ask("code", "Write quicksort in Python")
        result = await conductor.run("Prove it right, and write it down")

    ``max_steps``: plans in one run. ``max_fanout``: workers at once. ``worker_timeout``: seconds that one task may
    take. ``fail_fast``: the first worker that fails ends the run with its error; otherwise errors go back to the
    coordinator. ``system``: what to tell the coordinator beside its instructions. Without a coordinator a run asks all
    workers the same, and their answers are the result.
    """

    def __init__(
        self,
        workers: Mapping[str, Provider],
        coordinator: Provider | None = None,
        *,
        max_steps: int = 8,
        max_fanout: int = 4,
        worker_timeout: float = 60.0,
        fail_fast: bool = False,
        system: str | None = None,
    ) -> None:
        if not workers:
            raise ConfigurationError("a Conductor needs at least one worker")
        for name, value in (("max_steps", max_steps), ("max_fanout", max_fanout), ("worker_timeout", worker_timeout)):
            if not value > 0:
                raise ConfigurationError(f"Conductor: {name} is a number above 0, not {value!r}")
        self.workers = dict(workers)
        self.coordinator = coordinator
        self.max_steps = max_steps
        self.max_fanout = max_fanout
        self.worker_timeout = worker_timeout
        self.fail_fast = fail_fast
        self.system = system

    async def ask(self, role: str, request: ChatRequest | str | list[Message]) -> ChatResponse:
        """Send one request to the worker of a role. Raises ConfigurationError for a role that nobody has."""
        worker = self.workers.get(role)
        if worker is None:
            raise ConfigurationError(f"no worker has the role {role!r} (roles: {', '.join(self.workers)})")
        return await worker.chat(request)

    async def run(self, prompt: ChatRequest | str | list[Message]) -> RunResult:
        """Have a task done; raises a TakoError where it cannot be."""
        async with self.stream(prompt) as events:
            return await events.result()

    def stream(self, prompt: ChatRequest | str | list[Message]) -> RunStream:
        """Have a task done and watch: an async iterator of events, the last of them ``Final``."""
        return RunStream(Run(self, as_request(prompt)).events())

    async def aclose(self) -> None:
        """Close the connections of all providers."""
        for provider in {id(it): it for it in (*self.workers.values(), self.coordinator) if it is not None}.values():
            await provider.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class RunStream:
    """The events of one run: an async iterator, and a context manager that cancels the workers on the way out."""

    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        self._result: RunResult | None = None
        self._events = self._keep(events)

    async def _keep(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Final):
                    self._result = event.result
                yield event

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the run; its workers are cancelled and their connections closed."""
        await self._events.aclose()

    async def result(self) -> RunResult:
        """Return what the run leaves, once it is over."""
        async for _ in self._events:
            pass
        if self._result is None:
            raise ConfigurationError("the run was left before its end")
        return self._result
