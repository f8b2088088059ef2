"""Blocking work runs once for all who wait, whatever loop they are on, and outlives who leaves."""

import asyncio
import threading
import time

import anyio
import pytest
import trio

from tako.kit.flight import SingleFlight


def slow(results):
    def work():
        time.sleep(0.05)
        results.append(threading.current_thread().name)
        return len(results)

    return work


def test_a_hundred_waiters_share_one_run_and_the_next_is_another():
    results = []
    flight = SingleFlight(slow(results), "flight")

    async def main():
        assert await asyncio.gather(*[flight.result() for _ in range(100)]) == [1] * 100
        await asyncio.sleep(0.01)
        assert await flight.result() == 2

    asyncio.run(main())
    assert results == ["flight", "flight"]


def test_threads_with_loops_of_their_own_share_it_and_trio_too():
    results = []
    flight = SingleFlight(slow(results))
    got = []

    async def one():
        got.append(await flight.result())

    threads = [threading.Thread(target=run, args=(one,)) for run in (anyio.run, trio.run, trio.run)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1, 1, 1]


def test_who_is_cancelled_leaves_and_the_work_goes_on():
    results = []
    flight = SingleFlight(slow(results))

    async def main():
        leaving = asyncio.ensure_future(flight.result())
        staying = asyncio.ensure_future(flight.result())
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == 1
        assert leaving.cancelled()

    asyncio.run(main())


def test_an_error_is_every_waiters():
    def work():
        raise ValueError("no")

    async def main():
        flight = SingleFlight(work)
        found = await asyncio.gather(*[flight.result() for _ in range(3)], return_exceptions=True)
        assert [type(error) for error in found] == [ValueError] * 3
        with pytest.raises(ValueError, match="no"):
            await flight.result()

    asyncio.run(main())
