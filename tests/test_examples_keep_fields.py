"""Examples lose nothing: each plugin of the pages and recipes passes on every field that it doesn't mean to change."""

from __future__ import annotations

import asyncio
import inspect
import os
import runpy
from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tako import (
    Capabilities,
    ChatRequest,
    ChatResponse,
    Citation,
    Delta,
    End,
    FinishReason,
    JsonSchema,
    Message,
    Notice,
    Origin,
    State,
    Tool,
    ToolCallDelta,
    Usage,
    hookspecs,
)
from tako.fold import fold
from tako.hooks import HOOKS
from tako.hooks.checks import has_hooks
from tako.middleware import AroundPlugin
from tako.parts import FilePart, ReasoningPart, TextPart
from tako.testing import isolated
from tako.types import Cost

from .test_docs import PAGES, ROOT, blocks, steps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from tako import Provider

STATE = State(Origin("acme", "m"), {"signature": "abc"})
TEXT = TextPart("hello", [Citation("https://a.example", "A")], state=STATE, cache="5m", extra={"a": 1}, refusal=True)
REQUEST = ChatRequest(
    [Message.system([TEXT]), Message.user([TEXT]), Message.tool("call_1", [TEXT], is_error=True)],
    model="m",
    tools=[Tool("f", "does", {"type": "object"}, strict=True, cache=True, extra={"b": 2})],
    tool_choice="f",
    parallel_tool_calls=False,
    temperature=0.5,
    top_p=0.5,
    max_tokens=7,
    stop=["x"],
    seed=3,
    response_format=JsonSchema("s", {"type": "object"}),
    reasoning="high",
    metadata={"a": "b"},
    extra={"c": 3},
    strict=True,
    timeout=50.0,
    deadline=40.0,
    headers={"x-a": "b"},
    context={"user": "ada"},
)
CHUNKS = [
    Delta("he", citations=(Citation("https://a.example", "A"),), state=STATE, refusal=True),
    Delta(reasoning="hm", state=STATE),
    Delta(part=ReasoningPart("hm", state=STATE)),
    Delta(audio=FilePart("audio/wav", "AAAA", state=STATE)),
    Delta(tool_calls=[ToolCallDelta(0, "call_2", "f", "{}", STATE)]),
    End(
        FinishReason.TOOL_CALLS,
        Usage(1, 2, 3, 4, 5),
        "m-1",
        "id-1",
        "acme:m",
        "done",
        [Notice("code", "message", "path", "acme")],
        {"raw": 1},
        Cost(Decimal(1), Decimal(2), Decimal(3), Decimal(4)),
    ),
]
MEANT = {"deadline": {"deadline"}, "patient": {"deadline"}, "polite": {"messages"}, "Loud": {"messages"}}
"""The fields of the request that an example changes, beside texts; whoever adds to messages keeps what is there."""


def plugins_of(names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Go through what a page or a file defines, for plugins; a class is one if it needs nothing to be made."""
    for name, value in list(names.items()):
        if name == "Rules":  # it shows what happens if a plugin fails
            continue
        if isinstance(value, AroundPlugin):
            yield name, value
        elif inspect.isclass(value) and value.__module__ == names["__name__"] and has_hooks(value):
            takes_arguments = any(one.default is one.empty for one in inspect.signature(value).parameters.values())
            if not takes_arguments:
                yield name, value()


def send(provider: Provider) -> tuple[ChatResponse, list[Any]]:
    async def main() -> tuple[ChatResponse, list[Any]]:
        return await provider.chat(REQUEST), [chunk async for chunk in provider.stream(REQUEST)]

    return asyncio.run(main())


def check(name: str, plugin: Any) -> None:
    """Let a request and chunks with every field set pass one plugin, and see what has changed."""
    seen: list[ChatRequest] = []

    def tako_chat() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            seen.append(request)
            return fold(CHUNKS)

        return chat

    def tako_stream() -> Any:
        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            seen.append(request)
            for chunk in CHUNKS:
                yield chunk

        return stream

    with isolated() as plugins:
        hooks = {"tako_chat": tako_chat, "tako_stream": tako_stream}
        can = Capabilities(supports_streaming=True, supports_tools=True, supports_json_mode=True)
        provider = plugins.provider_class("acme", **hooks)("m", capabilities=can)
        response, chunks = send(provider)
        assert (seen, response, chunks) == ([REQUEST] * 2, fold(CHUNKS), CHUNKS)
        seen.clear()
        plugins.register(plugin, "example", required=True)
        response, chunks = send(provider)
        assert len(seen) == 2, name
        for request in seen:
            for field in msgspec.structs.fields(ChatRequest):
                if field.name not in MEANT.get(name, ()):
                    assert without_text(getattr(request, field.name)) == without_text(getattr(REQUEST, field.name)), (
                        name
                    )
            there = [without_text(part) for message in request.messages for part in message.parts]
            assert all(without_text(part) in there for message in REQUEST.messages for part in message.parts), name
            assert (dict(request.headers), dict(request.context)) == ({"x-a": "b"}, {"user": "ada"}), name
        assert without_text(response) == without_text(fold(CHUNKS)), name
        assert without_text(chunks) == without_text(CHUNKS), name


def without_text(value: Any) -> Any:
    """Return a value in plain form without its texts, which examples may edit."""
    plain = msgspec.to_builtins(value) if not isinstance(value, (dict, list, str)) else value
    if isinstance(plain, dict):
        return {key: without_text(one) for key, one in plain.items() if key != "text"}
    return [without_text(one) for one in plain] if isinstance(plain, list) else plain


def test_every_field_is_set() -> None:
    for value in (REQUEST, CHUNKS[-1], TEXT, REQUEST.tools[0]):
        for field in msgspec.structs.fields(type(value)):
            assert getattr(value, field.name) != field.default, field.name
    for field in msgspec.structs.fields(Delta):
        assert any(getattr(chunk, field.name) != field.default for chunk in CHUNKS[:-1]), field.name


WITH_PLUGINS = [page for page in PAGES if any("hookimpl" in code or ".around" in code for _, code in blocks(page))]


@pytest.mark.parametrize("page", WITH_PLUGINS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_plugins_of_a_page_keep_what_they_do_not_mean(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.environ.copy()
    with isolated(), ExitStack() as stack:
        stack.callback(os.environ.update, before)
        stack.callback(os.environ.clear)
        names: dict[str, Any] = {"__name__": "__page__", "stack": stack}
        for path, line, code in steps(page):
            exec(compile("\n" * line + code, str(path), "exec", dont_inherit=True), names)
        for name, plugin in plugins_of(names):
            check(name, plugin)


@pytest.mark.parametrize("file", sorted(ROOT.glob("docs/recipes/operators/*.py")), ids=lambda file: file.stem)
def test_the_recipes_keep_what_they_do_not_mean(file: Path) -> None:
    if file.stem == "cache":  # it needs a server, and hands the request on as it is
        return
    [(name, plugin)] = plugins_of(runpy.run_path(str(file)))
    check(name, plugin)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_examples_in_the_docstrings_of_the_hooks_keep_what_they_do_not_mean(hook: str) -> None:
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""
    code = inspect.cleandoc(text.partition("::\n")[2])
    names: dict[str, Any] = {"__name__": "__page__"}
    exec("import msgspec\nfrom contextlib import aclosing\nfrom tako import Translator, hookimpl\n", names)
    exec("from tako.parts import TextPart\n" + code, names)
    plugin = type("Example", (), {hook: staticmethod(names[hook])})()
    check(hook, plugin)
