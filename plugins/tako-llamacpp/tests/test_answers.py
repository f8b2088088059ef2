"""A real model answers, in process."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from tako_llamacpp import engine
from tako_llamacpp.worker import MAX_AHEAD, Worker

from tako import ChatRequest, ContentPart, JsonSchema, Message, Tool, errors
from tako.providers import LlamaCpp
from tako.testing.waiting import until_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.types import Part


HANG = 120.0

FRANCE = ChatRequest(
    [Message.system("Be brief."), Message.user("What is the capital of France?")], temperature=0.0, max_tokens=30
)
STORY = ChatRequest([Message.user("Tell me a very long story.")], temperature=0.0, max_tokens=2000)
PARIS = "The capital of France is Paris."


def test_it_answers_and_counts(model: LlamaCpp) -> None:
    response = model.blocking.chat(FRANCE)
    assert response.text == PARIS
    assert response.finish_reason == "stop"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (24, 8)
    assert response.model == "smollm2-135m-instruct"
    assert response.raw["usage"]["completion_tokens"] == 8
    assert response.notices == []


def test_the_stream_has_the_same_answer(model: LlamaCpp) -> None:
    with model.blocking.stream(FRANCE) as stream:
        pieces = list(stream.text)
    assert len(pieces) > 4
    response = stream.response()
    assert response.text == "".join(pieces) == PARIS
    assert response.usage.total == 32


def test_a_grammar_makes_the_answer_fit_a_schema(model: LlamaCpp) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "big": {"type": "boolean"}},
        "required": ["city", "big"],
        "additionalProperties": False,
    }
    request = ChatRequest(FRANCE.messages, temperature=0.0, response_format=JsonSchema("answer", schema))
    answer = json.loads(model.blocking.chat(request).text)
    assert set(answer) == {"city", "big"}
    assert isinstance(answer["big"], bool)


def test_unsupported_parts_of_a_request_are_notices_or_refused_if_strict(model: LlamaCpp) -> None:
    parts: list[Part] = [ContentPart.image("image/png", "AAAA"), ContentPart.text("What is the capital of France?")]
    request = ChatRequest(
        [Message.system("Be brief."), Message.user(parts)],
        model="other",
        temperature=0.0,
        tools=[Tool("weather")],
        tool_choice="required",
        reasoning="low",
        metadata={"a": "b"},
    )
    response = model.blocking.chat(request)
    assert response.text == PARIS
    assert [notice.path for notice in response.notices] == [
        "model",
        "tools",
        "messages[1].content[0]",
        "reasoning",
        "metadata",
    ]
    strict = ChatRequest(request.messages, strict=True)
    with pytest.raises(errors.UnsupportedError, match="image"):
        model.blocking.chat(strict)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        (ChatRequest([Message.user("hello " * 6000)]), errors.ContextLengthError, "exceeds the available context"),
        (ChatRequest([Message.user("x")], extra={"temperature": "hot"}), errors.BadRequestError, "must be number"),
        (
            ChatRequest([Message.user("x")], response_format=JsonSchema("a", {"type": "nonsense"})),
            errors.BadRequestError,
            "nonsense",
        ),
    ],
)
def test_a_refusal_is_the_same_error_either_way(
    model: LlamaCpp, request_: ChatRequest, kind: type[errors.ProviderError], message: str, *, streamed: bool
) -> None:
    with pytest.raises(kind, match=message) as raised:
        model.blocking.stream(request_).response() if streamed else model.blocking.chat(request_)
    assert raised.value.provider == "llamacpp"
    assert not raised.value.retryable
    assert not (raised.value.code or "").isdigit()


def test_leaving_a_stream_or_cancelling_a_call_frees_the_model_at_once(watched: Any) -> None:
    async def main() -> None:
        async with watched.provider as provider:
            async with provider.stream(STORY) as stream:
                await anext(stream)
            calling = asyncio.create_task(provider.chat(STORY))
            await watched.paused()
            calling.cancel()
            await asyncio.wait([calling])  # although the model is in the middle of a chunk
            assert calling.cancelled()
            watched.gate.set()
            assert (await provider.chat(FRANCE)).text == PARIS

    watched.pause_at = 1, 5
    asyncio.run(main())
    left, cancelled, _ = watched.chunk_counts
    assert left <= MAX_AHEAD + 3
    assert cancelled == 5


def test_the_loop_keeps_running_and_calls_wait_for_one_another(watched: Any) -> None:
    async def main() -> list[str]:
        async with watched.provider as provider:
            calls = [asyncio.create_task(provider.chat(FRANCE)) for _ in range(4)]
            await watched.paused()
            assert watched.chunk_counts == [2]  # and the other three haven't started
            watched.gate.set()  # only a running loop can do this
            return [response.text for response in await asyncio.gather(*calls)]

    watched.pause_at = 0, 2
    assert asyncio.run(main()) == [PARIS] * 4
    assert len(watched.chunk_counts) == 4
    assert watched.most_at_once == 1


def test_the_model_waits_for_a_slow_reader() -> None:
    put_count, read_count = [0], [0]
    furthest = 0

    def work(put: Callable[[int], bool]) -> None:
        nonlocal furthest
        for number in range(10 * MAX_AHEAD):
            put_count[0] = number + 1
            furthest = max(furthest, put_count[0] - read_count[0])
            if put(number):
                return

    async def main() -> None:
        async with aclosing(Worker[int](work).items()) as items:
            for number in range(3 * MAX_AHEAD):
                assert await anext(items) == number
                read_count[0] = number + 1
                while number % MAX_AHEAD == 0 and put_count[0] - read_count[0] < MAX_AHEAD:  # noqa: ASYNC110 - as far as it may get ahead
                    await asyncio.sleep(0.001)

    asyncio.run(main())
    for thread in threading.enumerate():
        if thread.name == "tako-llamacpp":
            thread.join(HANG)
    assert MAX_AHEAD <= furthest <= MAX_AHEAD + 2
    assert put_count[0] <= 4 * MAX_AHEAD + 2


def test_it_is_loaded_once_and_freed_when_the_last_provider_closes(model: LlamaCpp) -> None:
    async def load(provider: LlamaCpp) -> None:
        await provider.load()

    def loaded() -> int:
        gc.collect()
        return sum(setting.n_ctx == 512 for setting in list(engine._engines))

    async def main() -> None:
        first, second = LlamaCpp(n_ctx=512), LlamaCpp(n_ctx=512)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load(first))
            tasks.create_task(load(second))
        assert first._engine is second._engine is not None
        assert loaded() == 1
        await first.aclose()
        assert loaded() == 1
        await second.aclose()
        await until_async(lambda: loaded() == 0)  # the thread that loaded it lets go of it when it ends
        assert (await first.chat(FRANCE)).text == PARIS  # a closed provider may be used again
        await first.aclose()

    asyncio.run(main())


def test_it_answers_after_fork_and_a_program_may_end_in_the_middle() -> None:
    script = """
