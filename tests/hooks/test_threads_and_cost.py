"""Many threads at once, and what a call costs with many plugins."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import hookimpl
from tako.hooks import PluginWarning

from .builders import able, ask, boom, plugin, saying, streaming

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


def test_many_threads_bind_and_register_at_once(vendor: Vendor, register: Register) -> None:
    classes = [vendor(f"acme{i}", tako_chat=saying("vendor")) for i in range(4)]
    wrong: list[Any] = []
    start = threading.Barrier(12)

    def call(cls: type[Provider]) -> None:
        start.wait()
        for _ in range(30):
            try:
                text = ask(cls("m"))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
                wrong.append(error)
            else:
                if text not in ("vendor", "general"):
                    wrong.append(text)

    def churn() -> None:
        start.wait()
        for _ in range(30):
            one = plugin(tako_chat=saying("general"))
            tako.register(one)
            tako.unregister(one)

    threads = [threading.Thread(target=call, args=(classes[i % 4],)) for i in range(8)]
    threads += [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_plugin_that_fails_in_many_threads_is_warned_about_once(vendor: Vendor, register: Register) -> None:
    register(plugin(tako_chat=boom), "bad")
    cls = vendor(tako_chat=saying("vendor"))
    texts: list[Any] = []
    start = threading.Barrier(8)

    def call() -> None:
        start.wait()
        try:
            texts.append(ask(cls("m")))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
            texts.append(error)

    threads = [threading.Thread(target=call) for _ in range(8)]
    with pytest.warns(PluginWarning) as caught:  # noqa: PT031 - the threads warn, and they are joined here
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == ["vendor"] * 8
    assert len(caught) == 1


def test_a_call_does_not_pass_through_pluggy_however_many_plugins_there_are(vendor: Vendor, register: Register) -> None:
    provider = vendor(tako_chat=saying("vendor"))("m")

    def calls_of_one_chat() -> int:
        count_of_calls = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal count_of_calls
            count_of_calls += event == "call"
            assert event != "call" or "pluggy" not in frame.f_code.co_filename

        async def main() -> None:
            await provider.chat("warm up")
            gc.disable()  # what it finalises is no part of a call
            sys.setprofile(count)
            try:
                await provider.chat("hi")
            finally:
                sys.setprofile(None)
                gc.enable()

        asyncio.run(main())
        return count_of_calls

    before = calls_of_one_chat()
    for i in range(30):
        register(
            plugin(tako_chat=lambda: None, tako_stream=lambda: None, tako_translator=lambda: None), f"declines {i}"
        )
    assert calls_of_one_chat() == before
    assert before <= 30


def test_a_plugin_that_hands_a_stream_on_as_it_is_costs_its_chunks_nothing(vendor: Vendor, register: Register) -> None:
    provider = vendor(tako_chat=saying("vendor"), tako_stream=streaming(*"abcdefgh"), tako_capabilities=able)("m")

    def resumed_by_one_stream() -> int:
        count_of_calls = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal count_of_calls
            count_of_calls += event == "call"

        async def main() -> None:
            chunks = aiter(provider.stream("hi"))
            await anext(chunks)
            gc.disable()
            sys.setprofile(count)
            try:
                await anext(chunks)
            finally:
                sys.setprofile(None)
                gc.enable()

        asyncio.run(main())
        return count_of_calls

    @hookimpl(wrapper=True)
    def tako_stream() -> Any:
        inner = yield
        return lambda request: inner(request)  # noqa: PLW0108 - a function of its own, as a plugin has it

    before = resumed_by_one_stream()
    register(plugin(tako_stream=tako_stream), "hands on")
    assert resumed_by_one_stream() == before
    assert before < 6
