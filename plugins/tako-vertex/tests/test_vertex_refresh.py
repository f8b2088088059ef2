"""Tokens are fetched once for all, off the loop, and ahead of their end."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from tako_vertex import Vertex
from tako_vertex.credentials import CredentialSource
from tako_vertex.tokens import REFRESH_EARLY, Tokens

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


async def chat_many_times(provider: Vertex, count: int) -> list[ChatResponse | BaseException]:
    return await asyncio.gather(*[provider.chat("Hello") for _ in range(count)], return_exceptions=True)


def provider_with_clock(server: Server, credentials: Any, clock: Clock) -> Vertex:
    """Return a provider whose tokens use this clock."""
    provider = Vertex("m", project_id="p", credentials=credentials, endpoint_url=server.url)
    provider.tokens = Tokens(CredentialSource(provider.id, credentials), clock)
    return provider


async def wait_for(event: threading.Event) -> None:
    """Let the loop run until the event is set."""
    assert await asyncio.to_thread(event.wait, HANG)


async def fetches_end() -> None:
    """Let the loop run until no token is being fetched."""
    while threads := [thread for thread in threading.enumerate() if thread.name == "tako-vertex-token"]:
        await asyncio.to_thread(threads[0].join, HANG)


def test_a_hundred_first_calls_fetch_one_token_and_do_not_block_the_loop(google: Any, account: Any) -> None:
    async def main() -> None:
        google.gate.clear()
        with serve(google) as server:
            file = account(server)
            async with Vertex("m", service_account_file=file, endpoint_url=server.url) as provider:
                calls = asyncio.create_task(chat_many_times(provider, 100))
                await wait_for(google.token_requested)
                google.gate.set()  # which only a loop that runs on can do
                answers = await calls
            assert [getattr(answer, "text", answer) for answer in answers] == ["ok"] * 100
            assert google.tokens_issued == 1
            requests = [request for request in server.requests if request.path != "/token"]
            assert {request.headers["authorization"] for request in requests} == {"Bearer ya29.token-1"}
            assert requests[0].path.startswith("/v1/projects/file-project/")

    asyncio.run(main())


def test_one_provider_in_several_loops_fetches_one_token(google: Any, user: Any) -> None:
    with serve(google) as server:
        provider = Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url)
        for _ in range(3):
            assert provider.blocking.chat("Hello").text == "ok"
            assert asyncio.run(provider.chat("Hello")).text == "ok"
        assert google.tokens_issued == 1


def test_a_token_that_is_about_to_expire_is_replaced_while_calls_continue(google: Any, user: Any) -> None:
    async def main() -> None:
        clock = Clock()
        with serve(google) as server:
            async with provider_with_clock(server, user(server), clock) as provider:
                assert all(isinstance(answer, ChatResponse) for answer in await chat_many_times(provider, 20))
                assert google.tokens_issued == 1
                clock.ahead = HOUR - REFRESH_EARLY + 1
                google.gate.clear()
                assert all(isinstance(answer, ChatResponse) for answer in await chat_many_times(provider, 100))
                google.gate.set()
                await fetches_end()
                await provider.chat("Hello")
                assert server.requests[-1].headers["authorization"] == "Bearer ya29.token-2"
                assert google.tokens_issued == 2

    asyncio.run(main())


def test_a_failed_refresh_does_not_fail_calls_with_a_valid_token(google: Any, user: Any) -> None:
    async def main() -> None:
        clock, google.valid_tokens = Clock(), 1
        with serve(google) as server:
            async with provider_with_clock(server, user(server), clock) as provider:
                await provider.chat("Hello")
                clock.ahead = HOUR - REFRESH_EARLY + 1
                for _ in range(3):
                    assert all(isinstance(answer, ChatResponse) for answer in await chat_many_times(provider, 25))
                await fetches_end()
                assert google.tokens_issued == 2
                clock.ahead = HOUR + HANG
                results = await chat_many_times(provider, 100)
                assert {type(result) for result in results} == {errors.AuthenticationError}
                assert "credentials=" in str(results[0])
                assert "invalid_grant" in str(results[0])
                assert google.tokens_issued == 3

    asyncio.run(main())


def test_a_refused_token_is_replaced_once_for_all_calls_and_each_call_is_repeated_once(google: Any, user: Any) -> None:
    async def main() -> None:
        google.refused_tokens = ("ya29.token-1",)
        with serve(google) as server:
            async with Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url) as provider:
                assert all(isinstance(answer, ChatResponse) for answer in await chat_many_times(provider, 100))
                assert google.tokens_issued == 2
                async with provider.stream("Hello") as stream:
                    assert (await stream.response()).text == "ok"

    asyncio.run(main())


def test_credentials_that_are_always_refused_are_tried_twice(google: Any, user: Any) -> None:
    google.refused_tokens = ("ya29.token-1", "ya29.token-2")
    with serve(google) as server:
        provider = Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url)
        with pytest.raises(errors.AuthenticationError, match="UNAUTHENTICATED"):
            provider.blocking.chat("Hello")
        assert len(server.requests) == 4


def test_a_cancelled_call_does_not_cancel_the_token_that_others_wait_for(google: Any, user: Any) -> None:
    async def main() -> None:
        google.gate.clear()
        with serve(google) as server:
            async with Vertex("m", project_id="p", credentials=user(server), endpoint_url=server.url) as provider:
                cancelled_call = asyncio.create_task(provider.chat("Hello"))
                await wait_for(google.token_requested)
                cancelled_call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await cancelled_call
                other_calls = asyncio.create_task(chat_many_times(provider, 10))
                google.gate.set()
                assert all(isinstance(answer, ChatResponse) for answer in await other_calls)
                assert google.tokens_issued == 1

    asyncio.run(main())
