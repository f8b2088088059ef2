"""What is limited: workers at once, their time, and how far they may be ahead of whoever watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from tako import Capabilities, Conductor, Delta, End
from tako.conductor.events import WorkerDelta, WorkerEnded
from tako.conductor.run import MAX_AHEAD
from tako.errors import ProviderTimeoutError
from tako.providers import PythonProvider

from .callables import Lead, Worker, plan
from .clocks import BACKENDS, in_no_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako import ChatRequest
    from tako.conductor.events import Event, RunResult

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


def run(conductor: Conductor, backend: str) -> RunResult:
    async def main() -> RunResult:
        return await conductor.run("Go")

    result: RunResult = in_no_time(main, backend)
    return result


@pytest.mark.parametrize("limit", [1, 3, 4, 20])
def test_never_more_workers_at_once_than_the_limit(limit: int, backend: str) -> None:
    now = most = 0

    async def work() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.sleep(1)
        now -= 1

    lead = Lead(plan(*["a: go"] * 12))
    result = run(Conductor({"a": Worker(before=work).provider}, lead.provider, max_fanout=limit), backend)
    assert most == min(limit, 12)
    assert [one.state for one in result.steps[0].results] == ["done"] * 12


async def endless(request: ChatRequest) -> AsyncGenerator[str, None]:
    while True:
        yield "more "
        await anyio.sleep(1)


def test_a_run_may_be_left_by_a_break_or_by_a_deadline(backend: str) -> None:
    closed: list[str] = []

    async def stream(request: ChatRequest) -> AsyncGenerator[str, None]:
        try:
            async for text in endless(request):
                yield text
        finally:
            closed.append(request.messages[0].text)

    async def main() -> None:
        worker = PythonProvider("w", lambda _: "", stream=stream)
        conductor = Conductor({"a": worker, "b": worker})
        async with conductor.stream("break") as run:
            async for event in run:
                if event.kind == "worker_delta" and event.role == "b":
                    break
        with anyio.move_on_after(30) as scope:
            async with conductor.stream("deadline") as run:
                async for _ in run:
                    pass
        assert scope.cancelled_caught

    in_no_time(main, backend)
    assert closed == ["break"] * 2 + ["deadline"] * 2


def test_one_that_is_late_has_failed_and_what_it_had_said_is_told(backend: str) -> None:
    lead = Lead(plan("slow: go", "quick: go", then="summarise"), "Half of it.")
    slow = PythonProvider("slow", lambda _: "", stream=endless)
    result = run(Conductor({"slow": slow, "quick": Worker().provider}, lead.provider, worker_timeout=2.5), backend)
    late, quick = result.steps[0].results
    assert (late.state, quick.state) == ("failed", "done")
    assert isinstance(late.error, ProviderTimeoutError)
    assert (late.seconds, late.partial) == (pytest.approx(2.5), "more more more ")
    assert "so far: more more more" in lead.heard[1].messages[-1].text
    with pytest.raises(ProviderTimeoutError, match=r"worker_timeout=2\.5"):
        run(Conductor({"slow": slow}, worker_timeout=2.5), backend)


def test_the_timeout_is_each_workers_own_and_begins_when_it_does(backend: str) -> None:
    lead = Lead(plan(*["a: go"] * 5))
    worker = Worker(before=lambda: anyio.sleep(50))
    result = run(Conductor({"a": worker.provider}, lead.provider, max_fanout=1), backend)
    assert [one.state for one in result.steps[0].results] == ["done"] * 5
    assert [one.seconds for one in result.steps[0].results] == [pytest.approx(50)] * 5


def test_a_slow_watcher_holds_the_workers_back_and_is_no_timeout_of_theirs(backend: str) -> None:
    produced = 0

    async def stream(request: ChatRequest) -> AsyncGenerator[Delta | End, None]:
        nonlocal produced
        for _ in range(1000):
            produced += 1
            yield Delta("x")
        await anyio.sleep(50)
        yield End()

    async def main() -> RunResult:
        conductor = Conductor({"a": PythonProvider("a", lambda _: "", stream=stream)})
        async with conductor.stream("Go") as run:
            while (await anext(run)).kind != "worker_delta":
                pass
            await anyio.sleep(600)
            assert produced <= MAX_AHEAD + 5
            return await run.result()

    result = in_no_time(main, backend)
    assert result.text == "x" * 1000


def test_that_time_is_given_back_and_no_more(backend: str) -> None:
    async def stream(request: ChatRequest) -> AsyncGenerator[str, None]:
        for _ in range(MAX_AHEAD * 2):
            yield "x"
        await anyio.sleep(70)

    async def main() -> RunResult:
        conductor = Conductor(
            {"a": PythonProvider("a", lambda _: "", stream=stream)},
            Lead(plan("a: go", then="summarise"), "No.").provider,
        )
        async with conductor.stream("Go") as run:
            while (await anext(run)).kind != "worker_delta":
                pass
            await anyio.sleep(600)
            return await run.result()

    [late] = in_no_time(main, backend).steps[0].results
    assert isinstance(late.error, ProviderTimeoutError)
    assert late.partial == "x" * MAX_AHEAD * 2
    assert late.seconds == pytest.approx(660)


# --- "any"


def test_the_others_are_stopped_although_nobody_reads_the_events(backend: str) -> None:
    """The winner's own events do not fit into the queue; that must not keep the others at work."""
    worked: list[int] = []

    async def chatter(request: ChatRequest) -> AsyncGenerator[str, None]:
        for _ in range(MAX_AHEAD - 2):  # two starts are there already
            yield "x"

    async def busy() -> None:
        for minute in range(50):
            worked.append(minute)
            await anyio.sleep(1)

    async def main() -> list[Event]:
        winner = PythonProvider("w", lambda _: "", stream=chatter)
        loser = Worker(before=busy).provider
        conductor = Conductor({"w": winner, "l": loser}, Lead(plan("w: go", "l: go", join="any")).provider)
        async with conductor.stream("Go") as run:
            events = [await anext(run)]
            await anyio.sleep(40)
            return events + [event async for event in run]

    events = in_no_time(main, backend)
    assert events[-1].result.text == "x" * (MAX_AHEAD - 2)
    assert len(worked) < 5


