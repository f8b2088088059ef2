"""The ways in which a request may travel: each promise about connections holds on all of them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx
import trio

from tako.direct_calls import run_directly
from tako.providers import OpenAI

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOP_WAYS = ("asyncio", "trio", "transport", "client")
OURS = ("asyncio", "blocking", "trio")
WAYS = ("blocking", *LOOP_WAYS)
"""On "blocking", a coroutine can only wait for providers."""


def run(way: str, url: str, use: Callable[[OpenAI], Awaitable[Any]], **options: Any) -> Any:
    """Run ``use(provider)`` on asyncio, without a loop, on trio, or by a transport or a client of the user's."""

    async def main() -> Any:
        async with AsyncExitStack() as stack:
            if way == "transport":
                options["transport"] = await stack.enter_async_context(httpx.AsyncHTTPTransport())
            if way == "client":
                options["http_client"] = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            one = OpenAI("m", api_key="k", base_url=url, **{"max_retries": 0, **options})
            return await use(await stack.enter_async_context(one))

    match way:
        case "trio":
            return trio.run(main)
        case "blocking":
            return run_directly(main())
        case _:
            return asyncio.run(main())


def ask(way: str, url: str, streamed: bool = False, **options: Any) -> Any:
    """Ask once, and return the reply."""

    async def once(provider: OpenAI) -> Any:
        return await (provider.stream("hi").response() if streamed else provider.chat("hi"))

    return run(way, url, once, **options)
