"""Connections: kept, limited, closed, never shared between loops."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tako.errors import ProviderError
from tako.testing.server import reply, serve
from tako.testing.waiting import until_async

from .script import ANSWER, BODY, HANGING, STREAM, provider

if TYPE_CHECKING:
    from tako.providers import OpenAI


def test_a_storm_of_cancelled_calls_on_a_full_pool_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with provider(server, max_connections=10) as client:
            tasks = [asyncio.create_task(client.chat("hi")) for _ in range(20)]
            await until_async(lambda: len(server.requests) == 10)
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(outcome, asyncio.CancelledError) for outcome in done)
            await until_async(lambda: server.open == 0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            slow.clear()
            assert [(await client.chat("hi")).text for _ in range(2)] == ["ok", "ok"]
            both = await asyncio.gather(*[client.chat("hi") for _ in range(10)])
            assert len(both) == 10

    slow = [True]
    with serve(lambda received: reply(json=BODY, delay=lambda: False) if slow else ANSWER) as server:
        asyncio.run(main())


def test_streams_cancelled_in_a_storm_leave_nothing_behind_either() -> None:
    async def read(client: OpenAI) -> None:
        async for _ in client.stream("hi"):
            pass

    async def main() -> None:
        async with provider(server, max_connections=10) as client:
            tasks = [asyncio.create_task(read(client)) for _ in range(20)]
            await until_async(lambda: len(server.requests) == 10)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await until_async(lambda: server.open == 0)
            slow.clear()
            assert (await client.chat("hi")).text == "ok"

    slow = [True]
    with serve(lambda received: HANGING if slow else ANSWER) as server:
        asyncio.run(main())


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_connection_is_used_again_after_a_refusal(status: int) -> None:
    async def main() -> None:
        async with provider(server) as client:
            for _ in range(3):
                with pytest.raises(ProviderError):
                    await client.chat("hi")

    with serve(reply(json={"error": {"message": "no"}}, status=status)) as server:
        asyncio.run(main())
    assert server.connections == 1


def test_one_provider_serves_several_runs_of_asyncio_and_leaves_nothing_open(recwarn: pytest.WarningsRecorder) -> None:
    async def main() -> str:
        return (await client.chat("hi")).text

    with serve(ANSWER) as server:
        client = provider(server)
        assert [asyncio.run(main()) for _ in range(3)] == ["ok"] * 3
        asyncio.run(until_async(lambda: server.open == 0))
    assert server.connections == 3
    assert [str(warning.message) for warning in recwarn] == []


def test_two_loops_in_two_threads_share_a_provider() -> None:
    texts: list[Any] = []

    def work() -> None:
        async def main() -> None:
            texts.extend([(await client.chat("hi")).text for _ in range(20)])

        asyncio.run(main())

    with serve(ANSWER) as server:
        client = provider(server)
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == ["ok"] * 40
    assert server.connections == 2


def test_a_closed_provider_opens_new_connections() -> None:
    async def main() -> None:
        async with provider(server) as client:
            await client.chat("hi")
        await until_async(lambda: server.open == 0)
        assert (await client.chat("hi")).text == "ok"
        await client.aclose()
        await client.aclose()

    with serve(ANSWER) as server:
        asyncio.run(main())
    assert server.connections == 2


FORK = """
    import os, sys, asyncio
    from tako.providers import OpenAI
    provider = OpenAI("m", api_key="k", base_url=sys.argv[1], max_retries=0)
    stream = provider.blocking.stream("hi")
    assert next(stream).text == "ok"
    child = os.fork()
    if child == 0:
        said = provider.blocking.stream("hi").response().text
        provider.blocking.close()
        os._exit(0 if said == "ok" else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert stream.response().text == "ok"
    assert provider.blocking.stream("hi").response().text == "ok"
    provider.blocking.close()
"""


def test_after_a_fork_parent_and_child_both_go_on() -> None:
    with serve(STREAM) as server:
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-W",
                "ignore::DeprecationWarning",
                "-c",
                textwrap.dedent(FORK),
                server.url,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.requests) == 3
