"""Functions for `chat`, and what they may return."""

from __future__ import annotations

import asyncio
import functools
import threading

import pytest
from tako_python import PythonProvider

import tako
from tako.errors import ConfigurationError, ProviderError, RateLimitError, ResponseError
from tako.parts import ToolCallPart

HANG = 120.0


def ask(chat, request="Hello"):
    async def main():
        return await PythonProvider("mine", chat).chat(request)

    return asyncio.run(main())


class Callable:
    async def __call__(self, request):
        return "from an object"


async def coroutine_function(request):
    return f"{request.messages[0].text}!"


def test_a_coroutine_function_answers_with_a_str() -> None:
    response = ask(coroutine_function)
    assert (response.text, response.model, response.finish_reason) == ("Hello!", "mine", "stop")
    assert response.usage.total == 0


def test_objects_partials_and_functions_that_return_awaitables_are_callables_too() -> None:
    assert ask(Callable()).text == "from an object"
    assert ask(functools.partial(coroutine_function)).text == "Hello!"
    assert ask(lambda request, suffix="": coroutine_function(request)).text == "Hello!"


def test_a_plain_function_runs_in_a_worker_thread_while_the_loop_runs() -> None:
    threads = []
    started, may_go = threading.Event(), threading.Event()

    def chat(request):
        threads.append(threading.current_thread())
        started.set()
        assert may_go.wait(HANG)
        return "done"

    async def main():
        task = asyncio.ensure_future(PythonProvider("mine", chat).chat("Hello"))
        assert await asyncio.to_thread(started.wait, HANG)
        may_go.set()  # which only a loop that turns although `chat` blocks can do
        return await task

    assert asyncio.run(main()).text == "done"
    assert threads[0] is not threading.current_thread()


def test_a_caller_that_is_cancelled_does_not_wait_for_a_plain_function() -> None:
    started, may_end = threading.Event(), threading.Event()
    waited = []

    def chat(request):
        started.set()
        waited.append(may_end.wait(HANG))

    async def main():
        task = asyncio.ensure_future(PythonProvider("mine", chat).chat("Hello"))
        assert await asyncio.to_thread(started.wait, HANG)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not waited
        may_end.set()

    asyncio.run(main())


def test_a_dict_carries_text_usage_and_calls() -> None:
    calls = [
        {"name": "weather", "args": {"city": "Paris"}, "id": "c1"},
        {"name": "weather", "args": '{"city": "Rome"}', "id": "c1"},
        ToolCallPart("c3", "time", {}),
        {"name": "date"},
    ]
    response = ask(lambda request: {"text": "Wait", "input_tokens": 3, "output_tokens": 4, "tool_calls": calls})
    assert (response.text, response.finish_reason) == ("Wait", "tool_calls")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 4)
    assert [call.args for call in response.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}, {}, {}]
    ids = [call.id for call in response.tool_calls]
    assert (ids[0], ids[2], len(set(ids)), all(ids)) == ("c1", "c3", 4, True)


def test_a_chat_response_is_returned_unchanged() -> None:
    response = tako.ChatResponse(
        tako.Message.assistant("Hi"), tako.FinishReason.LENGTH, tako.Usage(1, 2), "m", "id-1", "python:mine"
    )
    assert ask(lambda request: response) == response


def test_a_chat_response_without_a_model_gets_the_providers() -> None:
    assert ask(lambda request: tako.ChatResponse(tako.Message.assistant("Hi"))).model == "mine"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "chat returned None; expected a ChatResponse, a str or a dict with 'text'"),
        (b"bytes", "chat returned a bytes"),
        ((piece for piece in "abc"), "chat returned a generator"),
        ({}, "'text' is None, not a str"),
        ({"text": 5}, "'text' is an int, not a str"),
        ({"txt": "Hi"}, "chat returned a dict with 'txt'; it may have input_tokens, output_tokens, text, tool_calls"),
        ({"text": "", "input_tokens": "3"}, "'input_tokens' is '3', not a number of tokens"),
        ({"text": "", "output_tokens": -1}, "'output_tokens' is -1"),
        ({"text": "", "output_tokens": True}, "'output_tokens' is True"),
        ({"text": "", "tool_calls": {}}, "'tool_calls' is a dict, not a list"),
        ({"text": "", "tool_calls": [{"args": {}}]}, "a tool call must be a ToolCallPart, or a dict with 'name'"),
        ({"text": "", "tool_calls": ["weather"]}, "a tool call must be a ToolCallPart, or a dict with 'name'"),
    ],
)
def test_a_wrong_answer_is_one_clear_error(answer: object, text: str) -> None:
    with pytest.raises(ResponseError, match=r"^python:mine: ") as caught:
        ask(lambda request: answer)
    assert text in str(caught.value)


