"""Blocking calls without an event loop: which code has one all the same, and how a call is left."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, Translator, hookimpl
from tako.direct_calls import event_loop, run_directly, waiting
from tako.loop_thread import loop_thread
from tako.providers import OpenAI
from tako.testing.server import reply, serve
from tako.testing.waiting import until

from .script import ANSWER, provider
from .signals import AlarmError, interrupting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

SLOW = reply(json={}, delay=60)


class AroundChat:
    """A plugin around every chat: ``chat(provider, request, inner)``."""

    def __init__(self, chat: Callable[..., Any], *, needs_event_loop: bool = False) -> None:
        self.chat = chat
        self.needs_event_loop = needs_event_loop

    @hookimpl(wrapper=True)
    def tako_chat(self, provider: Provider) -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> Any:
            return await self.chat(provider, request, inner)

        return chat


def test_a_subclass_has_an_event_loop_unless_it_says_otherwise() -> None:
    class Own(OpenAI):
        async def authorize(self, method: str, url: str, body: bytes) -> dict[str, str]:
            return {"x-loop": type(asyncio.get_running_loop()).__name__}

    with serve(ANSWER) as server:
        assert Own("m", api_key="k", base_url=server.url).blocking.chat("hi").text == "ok"
        assert "EventLoop" in server.requests[0].headers["x-loop"]


@pytest.mark.parametrize("needs", [True, False])
def test_a_plugin_has_an_event_loop_unless_it_says_otherwise(needs: bool, register: Callable[..., None]) -> None:
    threads: list[int] = []

    async def chat(provider: Provider, request: ChatRequest, inner: Any) -> Any:
        threads.append(threading.get_ident())
        return await inner(request)

    register(AroundChat(chat, needs_event_loop=needs), "looking")
    with serve(ANSWER) as server:
        assert provider(server).blocking.chat("hi").text == "ok"
    assert (threads == [threading.get_ident()]) is not needs


def test_hooks_that_use_asyncio_are_called_on_an_event_loop(register: Callable[..., None]) -> None:
    loops: list[object] = []

    class Plugin:
        @hookimpl
        def tako_chat(self, provider: Provider) -> None:
            loops.append(asyncio.get_running_loop())

        @hookimpl(wrapper=True)
        def tako_translator(self, provider: Provider) -> Any:
            inner = yield

            def encode(part: Any, context: Any) -> Any:
                loops.append(asyncio.get_running_loop())
                return inner.encode(part, context)

            return Translator(encode, inner.decode)

    register(Plugin(), "looking")
    with serve(ANSWER) as server:
        assert provider(server).blocking.chat("hi").text == "ok"
    assert loops == [loop_thread().loop] * 2


def test_a_plugin_sees_that_a_call_is_cancelled(
    register: Callable[..., None], raising: Callable[[BaseException], None]
) -> None:
    variable = ContextVar("variable", default="outside")
    ends: list[type[BaseException] | str] = []

    async def chat(provider: Provider, request: ChatRequest, inner: Any) -> Any:
        ends.append(variable.get())
        token = variable.set("inside")
        try:
            return await inner(request)
        except BaseException as error:
            ends.append(type(error))
            raise
        finally:
            variable.reset(token)
            ends.append(variable.get())

    register(AroundChat(chat), "looking")
    raising(AlarmError("late"))
    variable.set("caller")
    with serve(SLOW) as server:
        with interrupting(lambda: len(server.requests) == 1), pytest.raises(AlarmError):
            provider(server).blocking.chat("hi")
        until(lambda: len(ends) == 3)
    assert ends == ["caller", asyncio.CancelledError, "caller"]
    assert variable.get() == "caller"


def test_a_plugin_may_run_an_event_loop_of_its_own(register: Callable[..., None]) -> None:
    async def chat(provider: Provider, request: ChatRequest, inner: Any) -> Any:
        if provider.model == "m":
            other = OpenAI("other", api_key="k", base_url=server.url)
            assert asyncio.run(other.chat("hi")).text == "ok"
        return await inner(request)

    register(AroundChat(chat), "nesting")
    with serve(ANSWER) as server:
        assert provider(server).blocking.chat("hi").text == "ok"
        assert len(server.requests) == 2


def test_a_call_moves_to_an_event_loop_once_it_needs_one() -> None:
    async def work() -> list[int]:
        places = [threading.get_ident()]
        await event_loop()
        return [*places, threading.get_ident()]

    assert run_directly(work()) == [threading.get_ident(), loop_thread().thread.ident]


def test_what_a_call_waits_for_is_outside_of_it() -> None:
    def fail() -> None:
        raise AlarmError

    async def work() -> None:
        try:
            await waiting(fail)
        except Exception:  # noqa: BLE001 - none may come here
            pytest.fail("the coroutine saw the exception")

    with pytest.raises(AlarmError):
        run_directly(work())
