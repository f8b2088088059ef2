"""Everything that can go wrong, as one tree.

::

    TakoError
    ├─ ConfigurationError        a bad option or request; raised before the network
    │  └─ MissingKeyError            no key is set
    ├─ PluginError               missing, broken, disabled, ambiguous, or lacks a hook
    │  └─ UnknownProviderError       no provider has the name
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

import math
import re
from reprlib import Repr
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tako.types import ChatResponse, Cost, Message, Usage

LONGEST = 2000
"""Characters of an error's text. What a vendor wrote beyond it is in ``body``."""
_ESCAPE_SEQUENCES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")
"""What a terminal would obey: colours, cursor movements, window titles (ECMA-48)."""
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Control characters, and those of Unicode that turn or hide the text around them."""
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 80, 80
_ADVISES_RETRY = re.compile(r"\b(?:try|retry)\b[\w\s]*\b(?:again|later|request)\b", re.IGNORECASE)
"""What vendors themselves write: "Please try again later.", "You can retry your request"."""
_SURROGATES = re.compile("[\ud800-\udfff]")


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return a text as one line that is safe to show on a terminal, at most ``longest`` characters of it."""
    if not text.isprintable():
        text = " ".join(_ESCAPE_SEQUENCES.sub("", text[: 4 * longest]).split())
        text = _SURROGATES.sub("\ufffd", _INVISIBLE.sub("", text))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def short_repr(value: object) -> str:
    """Return a value as an error may quote it: a few words, however large it is and however deep it nests."""
    return _SHORT.repr(value)


