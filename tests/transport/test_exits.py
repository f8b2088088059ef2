"""The ends of programs: what nobody closed closes by itself, and nothing is said about it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import TYPE_CHECKING

from tako.testing.server import reply, serve, sse

from .script import BODY

if TYPE_CHECKING:
    from tako.testing.server import Received, Reply

BEGINNING = """
import asyncio, gc, sys, threading, tako

def make(**options):
    return tako.providers.OpenAI("m", base_url=sys.argv[1], api_key="k", **options)

"""
PROGRAMS = {
    "a provider that is dropped as the loop ends": """
        async def main():
            provider = make()
            print((await asyncio.gather(*[provider.chat("x") for _ in range(3)]))[0].text)
            del provider
            gc.collect()

        asyncio.run(main())
        """,
    "a provider that lives on": """
        provider = make()
        print(asyncio.run(provider.chat("x")).text)
        """,
    "a stream that is left, and lives on": """
        provider = make()

        async def main():
            global stream
            stream = provider.stream("x")
            print((await anext(stream)).text)

        asyncio.run(main())
        """,
    "a stream that is left, and its provider dropped": """
        async def main():
            global stream
            provider = make()
            stream = provider.stream("x")
            print((await anext(stream)).text)
            del provider

        asyncio.run(main())
        """,
    "a loop that is closed without more ado": """
        provider = make()
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(provider.chat("x")).text)
        loop.close()
        del provider
        gc.collect()
        """,
    "a loop that is never closed": """
        async def main():
            provider = make()
            print((await provider.chat("x")).text)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        other = make()
        loop.run_until_complete(other.chat("x"))
        """,
    "a loop in a thread that never ends": """
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        provider = make()
        print(asyncio.run_coroutine_threadsafe(provider.chat("x"), loop).result().text)
        del provider
        gc.collect()
        """,
    "the blocking face, and a stream that is left": """
        provider = make()
        print(provider.blocking.chat("x").text)
        stream = provider.blocking.stream("x")
        next(stream)
        """,
    "an exit in the midst of it": """
        provider = make()

        async def main():
            asyncio.create_task(provider.stream("x").response())
            print((await provider.chat("x")).text)
            sys.exit(0)

        asyncio.run(main())
        """,
    "trio": """
        import trio
        provider = make()
        print(trio.run(provider.chat, "x").text)
        """,
    "a client of the user's": """
        import httpx
        provider = make(http_client=httpx.AsyncClient(trust_env=False))
        print(asyncio.run(provider.chat("x")).text)
        """,
}


def answer(request: Received) -> Reply:
    if b'"stream":true' in request.body:
        return reply(sse({"choices": [{"delta": {"content": "ok"}}]}, done=False), ending="hang")
    return reply(json=BODY)


def test_what_nobody_closed_closes_by_itself_and_nothing_is_said() -> None:
    def run(program: str) -> tuple[int, str, str]:
        code = BEGINNING + dedent(program)
        done = subprocess.run(
            [sys.executable, "-c", code, server.url], capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout, done.stderr

    with serve(answer) as server, ThreadPoolExecutor(2) as pool:
        ended = dict(zip(PROGRAMS, pool.map(run, PROGRAMS.values()), strict=True))
    assert {name: outcome for name, outcome in ended.items() if outcome != (0, "ok\n", "")} == {}
