"""What each attempt sends and gets, at DEBUG of the logger ``tako``; ``TAKO_LOG=debug`` shows it on stderr.

Keys never show: headers and context aren't logged, a provider's keys are replaced everywhere, and values whose names
look like secrets are left out. Prompts and replies do show.
"""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import aclosing
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tako.fold import fold
from tako.hooks import hookimpl
from tako.hooks.contract import add_provider_and_cost, check_response
from tako.hooks.counting import is_counting
from tako.options import without_secrets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from tako.hookspecs import Around, Chat, Stream
    from tako.provider import Provider
    from tako.types import ChatRequest, ChatResponse, Chunk

VARIABLE = "TAKO_LOG"
LEVELS = ("debug", "info", "warning", "error")
MAX_TEXT_LENGTH = 500
"""The most characters of one text that are logged. It cuts an image's base64, but few prompts."""
LOG = logging.getLogger("tako")
LOG.addHandler(logging.NullHandler())


def configure_from_environment() -> None:
    """Log to stderr at the level in TAKO_LOG, if it's set."""
    level = os.environ.get(VARIABLE, "").lower()
    if level in LEVELS:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        LOG.addHandler(handler)
        LOG.setLevel(level.upper())
    elif level:
        warnings.warn(f"tako: {VARIABLE}={level!r} isn't a level; it's one of {', '.join(LEVELS)}", stacklevel=2)


configure_from_environment()


@hookimpl(wrapper=True)
def tako_chat(provider: Provider) -> Around[Chat]:
    """Log a call if DEBUG is enabled."""
    inner = yield

    def chat(request: ChatRequest) -> Awaitable[ChatResponse]:
        is_logged = LOG.isEnabledFor(logging.DEBUG) and not is_counting()
        return _logged_chat(provider, inner, request) if is_logged else inner(request)

    return chat


@hookimpl(wrapper=True)
def tako_stream(provider: Provider) -> Around[Stream]:
    """Log a stream if DEBUG is enabled: at its end, as a folded reply."""
    inner = yield

    def stream(request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        return _logged_stream(provider, inner, request) if LOG.isEnabledFor(logging.DEBUG) else inner(request)

    return stream


async def _logged_chat(provider: Provider, inner: Chat, request: ChatRequest) -> ChatResponse:
    attempt = _Attempt(provider, "chat", request)
    try:
        response = await inner(request)
    except BaseException as error:
        attempt.failed(error)
        raise
    attempt.answered(response)
    return response


async def _logged_stream(provider: Provider, inner: Stream, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    attempt = _Attempt(provider, "stream", request)
    received: list[Chunk] = []
    try:
        async with aclosing(inner(request)) as chunks:
            async for chunk in chunks:
                received.append(chunk)
                if chunk.kind == "end":
                    attempt.answered(received)
                yield chunk
    except BaseException as error:
        attempt.failed(error)
        raise


class _Attempt:
    """One attempt, and how long it takes."""

    def __init__(self, provider: Provider, method: str, request: ChatRequest) -> None:
        self._label = f"{provider.label} {method}"
        self._provider = provider
        self._request = request
        self._started_at = monotonic()
        self._log("%s request %s", _plain(request))

    def answered(self, reply: ChatResponse | list[Chunk]) -> None:
        """Log a reply, or the chunks of one."""
        response = check_response(fold(reply) if isinstance(reply, list) else reply)
        response = add_provider_and_cost(response, self._provider, self._request)
        self._log("%s reply after {} %s", _plain(replace(response, raw=None)))

    def failed(self, error: BaseException) -> None:
        """Log a failure; its text has no secrets."""
        self._log("%s failed after {} %s", f"{type(error).__name__}: {error}")

    def _log(self, text: str, value: Any) -> None:
        shown_text = (
            value if isinstance(value, str) else msgspec.json.encode(without_secrets(value), enc_hook=repr).decode()
        )
        hide = getattr(self._provider, "hide", str)
        LOG.debug(text.format(f"{monotonic() - self._started_at:.2f} s"), self._label, hide(shown_text))


def _plain(value: Any) -> dict[str, Any]:
    """Return a request or a response as plain values, with long texts cut, and without fields that nobody set."""
    plain: dict[str, Any] = _cut(msgspec.to_builtins(value, enc_hook=repr))
    return {name: value for name, value in plain.items() if value not in (None, [], {}, "", False)}


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT_LENGTH:
        return f"{value[:MAX_TEXT_LENGTH]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - of Any
    if isinstance(value, list):
        return [_cut(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - of Any
    return value
