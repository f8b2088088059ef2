"""Retries: of what passes, as long as nothing has been delivered, and with the pause that the vendor asks for."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tako import Delta
from tako.errors import OverloadedError, RateLimitError, ServerError, StreamTruncatedError, TakoError
from tako.testing.server import reply, serve, sse

from .scripts import collect, delta, finish, provider, stream_of


def test_a_failure_before_the_first_chunk_is_retried() -> None:
    refused = reply(json={"error": {"message": "later"}}, status=503, headers={"retry-after-ms": "1"})
    with serve(refused, refused, reply(sse(delta(content="a"), finish()))) as server:
        chunks = asyncio.run(collect(provider(server, max_retries=2)))
    assert chunks[0] == Delta("a")
    assert len(server.requests) == 3


def test_an_error_event_in_place_of_the_first_chunk_is_retried_too() -> None:
    refused = reply(sse({"error": {"message": "full", "type": "overloaded_error"}}))
    with serve(refused, reply(sse(delta(content="a"), finish()))) as server:
        chunks = asyncio.run(collect(provider(server, max_retries=1)))
    assert chunks[0] == Delta("a")


@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_nothing_is_retried_after_the_first_chunk(ending: Any) -> None:
    delivered: list[Any] = []

    async def main() -> None:
        async for chunk in provider(server, max_retries=3).stream("hi"):
            delivered.extend([chunk])

    start = sse(delta(content="a"), done=False)
    with serve(reply([*start, lambda: bool(delivered)], ending=ending)) as server:
        with pytest.raises(StreamTruncatedError):
            asyncio.run(main())
        assert len(server.requests) == 1
    assert delivered == [Delta("a")]


def test_an_error_event_after_the_first_chunk_is_not_retried() -> None:
    with serve(reply(sse(delta(content="a"), {"error": {"message": "full", "type": "overloaded_error"}}))) as server:
        with pytest.raises(OverloadedError):
            asyncio.run(collect(provider(server, max_retries=3)))
        assert len(server.requests) == 1


def test_what_will_not_pass_is_not_retried() -> None:
    with serve(reply(json={"error": {"message": "no"}}, status=400)) as server:
        with pytest.raises(TakoError):
            asyncio.run(provider(server, max_retries=3).chat("hi"))
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9),
        ({"retry-after": "3600"}, 3600),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "1_0"}, None),
        ({"retry-after": "+0900"}, None),
        ({"retry-after": "7, 8"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 +" + "9" * 20}, None),
        ({"retry-after": "Sun, 36 Nov 1994 28:49:37 GMT"}, None),
        ({}, None),
    ],
)
def test_the_pause_that_a_vendor_asks_for_is_on_the_error(headers: dict[str, str], seconds: float | None) -> None:
    with pytest.raises(RateLimitError) as caught:
        stream_of(reply(json={"error": {"message": "no"}}, status=429, headers=headers))
    assert caught.value.retry_after == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("seconds", [-100, -1, 0, 30, 4000])
def test_a_pause_that_ends_at_a_date_is_what_is_left_of_it(seconds: int) -> None:
    began = datetime.now(UTC)
    date = (began + timedelta(seconds=seconds)).replace(microsecond=0)
    headers = {"retry-after": format_datetime(date, usegmt=True)}
    with pytest.raises(RateLimitError) as caught:
        stream_of(reply(json={"error": {"message": "no"}}, status=429, headers=headers))
    left = [max(0.0, (date - now).total_seconds()) for now in (datetime.now(UTC), began)]
    assert caught.value.retry_after is not None
    assert left[0] <= caught.value.retry_after <= left[1]


def test_a_pause_of_an_hour_is_not_waited_for() -> None:
    refused = reply(json={"error": {"message": "no"}}, status=429, headers={"retry-after": "3600"})
    with serve(refused) as server, pytest.raises(RateLimitError) as caught:
        asyncio.run(asyncio.wait_for(provider(server, max_retries=3).chat("hi"), 60))
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1


def test_a_vendors_pause_is_kept() -> None:
    refused = reply(json={"error": {"message": "no"}}, status=429, headers={"retry-after": "0.3"})
    with serve(refused, reply(sse(delta(content="a"), finish()))) as server:
        began = time.monotonic()
        asyncio.run(collect(provider(server, max_retries=1)))
    assert time.monotonic() - began >= 0.3


def test_after_the_last_retry_the_error_is_the_vendors() -> None:
    refused = reply(json={"error": {"message": "still not"}}, status=500, headers={"retry-after-ms": "1"})
    with serve(refused) as server:
        with pytest.raises(ServerError, match="still not"):
            asyncio.run(provider(server, max_retries=2).chat("hi"))
        assert len(server.requests) == 3
