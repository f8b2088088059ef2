"""Leaving a stream closes its connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tako.errors import TakoError
from tako.testing.server import serve
from tako.testing.waiting import until_async

from .scripts import HANGING, provider


def test_leaving_a_stream_closes_its_connection_at_once() -> None:
    async def main() -> None:
        async with client.stream("hi") as stream:
            async for _ in stream:
                break
            assert (server.open, server.left_early) == (1, 0)
        await until_async(lambda: server.open == 0)
        assert stream.partial.text == "a"
        with pytest.raises(TakoError, match="left before its end"):
            await stream.response()

    with serve(HANGING) as server:
        client = provider(server)
        asyncio.run(main())
    assert server.left_early == 1


def test_breaking_out_of_a_bare_loop_closes_it_too() -> None:
    async def main() -> None:
        async for _ in client.stream("hi"):
            break
        await until_async(lambda: server.open == 0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with serve(HANGING) as server:
        client = provider(server)
        asyncio.run(main())
    assert server.left_early == 1


def test_cancelling_closes_the_connection_at_once() -> None:
    read_so_far: list[Any] = []

    async def read() -> None:
        async for chunk in client.stream("hi"):
            read_so_far.extend([chunk])

    async def main() -> None:
        task = asyncio.create_task(read())
        await until_async(lambda: read_so_far)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until_async(lambda: server.open == 0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with serve(HANGING) as server:
        client = provider(server)
        asyncio.run(main())


def test_a_stream_that_nobody_reads_sends_nothing() -> None:
    async def main() -> None:
        stream = client.stream("hi")
        await stream.aclose()

    with serve(HANGING) as server:
        client = provider(server)
        asyncio.run(main())
    assert server.requests == []
