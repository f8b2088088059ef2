"""Work runs once for all who wait, whatever loop they are on, and outlives who leaves."""

import asyncio
import threading

import anyio
import anyio.lowlevel
import pytest
import trio

from tako.errors import AuthenticationError
from tako.kit.single_flight import SingleFlight, TaskFlight

HANG = 120.0


class Slow:
    """Blocking work that is over when the test says so; it notes the threads that it ran in."""

    def __init__(self):
        self.began, self.gate = threading.Event(), threading.Event()
        self.threads = []

    def __call__(self):
        self.threads.append(threading.current_thread().name)
        self.began.set()
        assert self.gate.wait(HANG)
        return len(self.threads)


def test_a_hundred_waiters_share_one_run_and_the_next_is_another():
    slow = Slow()
    flight = SingleFlight(slow, "flight")

    async def main():
        waiting = [asyncio.ensure_future(flight.result()) for _ in range(100)]
        await asyncio.sleep(0)
        slow.gate.set()
        assert await asyncio.gather(*waiting) == [1] * 100
        assert await flight.result() == 2

    asyncio.run(main())
    assert slow.threads == ["flight", "flight"]


def test_threads_with_loops_of_their_own_share_it_and_trio_too():
    slow, joined = Slow(), threading.Semaphore(0)

    class Counting(SingleFlight):
        def start(self):
            future = super().start()
            joined.release()
            return future

    flight = Counting(slow)
    got = []

    async def one():
        got.append(await flight.result())

    threads = [threading.Thread(target=run, args=(one,)) for run in (anyio.run, trio.run, trio.run)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert joined.acquire(timeout=HANG)
    slow.gate.set()
    for thread in threads:
        thread.join()
    assert got == [1, 1, 1]


def test_who_is_cancelled_leaves_and_the_work_goes_on():
    slow = Slow()
    flight = SingleFlight(slow)

    async def main():
        leaving = asyncio.ensure_future(flight.result())
        staying = asyncio.ensure_future(flight.result())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert leaving.cancelled()
        slow.gate.set()
        assert await staying == 1

    asyncio.run(main())


def test_an_error_is_every_waiters():
    def work():
        raise ValueError("no")

    async def main():
        flight = SingleFlight(work)
        results = await asyncio.gather(*[flight.result() for _ in range(3)], return_exceptions=True)
        assert [type(error) for error in results] == [ValueError] * 3
        with pytest.raises(ValueError, match="no"):
            await flight.result()

    asyncio.run(main())


class Task:
    """A coroutine function that goes on when the test says so."""

    def __init__(self, failure=None):
        self.began, self.gate = anyio.Event(), anyio.Event()
        self.failure = failure
        self.runs = 0

    async def __call__(self):
        self.runs += 1
        self.began.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return self.runs


@pytest.mark.anyio
async def test_a_coroutine_function_runs_once_for_its_loop():
    task = Task()
    flight = TaskFlight(task)
    got = []

    async def one():
        got.append(await flight.result())

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(one)
        await task.began.wait()
        await anyio.lowlevel.checkpoint()
        task.gate.set()
    assert got == [1] * 100
    assert await flight.result() == 2


@pytest.mark.anyio
async def test_who_began_it_may_leave_and_the_others_get_its_result():
    task = Task()
    flight = TaskFlight(task)
    got = []

    async def one():
        got.append(await flight.result())

    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(one)
            await task.began.wait()
            leaving.cancel_scope.cancel()
        group.start_soon(one)
        await anyio.lowlevel.checkpoint()
        task.gate.set()
    assert got == [1]


@pytest.mark.anyio
async def test_each_waiter_has_an_error_of_its_own():
    task = Task(AuthenticationError("no"))
    flight = TaskFlight(task)
    results = []

    async def one():
        with pytest.raises(AuthenticationError, match="no") as caught:
            await flight.result()
        results.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(one)
        await task.began.wait()
        task.gate.set()
    assert len({id(error) for error in results}) == 3


def test_two_loops_run_it_each_for_itself():
    runs = []
    together = threading.Barrier(2)

    async def work():
        runs.append(threading.current_thread().name)
        await asyncio.to_thread(together.wait, HANG)  # neither gets on without the other

    flight = TaskFlight(work)
    threads = [threading.Thread(target=lambda: asyncio.run(flight.result())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(runs) == sorted(thread.name for thread in threads)


def test_a_loop_that_ends_takes_its_run_along():
    async def leave():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flight.result(), 0)

    async def never():
        await asyncio.Event().wait()

    flight = TaskFlight(never)
    asyncio.run(leave())
    assert flight._running == {}
