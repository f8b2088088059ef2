"""Everything that can go wrong, as one tree.

::

    TakoError
    ├─ ConfigurationError        a missing key, a bad option; raised before the network
    ├─ PluginError               missing, broken, disabled, ambiguous, or lacks a hook
    ├─ UnsupportedError          strict=True and the provider cannot carry something
    ├─ RunLimitError             .messages; a run came to max_rounds or max_cost
    ├─ UrlPrefetchError          the URL policy or the fetch refused an image
    └─ ProviderError             .provider .model .status_code .code .request_id .retry_after .body .retryable
       ├─ BadRequestError            400 422
       │  └─ ContextLengthError
       ├─ AuthenticationError        401
       ├─ PermissionDeniedError      403
       ├─ NotFoundError              404
       ├─ RateLimitError             429
       ├─ ServerError                5xx
       │  └─ OverloadedError         503 529
       ├─ ContentFilterError
       ├─ TransportError             no reply, or only a part of one
       │  └─ ProviderTimeoutError
       └─ ResponseError              a reply that cannot be understood
          ├─ InvalidReplyError       .response .reason
          └─ StreamTruncatedError    .partial

``except TakoError`` catches all of it, and nothing of the libraries underneath comes out bare: the original exception
is the ``__cause__``. Every error is one sentence that says what happened, to which provider and model, and what to do::

    try:
        response = await provider.chat("Hello")
    except tako.errors.RateLimitError as error:
        await asyncio.sleep(error.retry_after or 1.0)
"""

from __future__ import annotations

import re
from reprlib import Repr
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from tako.types import ChatResponse, Cost, Message, Usage

LONGEST = 2000
"""Characters of an error's text. What a vendor wrote beyond it is in ``body``."""
_SEQUENCES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")
"""What a terminal would obey: colours, cursor movements, window titles (ECMA-48)."""
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Control characters, and those of Unicode that turn or hide the text around them."""
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 80, 80
_HALVES = re.compile("[\ud800-\udfff]")


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return a text as one line that is safe to show on a terminal, at most ``longest`` characters of it."""
    if not text.isprintable():
        text = " ".join(_SEQUENCES.sub("", text[: 4 * longest]).split())
        text = _HALVES.sub("\ufffd", _INVISIBLE.sub("", text))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def shown(value: object) -> str:
    """Return a value as an error may quote it: a few words, however large it is and however deep it nests."""
    return _SHORT.repr(value)


class TakoError(Exception):
    """The root of every error that tako raises on purpose. Its text is one line, whatever went into it."""

    def __str__(self) -> str:
        """Return what happened, to whom, and what to do."""
        return one_line(super().__str__())


class ConfigurationError(TakoError):
    """An option, a key or a request that cannot be right; raised before the network."""


class PluginError(TakoError):
    """A plugin is missing, broken, disabled or ambiguous, or lacks a hook."""


class UnsupportedError(TakoError):
    """The request is strict and the provider cannot carry something of it.

    ``notices`` are the ones that the reply of a lenient request would have had.
    """

    def __init__(self, message: str, *, notices: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.notices = notices

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class UrlPrefetchError(TakoError):
    """The URL policy refused an image's address, or the fetch of it failed.

    ``rule`` is a stable name of the rule that refused, ``host`` the URL's host, ``option`` the setting that would
    permit it (None where nothing does). The text never holds the answer's body nor an address that was resolved.
    """

    def __init__(
        self, message: str, *, rule: str = "fetch", host: str | None = None, option: str | None = None
    ) -> None:
        super().__init__(message)
        self.rule = rule
        self.host = host
        self.option = option

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class ProviderError(TakoError):
    """A call reached for a provider and failed.

    ``status_code`` is the HTTP status (None where there was no reply); an error event inside a stream that
    began with 200 has the status that its code stands for. ``code`` is the vendor's own word. ``retry_after``
    is in seconds. ``body`` is the beginning of the reply as text, secrets taken out.
    """

    retryable: bool = False
    default_status: ClassVar[int | None] = None

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status_code: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        body: str | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.status_code = status_code
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.body = body

    def __str__(self) -> str:
        """Return one sentence: who, what, and the ids that a vendor's support will ask for."""
        who = ":".join([str(name) for name in (self.provider, self.model) if name])
        text = one_line(str(self.args[0]) if self.args else "")
        facts = [str(self.status_code) if self.status_code else "", self.code or ""]
        what = " ".join(fact for fact in facts if fact and fact not in text)
        tail = one_line(f" (request {self.request_id})", LONGEST // 4) if self.request_id else ""
        return one_line(": ".join(filter(None, (who, what, text))), LONGEST - len(tail)) + tail

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class BadRequestError(ProviderError):
    """The vendor refused the request as it stands (400, 422)."""

    default_status = 400


class ContextLengthError(BadRequestError):
    """The request is longer than the model's context window."""


class AuthenticationError(ProviderError):
    """The key or the credentials are not accepted (401)."""

    default_status = 401


class PermissionDeniedError(ProviderError):
    """The credentials are good, but not for this (403)."""

    default_status = 403


class NotFoundError(ProviderError):
    """No such model, deployment or path (404)."""

    default_status = 404


class RateLimitError(ProviderError):
    """Too many requests or tokens (429); ``retry_after`` holds the seconds to wait where the vendor says."""

    retryable = True
    default_status = 429


class ServerError(ProviderError):
    """The vendor failed (5xx, and 408 and 409, which are the vendor's moment too)."""

    retryable = True
    default_status = 500


class OverloadedError(ServerError):
    """The vendor has no capacity at the moment (503, 529)."""

    default_status = 503


class ContentFilterError(ProviderError):
    """The vendor's content policy refused the prompt."""

    default_status = 400


class TransportError(ProviderError):
    """No reply: the host is unknown or unreachable, TLS failed, or the connection broke before the reply was whole."""

    retryable = True


class ProviderTimeoutError(TransportError):
    """Nothing came for longer than ``timeout`` (or ``connect_timeout``) seconds, or the ``deadline`` of a call is over.

    In the middle of a stream, ``partial`` is the reply as far as it came.
    """

    partial: ChatResponse | None = None


class ResponseError(ProviderError):
    """A reply that cannot be understood: not JSON, of another shape, or over a size limit."""


class RunLimitError(TakoError):
    """A run came to one of its limits: ``max_rounds`` or ``max_cost``.

    ``messages`` are all of the conversation so far, ``usage`` and ``cost`` what it took. To go on, run the messages.
    """

    def __init__(self, message: str, *, messages: Any = (), usage: Any = None, cost: Any = None) -> None:
        super().__init__(message)
        self.messages: list[Message] = list(messages)
        self.usage: Usage | None = usage
        self.cost: Cost | None = cost

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class InvalidReplyError(ResponseError):
    """A reply that can't be read into the type that was asked for.

    ``response`` is the reply. ``reason`` is "mismatch" (it isn't JSON, or doesn't fit), "refusal" or "length".
    """

    def __init__(self, message: str, *, response: Any = None, reason: str = "mismatch", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.response: ChatResponse = response
        self.reason = reason


class StreamTruncatedError(ResponseError):
    """A stream ended before the vendor said that it was done; ``partial`` is the reply as far as it came.

    Tool calls whose arguments had not been finished are not in ``partial``.
    """

    def __init__(self, message: str, *, partial: ChatResponse | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.partial = partial


def _rebuild(cls: type[TakoError], args: tuple[Any, ...], state: dict[str, Any]) -> TakoError:
    """Make an error again from its parts, for pickle; keyword-only parameters defeat the default way."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