import os, sys
from tako import ChatRequest, Message
from tako.providers import LlamaCpp
provider = LlamaCpp()
assert provider.blocking.chat(ChatRequest([Message.user("Hi")], max_tokens=2)).text
if os.fork() == 0:
    france = [Message.system("Be brief."), Message.user("What is the capital of France?")]
    print(provider.blocking.chat(ChatRequest(france, temperature=0.0)).text, flush=True)
    os._exit(0)
assert os.wait()[1] == 0
stream = provider.blocking.stream("Tell me a very long story.")
next(stream)
assert {"httpx", "httptools"}.isdisjoint(sys.modules)
"""
    quiet = ["-W", "ignore:This process:DeprecationWarning"]  # os.fork warns of threads from Python 3.12 on
    command = [sys.executable, *quiet, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, PARIS, "")


LEAVING = """
import tako
from tako.providers import LlamaCpp

for _ in range(3):
    provider = LlamaCpp(deadline=0.01)
    for call in (lambda: provider.blocking.chat("hi"), lambda: provider.blocking.stream("hi").response()):
        try:
            call()
            raise SystemExit("it had no time")
        except tako.errors.ProviderTimeoutError as error:
            assert "deadline=0.01 s" in str(error)
    provider.blocking.close()
"""


def test_a_deadline_that_is_over_while_the_model_is_loaded_ends_the_call_and_lets_the_program_end() -> None:
    result = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, check=False, timeout=HANG)
    assert (result.returncode, result.stderr) == (0, "")