def test_what_a_callable_raises_is_the_cause_of_a_provider_error() -> None:
    problem = ValueError("no such\nmodel")

    def chat(request):
        raise problem

    async def chat_async(request):
        raise problem

    for function in (chat, chat_async):
        with pytest.raises(ProviderError) as caught:
            ask(function)
        assert caught.value.__cause__ is problem
        assert type(caught.value) is ProviderError
        assert str(caught.value).endswith(f"{function.__qualname__} raised ValueError: no such model")
        assert (caught.value.provider, caught.value.model, caught.value.retryable) == ("python", "mine", False)


def test_a_stop_iteration_is_a_failure_like_any_other() -> None:
    def chat(request):
        return next(iter([]))

    with pytest.raises(ProviderError, match="StopIteration"):
        ask(chat)


def test_a_generator_exit_that_a_callable_raises_is_a_failure_too() -> None:
    def chat(request):
        raise GeneratorExit

    provider = PythonProvider("mine", chat)
    with pytest.raises(ProviderError, match="raised RuntimeError: GeneratorExit"):
        provider.blocking.chat("hi")
    with pytest.raises(ProviderError, match="raised RuntimeError: GeneratorExit"):
        list(provider.blocking.stream("hi"))


def test_a_tako_error_passes_and_nothing_is_called_twice() -> None:
    calls = []

    def chat(request):
        calls.append(request)
        raise RateLimitError("later", retry_after=3.0)

    with pytest.raises(RateLimitError) as caught:
        ask(chat)
    assert (caught.value.retry_after, len(calls)) == (3.0, 1)


def test_retries_are_available_on_request() -> None:
    calls = []

    def chat(request):
        calls.append(request)
        if len(calls) == 1:
            raise RateLimitError("later", retry_after=0.0)
        return "now"

    provider = PythonProvider("mine", chat)
    provider.max_retries = 1
    assert asyncio.run(provider.chat("Hello")).text == "now"


def test_the_callable_gets_the_whole_request() -> None:
    requests = []
    request = tako.ChatRequest([tako.Message.user("Hi")], temperature=0.5, metadata={"a": "b"}, strict=True)
    ask(lambda request: requests.append(request) or "ok", request)
    assert requests == [request]


def test_the_id_and_the_model_are_the_name() -> None:
    provider = PythonProvider("team/echo", lambda request: "")
    assert (provider.id, provider.model) == ("team/echo", "team/echo")
    assert tako.providers.PythonProvider is PythonProvider


def test_an_empty_text_is_an_empty_reply() -> None:
    response = ask(lambda request: "")
    assert (response.text, response.message.parts) == ("", [])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: PythonProvider("", print), "id must be a name"),
        (lambda: PythonProvider("mine", "text"), "mine: chat must be a callable that takes a ChatRequest, not str"),
        (lambda: PythonProvider("mine", None), "mine: chat must be a callable"),
        (lambda: PythonProvider("mine", print, stream=5), "mine: stream must be a callable"),
        (lambda: PythonProvider("mine", lambda: "x"), "mine: chat must be callable with one argument, the ChatRequest"),
        (lambda: PythonProvider("mine", print, stream=lambda a, b: "x"), "mine: stream must be callable with one"),
    ],
)
def test_wrong_options_are_refused_at_once(make, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert text in str(caught.value)
