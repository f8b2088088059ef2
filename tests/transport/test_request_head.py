"""The head of a request: what was written for the last one is used again, and only if the headers are the same."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

from tako import ChatRequest, Message
from tako.kit.request_head import HeadWriter
from tako.kit.wire import HttpHeaders, HttpRequest
from tako.providers import OpenAI
from tako.testing.server import serve

from .script import ANSWER, provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tako.kit.http import HttpProvider

KEY = "sk-of-one-request-0123456789"


def request(text: str = "hi", **fields: Any) -> ChatRequest:
    return ChatRequest([Message.user(text)], **fields)


def ask(model: HttpProvider, *requests: ChatRequest) -> None:
    async def main() -> None:
        async with model:
            for one in requests:
                await model.chat(one)

    asyncio.run(main())


def test_every_request_has_the_length_of_its_own_body() -> None:
    with serve(ANSWER) as server:
        ask(provider(server), *[request("x" * length) for length in (1, 1, 1, 20, 300, 1)])
    lengths = [(int(received.headers["content-length"]), len(received.body)) for received in server.requests]
    assert all(in_header == received for in_header, received in lengths)
    assert len(set(lengths)) == 3


def test_headers_that_change_between_requests_are_those_of_each_request() -> None:
    tokens = ["a", "a", "a", "b", "b", "a", "c", "a"]
    remaining = iter(tokens)

    class Renewing(OpenAI):
        async def authorize(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
            return {"x-token": next(remaining)}

    with serve(ANSWER) as server:
        ask(Renewing("m", api_key="k", base_url=server.url), *[request() for _ in tokens])
    assert [received.headers["x-token"] for received in server.requests] == tokens


def test_headers_of_one_request_are_gone_from_the_next() -> None:
    teams = [None, None, "blue", None, "blue", "blue", "blue", None]
    with serve(ANSWER) as server:
        ask(provider(server), *[request(headers={"x-team": team} if team else {}) for team in teams])
    assert [received.headers.get("x-team") for received in server.requests] == teams


def test_headers_that_are_added_to_a_provider_go_with_its_next_request() -> None:
    async def main() -> None:
        async with provider(server) as model:
            for team in ("red", "blue"):
                model.add_headers({"x-team": team})
                for _ in range(3):
                    await model.chat("hi")

    with serve(ANSWER) as server:
        asyncio.run(main())
    assert [received.headers["x-team"] for received in server.requests] == ["red"] * 3 + ["blue"] * 3


def test_one_url_can_be_asked_by_several_methods() -> None:
    async def main() -> None:
        async with provider(server) as model:
            for method in methods:
                await model.fetch(server.url, b"" if method == "GET" else b"{}", method=method)

    methods = ["POST", "POST", "GET", "GET", "PUT", "POST", "PUT", "PUT"]
    with serve(ANSWER) as server:
        asyncio.run(main())
    lengths = [(received.method, received.headers.get("content-length")) for received in server.requests]
    assert lengths == [(method, None if method == "GET" else "2") for method in methods]


def test_what_is_in_one_request_alone_is_not_kept() -> None:
    writer = HeadWriter("/v1", {"host": "example.com"})
    for key in ("shared", KEY, KEY, "shared"):
        headers = HttpHeaders({"authorization": f"Bearer {key}"})
        request = HttpRequest("POST", "https://example.com/v1", headers, b"{}", 1.0, 1.0, has_own_headers=key == KEY)
        head = writer.write(request)
        assert f"authorization: Bearer {key}\r\n".encode() in head
        assert KEY.encode() not in pickle.dumps(vars(writer))
        assert "shared" not in repr(writer)
