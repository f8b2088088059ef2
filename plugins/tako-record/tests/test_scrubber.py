"""Tapes have no secrets."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import tako_record
from hypothesis import given
from hypothesis import strategies as st
from tako_record.entries import Base64
from tako_record.scrubber import Scrubber

from tako import ChatRequest, Message
from tako.kit.keys import Secret
from tako.kit.wire import HttpHeaders, HttpRequest
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from pathlib import Path

KEY = "acme-key-0123456789"
LOOKALIKES = [
    "sk-proj-abcdefghijklmnop1234",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "ya29.a0AfH6SMB-abc",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4",
]


def test_headers_urls_and_bodies_have_no_secrets(acme: Any, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    body = {"text": f"your key is {KEY}", "access_token": "opaque-and-new", "refresh_token": "opaque-too"}
    headers = {"set-cookie": "session=abc-cookie", "openai-organization": "org-of-mine", "x-request-id": "r-1"}
    request = ChatRequest([Message.user(f"my key is {KEY}")], extra={"api_key": "in-the-body", "also": LOOKALIKES})
    with serve(reply(json=body, headers=headers)) as server, tako_record.cassette(tape):
        provider = acme(server.url, headers={"Authorization": "Bearer other-secret-1", "x-trace": "private-value"})
        provider.blocking.chat(request)
    text = tape.read_text(encoding="utf-8")
    secrets = [KEY, "opaque", "abc-cookie", "org-of-mine", "in-the-body", "in-the-url", "other-secret", "private-value"]
    assert [secret for secret in [*secrets, "20260101T000000Z", *LOOKALIKES] if secret in text] == []
    assert "r-1" in text
    assert "v=1" in text
    with tako_record.cassette(tape, mode="replay"):  # with another key, and without the one in the header
        request_again = ChatRequest([Message.user("my key is another-key-42")], extra=request.extra)
        assert "your key is ***" in acme(server.url, api_key="another-key-42").blocking.chat(request_again).text


@given(st.lists(st.integers(0, 60), max_size=6))
def test_a_secret_across_pieces_is_hidden_and_the_pieces_keep_their_lengths(cuts: list[int]) -> None:
    body = b"data: one " + KEY.encode() + b" two \xff three\n\n"
    offsets = [0, *sorted(cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(offsets)]
    scrubbed = Scrubber([Secret(KEY)]).pieces(pieces)
    clean = [piece.base64 if isinstance(piece, Base64) else piece.encode() for piece in scrubbed]
    assert [len(piece) for piece in clean] == [len(piece) for piece in pieces]
    assert b"".join(clean) == body.replace(KEY.encode(), b"*" * len(KEY))


def test_bodies_that_are_not_json_are_recorded_as_text_or_base64() -> None:
    scrubber = Scrubber([])
    for body, field in ((b"", (None, None, None)), (b"hello", (None, "hello", None)), (b"\xff", (None, None, b"\xff"))):
        request = HttpRequest("POST", "https://user:pass@acme.example/x#f", HttpHeaders(), body, 1.0, 1.0)
        entry = scrubber.request_entry(request)
        assert entry.body == field
        assert entry.url == "https://acme.example/x"


def test_a_token_of_the_request_is_hidden_if_the_reply_repeats_it(acme: Any, tmp_path: Path) -> None:
    class Signing(acme):
        async def authorize(self, method: str, url: str, body: bytes) -> dict[str, str]:
            return {"X-Amz-Security-Token": "short-lived-token"}

    tape = tmp_path / "tape.jsonl"
    with serve(reply(json={"text": "no short-lived-token here"})) as server, tako_record.cassette(tape):
        Signing(server.url).blocking.chat("hi")
    assert "short-lived" not in tape.read_text(encoding="utf-8")