def kind_of(value: object) -> str:
    """Return what a value is, with its article: "an int", "a str", "None"."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


class TakoError(Exception):
    """The base class of all errors that tako raises. Its text is always one line."""

    def __str__(self) -> str:
        """Return what happened, at which provider, and what to do."""
        return one_line(super().__str__())


class ConfigurationError(TakoError):
    """An option, a key or a request is wrong. Raised before anything is sent."""


class MissingKeyError(ConfigurationError):
    """A provider has no key.

    Attributes:
        advice: How to pass one, as the end of the text. The command and tako.toml have their own ways.
    """

    def __init__(self, problem: str, advice: str = "pass api_key=") -> None:
        super().__init__(problem)
        self.advice = advice

    def __str__(self) -> str:
        """Return one line: which provider, which variables to set, and how else to pass a key."""
        return one_line(f"{super().__str__()}, or {self.advice}")


class PluginError(TakoError):
    """A plugin is missing, broken, disabled or ambiguous, lacks a hook, or failed during a call."""


class UnknownProviderError(PluginError, AttributeError):
    """No installed provider has that name."""


class UnsupportedError(TakoError):
    """The request has ``strict=True``, and the provider can't send all of it.

    Attributes:
        notices: The notices that the response would have without ``strict``.
    """

    def __init__(self, message: str, *, notices: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.notices = notices

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class UrlPrefetchError(TakoError):
    """The URL policy refused an address, or the fetch failed.

    The text never has the reply's body or an address that DNS returned.

    Attributes:
        rule: A stable name of the rule that refused.
        host: The URL's host.
        option: The setting that would allow it, or None if none does.
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
    """A call to a provider failed.

    Attributes:
        provider: The provider's name.
        model: The model that you requested.
        status_code: The HTTP status, or None without a reply. An error inside a stream has the status of its code.
        code: The vendor's most exact word for the error.
        request_id: The vendor's id of the request.
        retry_after: Seconds to wait, if the vendor says.
        body: The beginning of the reply as text, without secrets.
        retryable: Whether tako retries it.
        tries: How often tako has sent the request.
    """

    retryable: bool = False
    tries: int = 1
    default_advice: ClassVar[str | None] = None
    """What users can do if a vendor refused, so if there's a status or a code."""
    default_status: ClassVar[int | None] = None
    _advice: str | None = None

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
        """Return one line: the provider, what happened, and the ids that the vendor's support needs."""
        provider_id = ":".join([str(name) for name in (self.provider, self.model) if name])
        text = one_line(str(self.args[0]) if self.args else "")
        facts = [str(self.status_code) if self.status_code else "", self.code or ""]
        details = " ".join(fact for fact in facts if fact and fact not in text)
        advice = one_line(self.advice or "", LONGEST // 4)
        tail = f" ({self.tries} tries)" if self.tries > 1 else ""
        tail += f"; {advice}" if advice and advice not in text else ""
        tail += one_line(f" (request {self.request_id})", LONGEST // 4) if self.request_id else ""
        return one_line(": ".join(filter(None, (provider_id, details, text))), LONGEST - len(tail)) + tail

    @property
    def advice(self) -> str | None:
        """What you can do: the end of the error's text. None if there's nothing to add. You may set it."""
        if self._advice is not None:
            return self._advice or None
        is_of_vendor = self.status_code is not None or self.code is not None  # else a plugin or tako itself refused
        if self.default_advice is not None and is_of_vendor:
            return self.default_advice
        if self.retry_after:
            return f"try again in {math.ceil(self.retry_after)} s"
        advises_retry = _ADVISES_RETRY.search(str(self.args[0])) if self.args else None
        return "try again later" if self.retryable and not advises_retry else None

    @advice.setter
    def advice(self, advice: str | None) -> None:
        self._advice = advice

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class BadRequestError(ProviderError):
    """The vendor refused the request (400, 413, 422)."""

    default_status = 400


class ContextLengthError(BadRequestError):
    """The request is longer than the model's context window."""

    default_advice = "send less, or use a model with a larger context"


class AuthenticationError(ProviderError):
    """The vendor doesn't accept the key or the credentials (401)."""

    default_advice = "check the key or the credentials"

    default_status = 401


class PermissionDeniedError(ProviderError):
    """The credentials are valid, but don't allow this, or the account can't pay for it (402, 403)."""

    default_advice = "check what the key allows, and the account's credit"

    default_status = 403


class NotFoundError(ProviderError):
    """There's no such model, deployment or path (404)."""

    default_advice = "check the model's name and the address"

    default_status = 404


class RateLimitError(ProviderError):
    """Too many requests or tokens (429). ``retry_after`` has the seconds to wait, if the vendor says."""

    retryable = True
    default_status = 429


class ServerError(ProviderError):
    """The vendor failed (408, 409, 5xx)."""

    retryable = True
    default_status = 500


class OverloadedError(ServerError):
    """The vendor has no capacity at the moment (503, 529)."""

    default_status = 503


class ContentFilterError(ProviderError):
    """The vendor's content policy refused the prompt."""

    default_advice = "change the prompt"

    default_status = 400


class TransportError(ProviderError):
    """There was no reply: the host can't be found or reached, TLS failed, or the connection broke."""

    retryable = True


class ProviderTimeoutError(TransportError):
    """Nothing came for ``timeout`` (or ``connect_timeout``) seconds, or the ``deadline`` of the call is over.

    Attributes:
        partial: The reply so far, if a stream had begun. Otherwise None.
    """

    partial: ChatResponse | None = None


class ResponseError(ProviderError):
    """The reply can't be read: it isn't JSON, has an unknown shape, or is over a size limit."""


class RunLimitError(TakoError):
    """A run reached ``max_rounds`` or ``max_cost``. To continue, run its messages.

    Attributes:
        messages: The conversation so far.
        usage: The tokens so far.
        cost: The price so far.
    """

    def __init__(self, message: str, *, messages: Any = (), usage: Any = None, cost: Any = None) -> None:
        super().__init__(message)
        self.messages: list[Message] = list(messages)
        self.usage: Usage | None = usage
        self.cost: Cost | None = cost

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class InvalidReplyError(ResponseError):
    """The reply doesn't fit the ``response_type``.

    Attributes:
        response: The reply.
        reason: "mismatch" (it isn't JSON, or doesn't fit), "refusal" or "length".
        messages: After a run, the whole conversation. Otherwise it's empty.
    """

    def __init__(
        self,
        message: str,
        *,
        response: Any = None,
        reason: str = "mismatch",
        messages: Sequence[Message] = (),
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.response: ChatResponse = response
        self.reason = reason
        self.messages = list(messages)


class StreamTruncatedError(ResponseError):
    """A stream ended before the vendor said that it was complete.

    Attributes:
        partial: The reply so far, without tool calls whose arguments were cut.
    """

    def __init__(self, message: str, *, partial: ChatResponse | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.partial = partial


def _rebuild(cls: type[TakoError], args: tuple[Any, ...], state: dict[str, Any]) -> TakoError:
    """Make a pickled error again. Pickle's default can't pass keyword-only parameters."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
