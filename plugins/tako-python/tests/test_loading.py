"""Callables by import path, and in pickles."""

from __future__ import annotations

import asyncio
import pickle
import sys

import pytest

import tako
from tako.errors import ConfigurationError

MODULE = """
class Echo:
    def answer(self, request):
        return request.messages[-1].text

echo = Echo()
limit = 5

def chat(request):
    return "Hi"

def stream(request):
    yield "H"
    yield "i"
"""


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """A module in the working directory."""
    (tmp_path / "my_answers.py").write_text(MODULE)
    (tmp_path / "broken_answers.py").write_text("raise RuntimeError('no\\nweights')")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield "my_answers"
    sys.path[:] = before
    sys.modules.pop("my_answers", None)


def test_an_id_names_a_function_of_a_module_in_the_working_directory(answers: str) -> None:
    provider = tako.get_provider(f"python:{answers}:chat", stream=f"{answers}:stream", max_context_tokens=100)
    assert (provider.id, provider.model) == ("python:my_answers:chat", "my_answers:chat")
    assert asyncio.run(provider.chat("?")).text == "Hi"
    assert asyncio.run(provider.stream("?").response()).text == "Hi"
    assert provider.capabilities.max_context_tokens == 100
    assert tako.get_provider(provider.id).id == provider.id


def test_a_method_of_an_object_works_too(answers: str) -> None:
    assert asyncio.run(tako.get_provider(f"python:{answers}:echo.answer").chat("said")).text == "said"


@pytest.mark.parametrize(
    ("id", "text"),
    [
        ("python:", "python: must name a callable, as in python:package.module:function"),
        ("python:nothing", "python:nothing must name a callable, as in python:package.module:function"),
        ("python:my_answers:", "must name a callable"),
        ("python:no_such_module:chat", "no_such_module can't be imported (ModuleNotFoundError"),
        ("python:broken_answers:chat", "broken_answers can't be imported (RuntimeError: no weights)"),
        ("python:my_answers:chatt", "python:my_answers:chatt: my_answers has no 'chatt'"),
        ("python:my_answers:limit", "limit is an int, which can't be called"),
    ],
)
def test_an_id_that_names_no_callable_is_one_line(answers: str, id: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        tako.get_provider(id)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "raise SystemExit(3)",
        "raise asyncio.CancelledError",
        "raise GeneratorExit",
        "raise type('Panic', (BaseException,), {})",
        "def __getattr__(name): raise ValueError(name)",
    ],
)
def test_a_module_that_raises_anything_is_one_line(tmp_path, monkeypatch, line: str) -> None:
    monkeypatch.setitem(sys.modules, "odd_answers", None)
    del sys.modules["odd_answers"]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "odd_answers.py").write_text(f"import asyncio\n{line}\n")
    with pytest.raises(ConfigurationError, match="python:odd_answers:chat: "):
        tako.get_provider("python:odd_answers:chat")


def test_ctrl_c_during_an_import_interrupts(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "slow_answers.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        tako.get_provider("python:slow_answers:chat")


def test_a_callable_can_be_passed_by_name() -> None:
    provider = tako.get_provider("python:mine", chat=lambda request: "Hi")
    assert (provider.id, asyncio.run(provider.chat("?")).text) == ("mine", "Hi")


def test_a_provider_of_importable_callables_goes_through_a_pickle(answers: str) -> None:
    provider = tako.get_provider(f"python:{answers}:chat")
    asyncio.run(provider.chat("bound by now"))
    unpickled = pickle.loads(pickle.dumps(provider))
    assert (unpickled.id, asyncio.run(unpickled.chat("?")).text) == (provider.id, "Hi")
