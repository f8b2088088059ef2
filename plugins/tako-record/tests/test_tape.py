"""Recorded exchanges are replayed without a network."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import tako_record
import trio

import tako
from tako import ChatRequest, Message
from tako.errors import ConfigurationError, RateLimitError, StreamTruncatedError, TransportError
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PIECES = [b"one\n", b"tw", "o ä\n".encode(), b"\xc3", b"\xa4\n", b".\n"]


def entries(path: Path) -> list[dict[str, Any]]:
    """The lines of a tape, without the first."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_a_call_is_recorded_and_then_answered_without_the_vendor(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "deep" / "tape.jsonl"
    with serve(reply(json={"text": "Paris."})) as server, tako_record.cassette(tape):
        provider = acme(server.url)
        assert provider.blocking.chat("Which city?").text == "Paris."
    with tako_record.cassette(tape, mode="replay"):  # the server is gone
        assert provider.blocking.chat("Which city?").text == "Paris."
    (entry,) = entries(tape)
    assert entry["request"]["method"] == "POST"
    assert entry["request"]["json"] == {"prompt": "Which city?", "stream": False}
    assert entry["reply"]["pieces"] == ['{"text":"Paris."}']


def test_a_stream_is_replayed_in_the_same_pieces(acme: Any, lines: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    lines.fed = []

    def read(number: int) -> Callable[[], bool]:
        return lambda: len(lines.fed) >= number

    script = [part for number, piece in enumerate(PIECES) for part in (read(number), piece)]
    with serve(reply(script)) as server, tako_record.cassette(tape):
        provider = acme(server.url)
        first = provider.blocking.stream("hi").response().text
        assert lines.fed == PIECES
    with tako_record.cassette(tape, mode="replay"):
        assert provider.blocking.stream("hi").response().text == first
    assert lines.fed == PIECES


def test_a_reply_that_was_compressed_is_readable_on_the_tape(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    body = gzip.compress(b'{"text":"Paris."}')
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    with serve(reply(body, headers=headers)) as server, tako_record.cassette(tape):
        provider = acme(server.url)
        assert provider.blocking.chat("hi").text == "Paris."
    with tako_record.cassette(tape, mode="replay"):
        assert provider.blocking.chat("hi").text == "Paris."
    assert "Paris." in tape.read_text(encoding="utf-8")


def test_a_request_that_is_not_on_the_tape_is_named(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with serve(reply(json={"text": "ok"})) as server:
        provider = acme(server.url)
        with tako_record.cassette(tape):
            provider.blocking.chat("Which city?")
        with tako_record.cassette(tape, mode="replay") as played:
            with pytest.raises(ConfigurationError, match=r"acme:acme-1: POST .*/say.* differs at \$\.prompt"):
                provider.blocking.chat("Which country?")
            assert len(played.unplayed) == 1
            provider.blocking.chat("Which city?")
            assert played.unplayed == []
            with pytest.raises(ConfigurationError, match="once more: it was recorded 1 times"):
                provider.blocking.chat("Which city?")
            with pytest.raises(ConfigurationError, match=r"differs at \$\.prompt, and was played already$"):
                provider.blocking.chat("Which country?")
        assert len(server.requests) == 1


def test_equal_requests_are_answered_in_the_order_of_the_recording(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with serve(reply(json={"text": "first"}), reply(json={"text": "second"})) as server:
        provider = acme(server.url)
        with tako_record.cassette(tape):
            assert [provider.blocking.chat("hi").text for _ in range(2)] == ["first", "second"]
    with tako_record.cassette(tape, mode="replay"):
        assert [provider.blocking.chat("hi").text for _ in range(2)] == ["first", "second"]


def test_the_order_of_keys_in_a_body_does_not_matter(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with serve(reply(json={"text": "ok"})) as server, tako_record.cassette(tape):
        provider = acme(server.url)
        provider.blocking.chat(ChatRequest([Message.user("hi")], extra={"a": 1, "b": {"c": 2.0, "d": 3}}))
    with tako_record.cassette(tape, mode="replay"):
        again = ChatRequest([Message.user("hi")], extra={"b": {"d": 3, "c": 2.0}, "a": 1})
        assert provider.blocking.chat(again).text == "ok"


def test_auto_records_what_is_missing_and_record_starts_a_new_tape(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with serve(reply(json={"text": "ok"})) as server:
        provider = acme(server.url)
        for prompts in (["a"], ["a", "b"]):
            with tako_record.cassette(tape):
                for prompt in prompts:
                    provider.blocking.chat(prompt)
        assert [entry["request"]["json"]["prompt"] for entry in entries(tape)] == ["a", "b"]
        assert len(server.requests) == 2
        with tako_record.cassette(tape, mode="record"):
            provider.blocking.chat("c")
        assert [entry["request"]["json"]["prompt"] for entry in entries(tape)] == ["c"]


def test_errors_retries_and_their_headers_are_replayed(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    busy = reply(json={"error": {"message": "slow down"}}, status=429, headers={"retry-after": "0.01"})
    with serve(busy, reply(json={"text": "ok"}), busy) as server, tako_record.cassette(tape):
        provider = acme(server.url, max_retries=1)
        assert provider.blocking.chat("hi").text == "ok"
        with pytest.raises(RateLimitError):
            provider.blocking.chat("hi")
    with tako_record.cassette(tape, mode="replay"):
        assert provider.blocking.chat("hi").text == "ok"
        with pytest.raises(RateLimitError) as caught:
            provider.blocking.chat("hi")
    assert caught.value.retry_after == 0.01


def test_a_cut_stream_and_a_failed_connection_are_replayed(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with serve(reply([b"one\n"], ending="cut")) as server, tako_record.cassette(tape):
        provider = acme(server.url, max_retries=0)
        with pytest.raises(StreamTruncatedError):
            provider.blocking.stream("hi").response()
    with tako_record.cassette(tape), pytest.raises(TransportError):  # nobody listens there any more
        provider.blocking.chat("hi")
    with tako_record.cassette(tape, mode="replay"):
        with pytest.raises(StreamTruncatedError) as caught:
            provider.blocking.stream("hi").response()
        assert caught.value.partial.text == "one"
        with pytest.raises(TransportError, match="can't connect"):
            provider.blocking.chat("hi")


def test_a_stream_that_was_left_has_only_the_part_that_was_read(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    entry: list[str] = []
    with serve(reply([b"one\n", lambda: bool(entry), b"two\n"], ending="hang")) as server, tako_record.cassette(tape):
        provider = acme(server.url)
        with provider.blocking.stream("hi") as stream:
            assert next(iter(stream)).text == "one"
        entry.append("now")
    with tako_record.cassette(tape, mode="replay"), pytest.raises(StreamTruncatedError, match="was left early"):
        provider.blocking.stream("hi").response()


def test_trio_replays_what_asyncio_recorded(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"

    async def ask(provider: Any) -> str:
        async with provider:
            return (await provider.chat("hi")).text

    with serve(reply(json={"text": "ok"})) as server, tako_record.cassette(tape):
        provider = acme(server.url)
        assert asyncio.run(ask(provider)) == "ok"
    with tako_record.cassette(tape, mode="replay"):
        assert trio.run(ask, provider) == "ok"


def test_a_file_that_is_not_a_tape_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"the tape .* doesn't exist"),
        tako_record.cassette(tmp_path / "x", "replay"),
    ):
        pass
    with pytest.raises(ConfigurationError, match="auto, record, replay"), tako_record.cassette(tmp_path / "x", "play"):  # type: ignore[arg-type]
        pass
    (tmp_path / "other.txt").write_text("hello")
    with pytest.raises(ConfigurationError, match="isn't a tape"), tako_record.cassette(tmp_path / "other.txt"):
        pass
    (tmp_path / "cut.jsonl").write_text('{"tako_record":1}\n{"request":')
    with pytest.raises(ConfigurationError, match=r"cut\.jsonl, line 2"), tako_record.cassette(tmp_path / "cut.jsonl"):
        pass


def test_without_a_cassette_nothing_is_recorded(acme: Any, tmp_path: Path) -> None:
    with serve(reply(json={"text": "ok"})) as server:
        with tako_record.cassette(tmp_path / "tape.jsonl"):
            pass
        assert acme(server.url).blocking.chat("hi").text == "ok"
    assert list(tmp_path.iterdir()) == []


def test_the_environment_records_one_tape_for_each_test(
    acme: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKO_RECORD_DIR", str(tmp_path))
    tako.register(tako_record)
    try:
        with serve(reply(json={"text": "ok"})) as server:
            provider = acme(server.url)
            provider.blocking.chat("hi")
    finally:
        tako.unregister(tako_record)
    (tape,) = tmp_path.iterdir()
    assert "test_the_environment_records_one_tape_for_each_test" in tape.name
    assert len(entries(tape)) == 1


PROGRAM = """
import sys, tempfile
import tako
from tako.hooks import hookimpl

class Echo(tako.Provider):
    name = "echo"

@hookimpl
def tako_chat():
    async def chat(request):
        return tako.ChatResponse(tako.Message.assistant("ok"))
    return chat

Echo("m").blocking.chat("hi")
print(sorted(name for name in sys.modules if name.startswith(("tako_record", "tako.kit"))))
"""


def test_the_installed_plugin_is_idle_until_the_environment_names_a_directory(tmp_path: Path) -> None:
    environment = {**os.environ, "TAKO_DISABLE_PLUGINS": "cache,otel,prices"}
    environment.pop("TAKO_RECORD_DIR", None)
    for directory, is_imported in (({}, False), ({"TAKO_RECORD_DIR": str(tmp_path)}, True)):
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            env={**environment, **directory},
            check=True,
        )
        assert "'tako_record'" in result.stdout
        assert ("tako_record.transport" in result.stdout) is is_imported
