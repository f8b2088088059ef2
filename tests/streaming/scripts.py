"""Chat Completions streams, and ways to read them through the OpenAI plugin over loopback sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tako.errors import ProviderTimeoutError
from tako.providers import OpenAI
from tako.testing.server import Reply, Server, reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider


def delta(**fields: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": fields}]}


def finish(reason: str = "stop") -> dict[str, Any]:
    return {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def call(index: int, text: str, id: str | None = None, name: str | None = None) -> dict[str, Any]:
    return delta(tool_calls=[{"index": index, "id": id, "function": {"name": name, "arguments": text}}])


USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}
TEXTS = ["Grüße ", "from ", "\u2028 here"]
ALL_EVENTS = b"".join(
    sse(
        *[delta(content=text) for text in TEXTS],
        call(0, "", "a", "look"),
        call(0, '{"at":'),
        call(0, '"this"}'),
        call(1, '{"n":1', "b", "count"),
        call(1, "2}"),
        finish("tool_calls"),
        USAGE,
    )
)


def provider(server: Server, **options: Any) -> OpenAI:
    return OpenAI("m", api_key="k", base_url=server.url, **{"max_retries": 0, **options})


async def collect(provider: Provider, request: Any = "hi") -> list[Any]:
    return [chunk async for chunk in provider.stream(request)]


def stream_of(script: Reply | list[Any], **options: Any) -> list[Any]:
    with serve(script if isinstance(script, Reply) else reply(sse(*script))) as server:
        return asyncio.run(collect(provider(server, **options)))


HANGING = reply(sse(delta(content="a"), done=False), ending="hang")
PACES = (1, 5, 25)


def at_some_pace(attempt: Callable[[int], None]) -> None:
    """Try what depends on time slower and slower: one of the paces suits the machine, however slow that is."""
    for pace in PACES[:-1]:
        try:
            return attempt(pace)
        except ProviderTimeoutError:
            continue
    return attempt(PACES[-1])
