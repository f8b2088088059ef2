"""The specifications are the reference: every hook has an example, and it runs."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

from tako import ChatRequest, ChatResponse, Delta, Message, Translator, hookimpl, hookspecs
from tako.hooks import HOOKS
from tako.parts import Part, TextPart

from .builders import ask, listen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_every_hook_runs(hook: str, vendor: Vendor, register: Register) -> None:
    example = inspect.getdoc(getattr(hookspecs, hook)).partition("::\n\n")[2]
    code = textwrap.dedent(example)
    assert f"def {hook}(" in code
    ast.parse(code)
    namespace: dict[str, Any] = {
        "hookimpl": hookimpl,
        "msgspec": msgspec,
        "TextPart": TextPart,
        "Translator": Translator,
        "Delta": Delta,
        "aclosing": aclosing,
    }
    exec(code, namespace)
    called: list[str] = []

    def echo(translator: Translator) -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            called.append(request.messages[0].text)
            text = translator.encode(request.messages[0].parts[0], None).text
            return ChatResponse(Message.assistant(text))

        return chat

    register(SimpleNamespace(**{hook: namespace[hook]}))
    provider = vendor(tako_chat=echo)("gpt-5")
    openai = vendor("openai", tako_chat=echo)("gpt-6.2-sol")
    match hook:
        case "tako_capabilities":
            assert openai.capabilities.max_context_tokens == 100_000
            assert provider.capabilities.max_context_tokens is None
        case "tako_translator":
            assert ask(provider, "my password is hunter2") == "my password is ***"
        case "tako_chat":
            assert [ask(provider, "q"), ask(provider, "q")] == ["q", "q"]
            assert called == ["q"]
        case "tako_stream":
            assert listen(provider, "shout") == ["SHOUT"]


def test_every_hook_has_a_reference_and_an_example() -> None:
    assert HOOKS == ("tako_capabilities", "tako_translator", "tako_chat", "tako_stream")
    for hook in HOOKS:
        assert "@hookimpl" in (inspect.getdoc(getattr(hookspecs, hook)) or "")


def test_the_page_lists_the_fields_of_every_part() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "hooks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+Part)` \| (.+) \|$", page, re.MULTILINE))
    everywhere = {"state", "extra", "cache"}
    parts = {part.__name__: {*part.__struct_fields__} - everywhere for part in get_args(Part)}
    listed = {name: {*re.findall(r"`(\w+)`", fields)} - everywhere for name, fields in rows.items()}
    assert listed == parts
