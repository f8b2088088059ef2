"""The logger `tako`: at DEBUG each attempt's request and reply, without keys; `TAKO_LOG` shows it on stderr."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tako import Capabilities, ChatRequest, ContentPart, Message
from tako.errors import AuthenticationError
from tako.providers import OpenAI, PythonProvider
from tako.testing.server import reply, serve, sse
from tako.testing.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

COMPLETION = {"choices": [{"message": {"content": "Bonjour sk-secret-1"}, "finish_reason": "stop"}], "usage": {}}
CHUNKS = sse(
    {"choices": [{"delta": {"content": "Bon"}}]}, {"choices": [{"delta": {"content": "jour"}, "finish_reason": "stop"}]}
)


def ask(provider: Any, request: ChatRequest, *, streamed: bool) -> Any:
    return provider.blocking.stream(request).response() if streamed else provider.blocking.chat(request)


def request_with(**fields: Any) -> ChatRequest:
    image = ContentPart.image("image/png", "iVBORw0KGgo" + "A" * 5000)
    return ChatRequest([Message.user([ContentPart.text("Say hello"), image])], **fields)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.DEBUG, "tako")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "tako"]


@pytest.mark.parametrize("streamed", [False, True])
def test_requests_and_replies_are_logged_without_keys(streamed: bool, log: Callable[[], list[str]]) -> None:
    secrets = {
        "headers": {"x-key": "sk-secret-2"},
        "context": {"user": "sk-secret-3"},
        "extra": {"api_key": "sk-secret-4"},
    }
    with serve(reply(CHUNKS) if streamed else reply(json=COMPLETION)) as server:
        provider = OpenAI("m", api_key="sk-secret-1", base_url=server.url, label="cheap")
        assert "Bonjour" in ask(provider, request_with(temperature=0.5, **secrets), streamed=streamed).text
        provider.blocking.close()
    request, answer = log()
    way = "stream" if streamed else "chat"
    assert request.startswith(f"cheap {way} request {{")
    assert '"text":"Say hello"' in request
    assert '"temperature":0.5' in request
    assert "(5011 characters)" in request
    assert answer.startswith(f"cheap {way} reply after ")
    assert "Bonjour" in answer
    assert "sk-secret" not in request + answer


def test_each_attempt_is_logged_and_what_it_failed_with(log: Callable[[], list[str]]) -> None:
    script = [reply(status=503, json={}), reply(status=401, json={"error": {"message": "no such key: sk-secret-1"}})]
    with serve(*script) as server, pytest.raises(AuthenticationError):
        OpenAI("m", api_key="sk-secret-1", base_url=server.url).blocking.chat("hi")
    assert [line.split(" after ")[0].split(" {")[0] for line in log()] == [
        "openai:m chat request",
        "openai:m chat failed",
        "openai:m chat request",
        "openai:m chat failed",
    ]
    assert "AuthenticationError" in log()[-1]
    assert "sk-secret" not in "".join(log())


def test_nothing_is_logged_unless_somebody_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tako")
    PythonProvider("p", lambda _: "hi").blocking.chat("hi")
    assert caplog.records == []


def run(**env: str) -> subprocess.CompletedProcess[str]:
    code = "import tako; print(tako.providers.PythonProvider('p', lambda _: 'hi').blocking.chat('hey').text)"
    env = {**{name: text for name, text in os.environ.items() if name != "TAKO_LOG"}, **env}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env, timeout=PATIENCE
    )


def test_tako_log_shows_it_on_stderr() -> None:
    quiet, loud, wrong = run(), run(TAKO_LOG="debug"), run(TAKO_LOG="chatty")
    assert (quiet.stdout, quiet.stderr) == ("hi\n", "")
    assert [
        line.partition(" tako DEBUG ")[2].split(" {")[0].partition(" after ")[0] for line in loud.stderr.splitlines()
    ] == [
        "p chat request",
        "p chat reply",
    ]
    assert loud.stdout == "hi\n"
    assert "TAKO_LOG='chatty' isn't a level; it's one of debug, info, warning, error" in wrong.stderr


@pytest.mark.parametrize("streamed", [False, True])
def test_a_reply_is_logged_with_the_cost_that_its_response_has_and_without_empty_fields(
    streamed: bool, log: Callable[[], list[str]]
) -> None:
    known = Capabilities(usd_per_input_mtok=1.0, usd_per_output_mtok=2.0)
    usage = {"prompt_tokens": 1000, "completion_tokens": 500}
    events = [*CHUNKS[:-1], *sse({"choices": [], "usage": usage})]
    with serve(reply(events) if streamed else reply(json={**COMPLETION, "usage": usage})) as server:
        provider = OpenAI("m", api_key="k", base_url=server.url, capabilities=known)
        response = ask(provider, request_with(), streamed=streamed)
        provider.blocking.close()
    assert response.cost.total == Decimal("0.002")
    fields = json.loads(log()[-1].partition(" s ")[2])
    assert Decimal(fields["cost"]["output"]) == response.cost.output
    assert fields["provider"] == "openai:m"
    assert None not in fields.values()
