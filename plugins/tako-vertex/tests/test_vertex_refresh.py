"""Tokens are fetched once for all, off the loop, and ahead of their end."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from tako_vertex import Vertex
from tako_vertex.sources import Source
from tako_vertex.tokens import EARLY, Tokens

from tako import ChatResponse, errors
from tako.testing.server import Server, serve

HOUR = 3600
HANG = 120.0
"""Seconds after which a test that waits for something fails."""


class Clock:
    """Unix time, which a test may set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._began = time.time()

    def __call__(self) -> float:
        """Stand still unless a test says otherwise."""
        return self._began + self.ahead


async def many(provider: Vertex, count: int) -> list[ChatResponse | BaseException]:
    return await asyncio.gather(*[provider.chat("Hello") for _ in range(count)], return_exceptions=True)


def timed(server: Server, credentials: Any, clock: Clock) -> Vertex:
    """Make a provider whose tokens go by that clock."""
    provider = Vertex("m", project_id="p", credentials=credentials, endpoint_url=server.url)
    provider.tokens = Tokens(Source(provider.id, credentials), clock)
    return provider


async def until(event: threading.Event) -> None:
    """Let the loop run until it has happened."""
    assert await asyncio.to_thread(event.wait, HANG)


async def landed() -> None:
    """Let the loop run until no token is being fetched."""
    while threads := [thread for thread in threading.enumerate() if thread.name == "tako-vertex-token"]:
        await asyncio.to_thread(threads[0].join, HANG)


def test_a_hundred_cold_calls_fetch_one_token_and_do_not_block_the_loop(google: Any, account: Any) -> None:
    async def main() -> None:
        google.gate.clear()
        with serve(google) as server:
            file = account(server)
            async with Vertex("m", service_account_file=file, endpoint_url=server.url) as provider:
                calls = asyncio.create_task(many(provider, 100))
                await until(google.asked)
                google.gate.set()  # which only a loop that runs on can do
                answers = await calls
            assert [getattr(answer, "text", answer) for answer in answers] == ["ok"] * 100
            assert google.count == 1
            sent = [request for request in server.requests if request.path != "/token"]
            assert {request.headers["authorization"] for request in sent} == {"Bearer ya29.token-1"}
            assert sent[0].path.startswith("/v1/projects/file-project/")

    asyncio.run(main())


def test_one_provider_in_several_loops_fetches_one_token(google: Any, user: Any) -> None:
    with serve(google) as server:
        provider = Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url)
        for _ in range(3):
            assert provider.blocking.chat("Hello").text == "ok"
            assert asyncio.run(provider.chat("Hello")).text == "ok"
        assert google.count == 1


def test_a_token_near_its_end_is_replaced_while_calls_go_on(google: Any, user: Any) -> None:
    async def main() -> None:
        clock = Clock()
        with serve(google) as server:
            async with timed(server, user(server), clock) as provider:
                assert all(isinstance(answer, ChatResponse) for answer in await many(provider, 20))
                assert google.count == 1
                clock.ahead = HOUR - EARLY + 1
                google.gate.clear()
                assert all(isinstance(answer, ChatResponse) for answer in await many(provider, 100))
                google.gate.set()
                await landed()
                await provider.chat("Hello")
                assert server.requests[-1].headers["authorization"] == "Bearer ya29.token-2"
                assert google.count == 2

    asyncio.run(main())


def test_a_refresh_that_fails_does_not_fail_calls_that_hold_a_valid_token(google: Any, user: Any) -> None:
    async def main() -> None:
        clock, google.good = Clock(), 1
        with serve(google) as server:
            async with timed(server, user(server), clock) as provider:
                await provider.chat("Hello")
                clock.ahead = HOUR - EARLY + 1
                for _ in range(3):
                    assert all(isinstance(answer, ChatResponse) for answer in await many(provider, 25))
                await landed()
                assert google.count == 2
                clock.ahead = HOUR + HANG
                failed = await many(provider, 100)
                assert {type(failure) for failure in failed} == {errors.AuthenticationError}
                assert "credentials=" in str(failed[0])
                assert "invalid_grant" in str(failed[0])
                assert google.count == 3

    asyncio.run(main())


def test_a_token_that_is_refused_is_replaced_once_for_all_and_the_calls_are_repeated_once(
    google: Any, user: Any
) -> None:
    async def main() -> None:
        google.refuse = ("ya29.token-1",)
        with serve(google) as server:
            async with Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url) as provider:
                assert all(isinstance(answer, ChatResponse) for answer in await many(provider, 100))
                assert google.count == 2
                async with provider.stream("Hello") as stream:
                    assert (await stream.response()).text == "ok"

    asyncio.run(main())


def test_credentials_that_are_refused_for_good_are_tried_twice(google: Any, user: Any) -> None:
    google.refuse = ("ya29.token-1", "ya29.token-2")
    with serve(google) as server:
        provider = Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url)
        with pytest.raises(errors.AuthenticationError, match="UNAUTHENTICATED"):
            provider.blocking.chat("Hello")
        assert len(server.requests) == 4


def test_a_caller_who_leaves_does_not_take_the_token_along(google: Any, user: Any) -> None:
    async def main() -> None:
        google.gate.clear()
        with serve(google) as server:
            async with Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url) as provider:
                leaving = asyncio.create_task(provider.chat("Hello"))
                await until(google.asked)
                leaving.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await leaving
                staying = asyncio.create_task(many(provider, 10))
                google.gate.set()
                assert all(isinstance(answer, ChatResponse) for answer in await staying)
                assert google.count == 1

    asyncio.run(main())
