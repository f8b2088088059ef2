"""What is left when a run is left: no task, no connection, and no short success."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tako import Conductor
from tako.errors import TakoError
from tako.testing.server import reply
from tako.testing.waiting import PATIENCE, until, until_async

from .callables import Worker
from .vendors import Vendors, completions, lines, messages_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


async def at_work(events: AsyncIterator[Any], vendors: Vendors) -> None:
    """Watch until the three that stream have said something and the fourth has been asked, too."""
    speaking: set[str] = set()
    async for event in events:
        if event.kind == "worker_delta":
            speaking.add(event.role)
        if len(speaking) == 3:
            return await until_async(lambda: len(vendors.server.requests) == 5)
    raise AssertionError("the run ended")


async def by_cancelling(conductor: Conductor, vendors: Vendors) -> None:
    all_at_work = asyncio.Event()

    async def watch() -> None:
        run = conductor.stream("Do it")
        await at_work(run, vendors)
        all_at_work.set()
        async for _ in run:
            pass

    task = asyncio.create_task(watch())
    await all_at_work.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def by_a_deadline(conductor: Conductor, vendors: Vendors) -> None:
    with anyio.CancelScope() as scope:
        run = conductor.stream("Do it")
        await at_work(run, vendors)
        scope.deadline = anyio.current_time() + 0.01
        async for _ in run:
            pass
    assert scope.cancelled_caught


async def by_leaving_the_block(conductor: Conductor, vendors: Vendors) -> None:
    async with conductor.stream("Do it") as run:
        await at_work(run, vendors)
    assert len(asyncio.all_tasks()) == 1
    with pytest.raises(TakoError, match="left before its end"):
        await run.result()


async def by_a_break_alone(conductor: Conductor, vendors: Vendors) -> None:
    async for event in conductor.stream("Do it"):
        if event.kind == "worker_delta":
            await until_async(lambda: len(vendors.server.requests) == 5)
            break
    gc.collect()
    await until_async(lambda: len(asyncio.all_tasks()) == 1)  # the loop closes it, in a task of its own


@pytest.fixture
def hanging(vendors: Vendors) -> Vendors:
    """Return vendors that begin to answer and never end."""
    for path in ("/openai/chat/completions", "/mistral/chat/completions"):
        vendors.answers[path] = completions("never", ending="hang")
    vendors.answers["/v1/messages"] = reply(messages_api("never").pieces[:3], ending="hang")
    vendors.answers["/api/chat"] = reply(lines("never").pieces[:1], ending="hang")
    return vendors


@pytest.mark.parametrize("leave", [by_cancelling, by_a_deadline, by_leaving_the_block, by_a_break_alone])
def test_leaving_early_leaves_no_task_and_no_connection(
    hanging: Vendors, leave: Callable[[Conductor, Vendors], Any]
) -> None:
    async def main() -> None:
        async with hanging.conductor() as conductor:
            await leave(conductor, hanging)
            assert len(asyncio.all_tasks()) == 1
            until(lambda: hanging.server.open <= 1)  # the coordinator's, which is done and kept for later

    asyncio.run(main())
    until(lambda: hanging.server.open == 0)
    assert len(hanging.server.requests) == 5


def test_a_deadline_of_the_watchers_own_around_one_event_does_no_harm(vendors: Vendors) -> None:
    """A task group held across `yield` would break here: its scope would begin inside the watcher's."""

    async def main() -> list[str]:
        kinds: list[str] = []
        async with vendors.conductor() as conductor, conductor.stream("Do it") as run:
            while not kinds or kinds[-1] != "final":
                with anyio.fail_after(PATIENCE):
                    kinds.append((await anext(run)).kind)
                with anyio.move_on_after(0.001):
                    await anyio.sleep_forever()
        return kinds

    kinds = asyncio.run(main())
    assert (kinds[0], kinds[-1], kinds.count("worker_end")) == ("plan", "final", 4)


def test_nothing_is_asked_before_the_first_event_is(vendors: Vendors) -> None:
    async def main() -> None:
        async with vendors.conductor() as conductor:
            run = conductor.stream("Do it")
            for _ in range(10):
                await asyncio.sleep(0)
                assert len(asyncio.all_tasks()) == 1
            await run.aclose()

    asyncio.run(main())
    assert vendors.server.connections == 0


def test_a_program_that_ends_in_the_middle_of_a_run_ends(hanging: Vendors) -> None:
    async def main() -> None:
        run = conductor.stream("Do it")
        kept.append(run)  # alive until the loop is closed
        await at_work(run, hanging)

    conductor = hanging.conductor()
    kept: list[Any] = []
    asyncio.run(main())
    until(lambda: hanging.server.open == 0)
    assert len(hanging.server.requests) == 5


def test_a_run_whose_tasks_are_cancelled_behind_its_back_is_no_short_success(hanging: Vendors) -> None:
    async def main() -> None:
        async with hanging.conductor() as conductor:
            run = conductor.stream("Do it")
            await at_work(run, hanging)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            with pytest.raises(TakoError, match="the run was cancelled"):
                await run.result()

    asyncio.run(main())


@pytest.mark.parametrize("coordinated", [True, False])
def test_neither_is_a_run_of_which_only_a_worker_is_cancelled(hanging: Vendors, *, coordinated: bool) -> None:
    async def cancelled_before_it_answers() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def main() -> None:
        async with hanging.conductor() as conductor:
            conductor.workers["code"] = Worker(before=cancelled_before_it_answers).provider
            if not coordinated:
                conductor.coordinator = None
            with pytest.raises(TakoError, match="the run was cancelled"):
                await conductor.run("Do it")
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_worker_that_waits_for_what_somebody_else_has_cancelled_has_failed_and_no_more() -> None:
    async def for_what_never_comes() -> None:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    workers = {"a": Worker(before=for_what_never_comes).provider, "b": Worker("b").provider}
    result = asyncio.run(Conductor(workers).run("Go"))
    a, b = result.steps[0].results
    assert (a.state, b.state, result.text) == ("failed", "done", "b")
    assert "CancelledError" in str(a.error)
