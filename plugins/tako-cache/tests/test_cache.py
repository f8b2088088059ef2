"""The same request is sent only once; a different one is sent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import tako_cache
import trio

import tako
from tako import (
    ChatRequest,
    ChatResponse,
    ContentPart,
    Delta,
    End,
    FinishReason,
    Message,
    Notice,
    Role,
    ToolCallDelta,
    Usage,
)
from tako.errors import ServerError, StreamTruncatedError
from tako.kit.keys import Secret
from tako.parts import ReasoningPart
from tako.state import Origin, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESPONSE = ChatResponse(
    Message(
        Role.ASSISTANT,
        [
            ReasoningPart("hm", State(Origin("acme"), {"opaque": [1, None]})),
            ContentPart.text("Paris, ä."),
            ContentPart.tool_call("c1", "look", {"at": 1.5, "deep": {"b": [True]}}),
        ],
    ),
    FinishReason.TOOL_CALLS,
    Usage(100, 20, 60, 10, 5),
    "acme-1-2026",
    "reply-1",
    "acme:acme-1",
    "done",
    [Notice("x", "odd")],
    {"vendor": ["body"]},
)
CHUNKS = [
    Delta(reasoning="hm", state=State(Origin("acme"), {"opaque": [1]})),
    Delta("Par"),
    Delta("is."),
    Delta(tool_calls=[ToolCallDelta(0, "c1", "look", '{"at"'), ToolCallDelta(1, "c2", "look", "{}")]),
    Delta(tool_calls=[ToolCallDelta(0, arguments_fragment=":1}")]),
    End(FinishReason.TOOL_CALLS, Usage(100, 20), "acme-1-2026", "reply-1", "acme:acme-1", notices=[Notice("x", "odd")]),
]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[tako_cache.Cache]:
    cache = tako_cache.Cache(tmp_path / "replies")
    tako.register(cache)
    yield cache
    tako.unregister(cache)


def test_an_equal_request_is_answered_from_the_disk_with_an_equal_response(cache: Any, acme: Any) -> None:
    provider = acme(response=RESPONSE)
    first, second = provider.blocking.chat("Which city?"), provider.blocking.chat("Which city?")
    assert first == second == RESPONSE
    assert (provider.calls, cache.hits, cache.misses) == (1, 1, 1)
    assert acme(response=None).blocking.chat("Which city?") == RESPONSE  # another object, the same provider


def test_a_stream_is_replayed_chunk_by_chunk(cache: Any, acme: Any) -> None:
    provider = acme(chunks=CHUNKS)
    for _ in range(2):
        assert list(provider.blocking.stream("Which city?")) == CHUNKS
    assert provider.calls == 1


def test_chat_and_stream_of_one_request_are_separate_entries(cache: Any, acme: Any) -> None:
    provider = acme(response=RESPONSE, chunks=CHUNKS)
    provider.blocking.chat("Which city?")
    assert list(provider.blocking.stream("Which city?")) == CHUNKS
    assert provider.calls == 2


@pytest.mark.parametrize(
    "other",
    [
        ChatRequest([Message.user("Which country?")]),
        ChatRequest([Message.user("Which city?")], model="acme-2"),
        ChatRequest([Message.user("Which city?")], temperature=0.0),
        ChatRequest([Message.user("Which city?")], seed=1),
        ChatRequest([Message.user("Which city?")], extra={"top_k": 1}),
        ChatRequest([Message.system("Be brief."), Message.user("Which city?")]),
    ],
)
def test_any_difference_in_the_request_is_another_request(other: ChatRequest, cache: Any, acme: Any) -> None:
    provider = acme(response=RESPONSE)
    provider.blocking.chat("Which city?")
    provider.blocking.chat(other)
    assert provider.calls == 2


def test_the_order_of_keys_does_not_matter(cache: Any, acme: Any) -> None:
    provider = acme(response=RESPONSE)
    for extra in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
        provider.blocking.chat(ChatRequest([Message.user("hi")], extra=extra))
    assert provider.calls == 1


def test_timeouts_and_the_like_do_not_matter(cache: Any, acme: Any) -> None:
    provider = acme(response=RESPONSE)
    for fields in ({}, {"timeout": 5}, {"deadline": 60}, {"headers": {"x-trace": "1"}}):
        provider.blocking.chat(ChatRequest([Message.user("hi")], **fields))
    assert provider.calls == 1


@pytest.mark.parametrize(
    "others",
    [{"model": "acme-2"}, {"base_url": "https://other.example"}, {"key": Secret("key-two")}, {"call": lambda: 2}],
    ids=lambda others: next(iter(others)),
)
def test_providers_that_differ_share_nothing(others: dict[str, Any], cache: Any, acme: Any) -> None:
    settings = {"base_url": "https://acme.example", "key": Secret("key-one"), "call": lambda: 1}
    first, second = acme(response=RESPONSE, **settings), acme(response=RESPONSE, **{**settings, **others})
    for provider in (first, second, acme(response=RESPONSE, **settings)):
        provider.blocking.chat("hi")
    assert (first.calls, second.calls, cache.hits) == (1, 1, 1)


def test_functions_with_other_values_in_their_closure_are_different(cache: Any, acme: Any) -> None:
    def closing_over(value: Any) -> Any:
        return lambda: value

    providers = [acme(response=RESPONSE, call=closing_over(value)) for value in ("a", "b")]
    for provider in providers:
        provider.blocking.chat("hi")
    assert [provider.calls for provider in providers] == [1, 1]


def test_errors_are_not_stored(cache: Any, acme: Any) -> None:
    provider = acme(response=ServerError("down"))
    for _ in range(2):
        with pytest.raises(ServerError):
            provider.blocking.chat("hi")
    provider._answers.response = ChatResponse(Message.assistant("half"), FinishReason.ERROR)
    for _ in range(2):
        provider.blocking.chat("hi")
    assert provider.calls == 4


def test_streams_that_break_or_are_left_are_not_stored(cache: Any, acme: Any) -> None:
    provider = acme(chunks=[Delta("Par"), StreamTruncatedError("cut")])
    for _ in range(2):
        with pytest.raises(StreamTruncatedError):
            provider.blocking.stream("hi").response()
    assert provider.calls == 2
    provider = acme(chunks=CHUNKS, base_url="another")

    async def leave() -> None:
        async with provider.stream("hi") as stream:  # the blocking face would read ahead
            await anext(stream)

    for _ in range(2):
        asyncio.run(leave())
    assert provider.calls == 2
    provider.blocking.stream("hi").response()
    provider.blocking.stream("hi").response()
    assert provider.calls == 3


def test_a_reply_that_json_would_change_is_not_stored(cache: Any, acme: Any) -> None:
    odd = ChatResponse(Message.assistant("ok"), provider="acme:acme-1", raw={1: (2,)})
    provider = acme(response=odd)
    assert [provider.blocking.chat("hi") for _ in range(2)] == [odd, odd]
    assert provider.calls == 2
    unheard = ChatRequest([Message.tool("c1", {"it": object()})])
    assert [provider.blocking.chat(unheard) for _ in range(2)] == [odd, odd]


def test_other_plugins_edit_cached_replies_too(cache: Any, acme: Any) -> None:
    class Shout:
        @tako.hookimpl(wrapper=True)
        def tako_stream(self, provider: Any) -> Any:
            inner = yield

            async def stream(request: Any) -> Any:
                async for chunk in inner(request):
                    yield Delta(chunk.text.upper()) if chunk.kind == "delta" and chunk.text else chunk

            return stream

    provider, shout = acme(chunks=[Delta("paris"), End()]), Shout()
    provider.blocking.stream("hi").response()
    tako.register(shout)
    try:
        assert provider.blocking.stream("hi").response().text == "PARIS"
    finally:
        tako.unregister(shout)
    assert provider.blocking.stream("hi").response().text == "paris"
    assert provider.calls == 1


def test_the_disk_is_used_in_other_threads_on_either_event_loop(
    cache: Any, acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    threads = set()
    connect = sqlite3.connect

    def watched(*args: Any, **options: Any) -> Any:
        threads.add(threading.get_ident())
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", watched)
    provider = acme(response=RESPONSE)
    assert asyncio.run(provider.chat("hi")) == RESPONSE
    assert trio.run(provider.chat, "hi") == RESPONSE
    assert provider.calls == 1
    assert threads
    assert threading.get_ident() not in threads


def test_clear_deletes_all_replies(cache: Any, acme: Any) -> None:
    provider = acme(response=RESPONSE)
    provider.blocking.chat("hi")
    cache.clear()
    provider.blocking.chat("hi")
    assert provider.calls == 2


PROGRAM = """
import sys
import tako
from tako.hooks import hookimpl

class Echo(tako.Provider):
    name = "echo"
    calls = 0

@hookimpl
def tako_chat():
    async def chat(request):
        Echo.calls += 1
        return tako.ChatResponse(tako.Message.assistant("ok"))
    return chat

provider = Echo("m")
provider.blocking.chat("hi")
provider.blocking.chat("hi")
print(Echo.calls, "tako_cache.store" in sys.modules, "tako_cache" in sys.modules)
"""


def test_the_installed_plugin_is_idle_until_the_environment_names_a_directory(tmp_path: Path) -> None:
    environment = {**os.environ, "TAKO_DISABLE_PLUGINS": "otel,prices,record"}
    environment.pop("TAKO_CACHE_DIR", None)
    for variables, printed in (
        ({}, "2 False True"),
        ({"TAKO_CACHE_DIR": str(tmp_path / "replies"), "TAKO_CACHE_EXPIRE": "60"}, "1 True True"),
    ):
        program = [sys.executable, "-c", PROGRAM]
        result = subprocess.run(program, capture_output=True, text=True, env={**environment, **variables}, check=True)
        assert result.stdout.strip() == printed
