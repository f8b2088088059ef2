"""What leaves for a vendor without a chat: a count passes the plugins, and an upload is refused if one is required."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from msgspec.structs import replace

import tako
from tako import ChatRequest, ChatResponse, Message, PluginError, Usage, hookimpl
from tako.errors import PermissionDeniedError, UnsupportedError
from tako.hooks import is_counting
from tako.listing import TokenCount
from tako.parts import FileIdPart
from tako.texts import change_texts

from .builders import ask, listen, plugin, saying

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]

SECRET = "a@b.example"


class Counting:
    """A provider that remembers what it was given to count and to keep."""

    def __init__(self, vendor: Vendor, **hooks: Any) -> None:
        self.counted: list[ChatRequest] = []
        self.kept: list[Any] = []
        counted, kept = self.counted, self.kept

        class Acme(vendor("acme", **({"tako_chat": saying("real")} | hooks))):  # type: ignore[misc]  # made on the spot
            async def count(self, request: ChatRequest) -> TokenCount:
                counted.append(request)
                return TokenCount(7)

            async def upload_file(self, path: Any, mime: str | None, name: str | None) -> FileIdPart:
                kept.append(path)
                return FileIdPart("file-1", "acme")

        self.provider: Provider = Acme("large")

    def count(self, prompt: str = SECRET, **options: Any) -> int:
        return asyncio.run(self.provider.count_tokens(prompt, **options)).input_tokens


@tako.around
async def redact(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
    messages = change_texts(request.messages, lambda text: text.replace(SECRET, "[address]"))
    async for chunk in inner(replace(request, messages=messages)):
        yield chunk


@tako.around
async def policy(provider: Provider, request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
    if (request.model or provider.model) == "forbidden":
        raise PermissionDeniedError("this model isn't allowed here")
    async for chunk in inner(request):
        yield chunk


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("blocking", [True, False])
def test_a_count_gets_the_request_as_plugins_leave_it(
    blocking: bool, required: bool, vendor: Vendor, register: Register
) -> None:
    register(redact, required=required)
    acme = Counting(vendor)
    counted = acme.provider.blocking.count_tokens(SECRET).input_tokens if blocking else acme.count()
    assert counted == 7
    assert [request.messages[0].text for request in acme.counted] == ["[address]"]


def test_the_providers_own_method_lets_the_plugins_come_first_too(vendor: Vendor, register: Register) -> None:
    register(redact, required=True)
    acme = Counting(vendor)

    class Heir(type(acme.provider)):  # type: ignore[misc]  # made on the spot
        async def count(self, request: ChatRequest) -> TokenCount:
            inherited = await super().count(request)
            return TokenCount(inherited.input_tokens + 1)

    request = ChatRequest([Message.user(SECRET)])
    assert asyncio.run(acme.provider.count(request)).input_tokens == 7
    assert asyncio.run(Heir("large").count(request)).input_tokens == 8
    assert [request.messages[0].text for request in acme.counted] == ["[address]"] * 2


def test_a_plugin_that_refuses_a_request_refuses_its_count(vendor: Vendor, register: Register) -> None:
    register(policy, required=True)
    acme = Counting(vendor)
    with pytest.raises(PermissionDeniedError, match="this model isn't allowed here"):
        acme.count(model="forbidden")
    assert (acme.count(), len(acme.counted)) == (7, 1)


@pytest.mark.parametrize("options", [{}, {"trylast": True}, {"tryfirst": True}])
def test_wrappers_of_the_chat_hook_change_it_wherever_they_stand(
    options: dict[str, Any], vendor: Vendor, register: Register
) -> None:
    @hookimpl(wrapper=True, **options)
    def tako_chat() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            response = await inner(replace(request, messages=[Message.user("edited")]))
            raise AssertionError(response)  # a count doesn't come back

        return chat

    register(plugin(tako_chat=tako_chat))
    acme = Counting(vendor)
    assert acme.count(deadline=60) == 7
    assert acme.counted[0].messages == [Message.user("edited")]


def test_a_count_and_a_chat_share_what_a_plugin_keeps(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        inner = yield
        calls = []

        async def chat(request: ChatRequest) -> ChatResponse:
            calls.append(request)
            if len(calls) > 2:
                raise PermissionDeniedError("used up")
            response: ChatResponse = await inner(request)
            return response

        return chat

    register(plugin(tako_chat=tako_chat))
    acme = Counting(vendor)
    assert (ask(acme.provider), acme.count()) == ("real", 7)
    with pytest.raises(PermissionDeniedError, match="used up"):
        acme.count()


def test_a_plugin_sees_a_count_end_as_a_cancelled_call(vendor: Vendor, register: Register) -> None:
    ends: list[str] = []
    counts: list[bool] = []

    @tako.around
    async def watch(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        counts.append(is_counting())
        try:
            async for chunk in inner(request):
                yield chunk
            ends.append("reply")
        except Exception as error:  # noqa: BLE001 - whatever it sees
            ends.append(repr(error))
        finally:
            ends.append("finally")

    register(watch)
    acme = Counting(vendor)
    assert (acme.count(), ends) == (7, ["finally"])
    assert (ask(acme.provider), ends[1:]) == ("real", ["reply", "finally"])
    assert counts == [True, False]


def test_one_that_runs_the_request_in_a_task_of_its_own_is_counted_too(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(inner(request))
            return task.result()

        return chat

    register(plugin(tako_chat=tako_chat))
    assert Counting(vendor).count() == 7


def test_a_required_plugin_that_is_missing_or_broken_refuses_the_count(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        yield
        raise ConnectionError("no rules")

    register(plugin(tako_chat=tako_chat), "rules", required=True)
    acme = Counting(vendor)
    with pytest.raises(PluginError, match="plugin 'rules' is required and tako_chat failed"):
        acme.count()
    assert acme.counted == []


def test_a_plugin_that_answers_in_the_providers_place_isnt_run_for_a_count(vendor: Vendor, register: Register) -> None:
    register(plugin(tako_chat=saying("canned")), "canned")
    acme = Counting(vendor)
    assert ask(acme.provider) == "canned"
    with pytest.raises(
        UnsupportedError, match=r"^acme:large can't count tokens: plugin 'canned' answers in its place$"
    ):
        acme.count()
    assert acme.counted == []


def test_a_reply_that_a_plugin_kept_tells_the_count(vendor: Vendor, register: Register) -> None:
    kept = ChatResponse(Message.assistant("kept"), usage=Usage(input_tokens=3))

    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        yield

        async def chat(request: ChatRequest) -> ChatResponse:
            return kept if request.messages[0].text == "known" else ChatResponse(Message.assistant("made up"))

        return chat

    register(plugin(tako_chat=tako_chat))
    acme = Counting(vendor)
    assert acme.count("known") == 3
    with pytest.raises(UnsupportedError, match="can't count tokens: a plugin answered the request itself"):
        acme.count("unknown")
    assert acme.counted == []


@pytest.mark.parametrize("way", ["chat", "stream"])
def test_what_a_plugin_asks_itself_during_a_count_is_answered(way: str, vendor: Vendor, register: Register) -> None:
    replies: list[str] = []

    @tako.around
    async def summarise(provider: Provider, request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        if request.messages[0].text == SECRET:
            answer = provider.chat("summary?") if way == "chat" else provider.stream("summary?").response()
            replies.append((await answer).text)
            request = replace(request, messages=[Message.user(replies[-1])])
        async for chunk in inner(request):
            yield chunk

    register(summarise)
    acme = Counting(vendor)
    assert (acme.count(), replies) == (7, ["real"])
    assert acme.counted[0].messages[0].text == "real"
    assert listen(acme.provider) == ["real"]


def test_the_log_doesnt_take_a_count_for_a_chat(
    vendor: Vendor, register: Register, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tako")
    assert Counting(vendor).count() == 7
    assert caplog.messages == []


def test_an_upload_is_refused_if_a_plugin_around_requests_is_required(
    vendor: Vendor, register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = Counting(vendor)
    register(redact)
    assert acme.provider.blocking.upload(tmp_path).id == "file-1"
    tako.unregister(redact)
    register(redact, required=True)
    refusal = (
        "acme:large: upload would send the file past plugin 'redact', which is required; put the file into a request"
    )
    with pytest.raises(PluginError, match=refusal):
        acme.provider.blocking.upload(tmp_path)
    with pytest.raises(PluginError, match=refusal):
        asyncio.run(acme.provider.upload_file(tmp_path, None, None))
    tako.unregister(redact)
    monkeypatch.setenv("TAKO_REQUIRE_PLUGINS", "elsewhere")
    with pytest.raises(PluginError, match="plugin 'elsewhere' is required by TAKO_REQUIRE_PLUGINS, but missing"):
        asyncio.run(acme.provider.upload(tmp_path))
    assert acme.kept == [tmp_path]


def test_one_that_knows_models_doesnt_stand_in_the_way_of_an_upload(
    vendor: Vendor, register: Register, tmp_path: Path
) -> None:
    def tako_capabilities() -> tako.Capabilities:
        return tako.Capabilities(max_context_tokens=1000)

    register(plugin(tako_capabilities=tako_capabilities), required=True)
    assert Counting(vendor).provider.blocking.upload(tmp_path).id == "file-1"


def test_a_plugin_that_shields_its_call_ends_a_count_with_an_error(vendor: Vendor, register: Register) -> None:
    @tako.around
    async def shielded(request: ChatRequest, inner: Any) -> AsyncGenerator[Any, None]:
        with anyio.CancelScope(shield=True):
            chunks = [chunk async for chunk in inner(request)]
        for chunk in chunks:
            yield chunk

    register(shielded)
    counting = Counting(vendor)
    with pytest.raises(UnsupportedError, match="a plugin shields its call from being cancelled"):
        counting.count()
    assert counting.counted == []
