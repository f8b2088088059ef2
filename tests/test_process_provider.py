"""A model behind a program: what the kit has for it, against programs of a few lines.

The suite runs on what `tako new-plugin --transport process` makes.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tako import Capabilities, ChatRequest, hookimpl
from tako.errors import ConfigurationError, ProviderTimeoutError, TransportError
from tako.kit.completions import CompletionsDecoder, decode_reply, encode_request, translator_for
from tako.kit.completions.dialect import Dialect
from tako.kit.exchange import Exchange, chat_through, stream_through
from tako.kit.process import ProcessProvider
from tako.testing.waiting import until, until_async

if TYPE_CHECKING:
    from pathlib import Path

    from tako import Chat, Stream, Translator


class Acme(ProcessProvider):
    """A program that speaks Chat Completions on its standard input and output."""

    name = "acme-program"
    command = ("acme", "--json")


async def prepare(provider: Acme, translator: Translator, request: ChatRequest, stream: bool) -> Exchange:
    context = provider.context(request)
    body = encode_request(request, provider.model, translator, context, Dialect(), stream=stream)
    return Exchange("", body, context)


@hookimpl
def tako_capabilities() -> Capabilities:
    return Capabilities(supports_tools=True, supports_vision=True, supports_json_mode=True)


@hookimpl
def tako_translator() -> Translator:
    return translator_for()


@hookimpl
def tako_chat(provider: Acme, translator: Translator) -> Chat:
    decode = partial(decode_reply, provider=provider, translator=translator)
    return chat_through(provider, partial(prepare, provider, translator), decode)


@hookimpl
def tako_stream(provider: Acme, translator: Translator) -> Stream:
    def decoder(_: Any, exchange: Exchange) -> CompletionsDecoder:
        return CompletionsDecoder(provider, exchange, translator)

    return stream_through(provider, partial(prepare, provider, translator), decoder)


def acme(code: str, **options: Any) -> Acme:
    return Acme("m", command=[sys.executable, "-I", "-S", "-c", code], max_retries=0, **options)


ANSWER = '{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}'


def test_the_program_gets_one_line_and_what_it_writes_is_the_reply(tmp_path: Path) -> None:
    code = f"import sys; open({str(tmp_path / 'got')!r}, 'w').write(sys.stdin.read()); print({ANSWER!r})"
    assert acme(code).blocking.chat("Hello").text == "Hi"
    got = (tmp_path / "got").read_text()
    assert got.endswith("}\n")
    assert '"content":"Hello"' in got


def test_a_program_that_is_not_there_is_named_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match=r"the program 'acme' can't be started: No such file"):
        Acme("m").blocking.chat("Hi")


@pytest.mark.parametrize("command", ["acme --json", [], [1], {"a": "b"}])
def test_a_command_is_a_list_of_texts(command: Any) -> None:
    with pytest.raises(ConfigurationError, match="acme-program:m: command is a list of texts"):
        Acme("m", command=command)


def test_a_program_that_fails_says_why() -> None:
    code = "import sys; sys.stderr.write('no licence\\nfound'); sys.exit(3)"
    with pytest.raises(TransportError, match="the program ended with exit code 3: no licence found"):
        acme(code).blocking.chat("Hi")


def test_a_program_that_answers_without_reading_is_heard() -> None:
    assert acme(f"import os; os.close(0); print({ANSWER!r})").blocking.chat("Hi" * 1_000_000).text == "Hi"


def test_a_program_that_never_reads_is_given_up() -> None:
    with pytest.raises(ProviderTimeoutError, match=r"the program read nothing for timeout=0\.2 s"):
        acme("import time; time.sleep(60)", timeout=0.2).blocking.chat("Hi" * 1_000_000)


def test_a_program_ends_with_its_call(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    async def leave() -> None:
        call = asyncio.ensure_future(acme(code).chat("Hi"))
        await until_async(lambda: mark.exists() and mark.read_text())
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(leave())
    until(lambda: not _runs(int(mark.read_text())))


def test_a_provider_travels_to_another_process() -> None:
    provider = pickle.loads(pickle.dumps(acme(f"print({ANSWER!r})")))
    assert provider.blocking.chat("Hi").text == "Hi"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