def test_only_the_first_is_the_answer_although_two_are_done(backend: str) -> None:
    """What the second used counts, what it says does not."""

    async def not_to_be_stopped() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2)

    workers = {
        "second": Worker("B", before=not_to_be_stopped).provider,
        "first": Worker("A", before=lambda: anyio.sleep(1)).provider,
    }
    result = run(Conductor(workers, Lead(plan("second: go", "first: go", join="any")).provider), backend)
    assert [one.state for one in result.steps[0].results] == ["done", "done"]
    assert result.text == "A"
    assert set(result.usage_by_role) == {"first", "second", "coordinator"}


def test_a_reply_that_has_come_counts_and_is_told_although_another_was_first(backend: str) -> None:
    """The second waits for the watcher to tell what it has when the first wins."""

    async def chatter(request: ChatRequest) -> AsyncGenerator[str, None]:
        for _ in range(MAX_AHEAD - 3):
            yield "x"
        await anyio.sleep(10)

    async def main() -> list[Event]:
        without_streaming = Capabilities(supports_streaming=False)
        first = PythonProvider("first", lambda _: "", stream=chatter)
        second = Worker("late", before=lambda: anyio.sleep(5), capabilities=without_streaming).provider
        third = Worker("too", before=lambda: anyio.sleep(6), capabilities=without_streaming).provider
        tasks = plan("first: go", "second: go", "third: go", join="any")
        workers: dict[str, Any] = {"first": first, "second": second, "third": third}
        async with Conductor(workers, Lead(tasks).provider).stream("Go") as run:
            await anyio.sleep(1)
            events = [await anext(run)]
            await anyio.sleep(20)
            return events + [event async for event in run]

    events = in_no_time(main, backend)
    result = events[-1].result
    for one in result.steps[0].results:
        streamed = "".join(event.text for event in events if isinstance(event, WorkerDelta) and event.role == one.role)
        [ended] = [event for event in events if isinstance(event, WorkerEnded) and event.role == one.role]
        assert ended.result == one
        assert streamed == (one.text if one.state == "done" else one.partial)
        assert (one.role in result.usage_by_role) == (one.state == "done")
    assert "second" in result.usage_by_role


def test_one_that_fails_while_it_is_stopped_makes_no_failure_of_a_success(backend: str) -> None:
    async def until_it_is_stopped() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("too late")

    workers = {
        "bad": Worker(before=until_it_is_stopped).provider,
        "good": Worker("good", before=lambda: anyio.sleep(1)).provider,
    }
    lead = Lead(plan("bad: go", "good: go", join="any"))
    assert run(Conductor(workers, lead.provider, fail_fast=True), backend).text == "good"
