"""One task of a plan, run by a worker."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

import anyio

from tako.conductor.events import Event, WorkerDelta, WorkerEnded, WorkerResult, WorkerStarted
from tako.errors import ProviderError, ProviderTimeoutError, TakoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.streams.memory import MemoryObjectSendStream

    from tako.conductor.plan import Assignment
    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse


class WorkerTask:
    """Runs a task, and sends its events. ``result`` is its result so far.

    ``request`` makes the worker's request, ``place`` is the step and the place in its plan, ``limit`` is in seconds.
    """

    def __init__(
        self,
        worker: Provider,
        assignment: Assignment,
        *,
        request: Callable[[Provider, Assignment], ChatRequest],
        send: MemoryObjectSendStream[Event],
        position: tuple[int, int],
        limit: float,
    ) -> None:
        self.worker = worker
        self.assignment = assignment
        self.is_open = False
        self.exit: BaseException | None = None
        """The SystemExit or KeyboardInterrupt that the worker raised, if it did."""
        self._request = request
        self._send = send
        self._step, self._index = position
        self._limit = limit
        self._started_at = self._ended_at = 0.0
        self._texts: list[str] = []
        self._response: ChatResponse | None = None
        self._error: TakoError | None = None

    @property
    def result(self) -> WorkerResult:
        """The result so far."""
        seconds = max(0.0, self._ended_at - self._started_at)
        name, task = self.assignment.name, self.assignment.task
        if self._response is not None:  # even if it was stopped afterwards, it was paid for
            return WorkerResult(name, task, self._response, None, seconds)
        return WorkerResult(name, task, None, self._error, seconds, "".join(self._texts))

    async def run(self) -> None:
        """Run the task within its time limit. An error becomes its result."""
        with anyio.CancelScope(shield=True):  # every start has an end
            await self._send.send(WorkerStarted(self._step, self._index, self.assignment.name, self.assignment.task))
        self.is_open = True
        self._started_at = self._ended_at = anyio.current_time()
        try:
            with anyio.move_on_after(self._limit) as scope:
                await self._ask(scope)
        except TakoError as error:
            self._error = error
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            self._set_failure(error)  # it waited for a task that somebody else cancelled
        except (SystemExit, KeyboardInterrupt) as error:
            self.exit = error
        except Exception as error:  # noqa: BLE001 - the other workers go on
            self._set_failure(error)
        else:
            if self._response is None:
                text = f"the worker {self.assignment.name!r} took longer than worker_timeout={self._limit:g} s"
                self._error = self._make_error(ProviderTimeoutError, text)
        finally:
            self._ended_at = anyio.current_time()

    async def end(self) -> None:
        """Send the end of the task, if it has started."""
        if self.is_open:
            self.is_open = False
            with anyio.CancelScope(shield=True):
                await self._send.send(WorkerEnded(self._step, self._index, self.assignment.name, self.result))

    async def _ask(self, scope: anyio.CancelScope) -> None:
        """Call the worker, as a stream if it supports that, so that the reader sees its progress."""
        request = self._request(self.worker, self.assignment)
        if not self.worker.capabilities.supports_streaming:
            self._response = await self.worker.chat(request)
            if self._response.text:
                with anyio.CancelScope(shield=True):  # a reply that has come is sent, even if it's too late
                    await self._send_delta(self._response.text, scope)
            return
        async with self.worker.stream(request) as stream:
            async for text in stream.text:
                self._texts.append(text)
                await self._send_delta(text, scope)
            self._response = await stream.response()

    async def _send_delta(self, text: str, scope: anyio.CancelScope) -> None:
        """Send a piece of text. The worker's time stops while nobody takes it."""
        event = WorkerDelta(self._step, self._index, self.assignment.name, text)
        try:
            self._send.send_nowait(event)
        except anyio.WouldBlock:
            limit, started_at = scope.deadline, anyio.current_time()
            scope.deadline = inf
            await self._send.send(event)
            scope.deadline = limit + anyio.current_time() - started_at

    def _set_failure(self, error: BaseException) -> None:
        text = f"the worker failed: {type(error).__name__}: {error}".removesuffix(": ")
        self._error = self._make_error(ProviderError, text)
        self._error.__cause__ = error

    def _make_error(self, kind: type[ProviderError], text: str) -> ProviderError:
        return kind(text, provider=self.worker.name, model=self.worker.model)


def _is_cancelled() -> bool:
    """Whether this task itself is cancelled. On trio, asyncio's exception never means that."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
