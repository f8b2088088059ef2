"""Several models at one task: workers with roles, and a coordinator that splits the work."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from tako.conductor.events import COORDINATOR, Event, RunResult
from tako.conductor.run import Run
from tako.errors import ConfigurationError, TakoError, kind_of, short_repr
from tako.form_hints import wrong_form
from tako.keywords import apply_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from tako.keywords import Prompt, RequestOptions
    from tako.provider import Provider
    from tako.types import ChatResponse

T = TypeVar("T")


class Conductor:
    """Sends requests to workers by role, and runs tasks that a coordinator splits among them.

    ::

        conductor = Conductor({"code": anthropic, "math": vertex}, coordinator=openai)
        response = await conductor.ask("code", "Write quicksort in Python")
        result = await conductor.run("Prove it right, and write it down")

    Args:
        workers: The providers, by role.
        coordinator: The provider that plans. Without one, a run sends the task to all workers, and the result has all
            of their answers.
        max_steps: The most plans in one run.
        max_fanout: The most workers at once, in one run.
        worker_timeout: The most seconds for one task. The clock stops while nobody reads the events.
        fail_fast: End the run with the error of the first worker that fails. Otherwise the coordinator gets the error.
        system: More instructions for the coordinator.
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
        _check_members(workers, coordinator)
        for name, value in (("max_steps", max_steps), ("max_fanout", max_fanout)):
            if type(value) is not int or value < 1:
                raise ConfigurationError(f"Conductor: {name} is a whole number above 0, not {short_repr(value)}")
        if isinstance(worker_timeout, bool) or not isinstance(worker_timeout, (int, float)) or not worker_timeout > 0:
            raise ConfigurationError(
                f"Conductor: worker_timeout is a number of seconds above 0, not {short_repr(worker_timeout)}"
            )
        if not isinstance(fail_fast, bool):
            raise ConfigurationError(f"Conductor: fail_fast is True or False, not {short_repr(fail_fast)}")
        if system is not None and not isinstance(system, str):
            raise ConfigurationError(f"Conductor: system is a str, not {kind_of(system)}")
        self.workers = dict(workers)
        self.coordinator = coordinator
        self.max_steps = max_steps
        self.max_fanout = max_fanout
        self.worker_timeout = worker_timeout
        self.fail_fast = fail_fast
        self.system = system

    @overload
    async def ask(self, role: str, request: Prompt, **options: Unpack[RequestOptions]) -> ChatResponse: ...
    @overload
    async def ask(
        self, role: str, request: Prompt, *, response_type: type[T], repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[T]: ...
    @overload
    async def ask(
        self, role: str, request: Prompt, *, response_type: Any, repairs: int = 1, **options: Unpack[RequestOptions]
    ) -> ChatResponse[Any]: ...
    async def ask(self, role: str, request: Prompt, **options: Any) -> ChatResponse[Any]:
        """Send one request to the worker with this role. Keywords are those of ``Provider.chat``.

        Raises ConfigurationError if no worker has the role.
        """
        worker = self.workers.get(role) if isinstance(role, str) else None
        if worker is None:
            raise ConfigurationError(f"no worker has the role {short_repr(role)} (roles: {', '.join(self.workers)})")
        response: ChatResponse[Any] = await worker.chat(request, **options)
        return response

    async def run(self, prompt: Prompt, **options: Unpack[RequestOptions]) -> RunResult:
        """Run a task and return its result. Keywords set fields of the request. Raises a TakoError if it fails."""
        async with self.stream(prompt, **options) as events:
            return await events.result()

    def stream(self, prompt: Prompt, **options: Unpack[RequestOptions]) -> RunStream:
        """Run a task and iterate over its events. The last one is ``Final``. Raises a TakoError if the run fails.

        Nothing is sent before you read the first event.
        """
        return RunStream(Run(self, apply_options(prompt, options, {}, "Conductor")))

    async def aclose(self) -> None:
        """Close the connections of all providers."""
        async with AsyncExitStack() as stack:  # the others are closed even if one fails
            for provider in {
                id(provider): provider
                for provider in (*self.workers.values(), self.coordinator)
                if provider is not None
            }.values():
                stack.push_async_callback(provider.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class RunStream:
    """The events of one run: an async iterator, and a context manager that cancels the workers on the way out."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._events = run.events()  # nothing in there refers to self, so leaving a loop with `break` ends the run

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    if not TYPE_CHECKING:
        __enter__ = __exit__ = __iter__ = wrong_form("write `async with conductor.stream(…)` and `async for`")

    async def aclose(self) -> None:
        """Leave the run. Its workers are cancelled and their connections closed."""
        await self._events.aclose()

    async def result(self) -> RunResult:
        """Return the result of the run. Reads the events that you haven't read.

        Raises TakoError if the run was left before its end.
        """
        async for _ in self._events:
            pass
        if self._run.result is None:
            raise TakoError("the run was left before its end")
        return self._run.result


def _check_members(workers: Mapping[str, Provider], coordinator: Provider | None) -> None:
    """Check the workers and the coordinator. Raises ConfigurationError."""
    if not isinstance(workers, Mapping):
        raise ConfigurationError(f"Conductor: workers is {kind_of(workers)}, not a dict of roles and providers")
    if not workers:
        raise ConfigurationError("a Conductor needs at least one worker")
    if coordinator is not None and COORDINATOR in workers:
        raise ConfigurationError(f"Conductor: the role {COORDINATOR!r} is the coordinator's own")
    for role in workers:
        if not isinstance(role, str) or not role:
            raise ConfigurationError(f"Conductor: a role is a word, not {short_repr(role)}")
    members = {f"the worker {role!r}": provider for role, provider in workers.items()}
    if coordinator is not None:
        members["the coordinator"] = coordinator
    for member, provider in members.items():
        if not hasattr(provider, "chat"):
            raise ConfigurationError(
                f"Conductor: {member} is {kind_of(provider)}, not a Provider: use tako.get_provider(…)"
            )
