"""An endpoint with a few settings, and its responses to one reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tako_http_generic import HttpGeneric

from tako.testing.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako import ChatResponse
    from tako.testing.server import Reply, Server


@pytest.fixture
def acme() -> Callable[..., HttpGeneric]:
    """Return a function that makes a provider for a server, with options."""

    def make(server: Server, **options: Any) -> HttpGeneric:
        template = {"m": "{{ messages }}", "stream": "{{ stream }}"}
        return HttpGeneric("acme", "m", server.url, template, **{"max_retries": 0, **options})

    return make


@pytest.fixture
def request_chat(acme: Callable[..., HttpGeneric]) -> Callable[..., ChatResponse]:
    """Return a function that serves a reply and requests it, with options of the provider."""

    def request(answer: Reply, **options: Any) -> ChatResponse:
        with serve(answer) as server:
            return acme(server, **options).blocking.chat("hi")

    return request


@pytest.fixture
def request_stream(acme: Callable[..., HttpGeneric]) -> Callable[..., ChatResponse]:
    """Return a function that serves a reply, requests a stream and folds it."""

    def request(answer: Reply, **options: Any) -> ChatResponse:
        with serve(answer) as server:
            return acme(server, **options).blocking.stream("hi").response()

    return request
