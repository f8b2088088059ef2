"""An endpoint that is described by a few settings, and what it makes of one reply."""

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
    """Return a maker of providers at a server: one option says what is not the usual."""

    def make(server: Server, **options: Any) -> HttpGeneric:
        template = {"m": "{{ messages }}", "stream": "{{ stream }}"}
        return HttpGeneric("acme", "m", server.url, template, **{"max_retries": 0, **options})

    return make


@pytest.fixture
def asked(acme: Callable[..., HttpGeneric]) -> Callable[..., ChatResponse]:
    """Return what asks for a whole reply: the server's answer, and options of the provider."""

    def ask(answer: Reply, **options: Any) -> ChatResponse:
        with serve(answer) as server:
            return acme(server, **options).blocking.chat("hi")

    return ask


@pytest.fixture
def streamed(acme: Callable[..., HttpGeneric]) -> Callable[..., ChatResponse]:
    """Return what asks for a stream, and folds it."""

    def ask(answer: Reply, **options: Any) -> ChatResponse:
        with serve(answer) as server:
            return acme(server, **options).blocking.stream("hi").response()

    return ask
