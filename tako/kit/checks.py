"""Checks of provider options: one line that names the option, what it has, and what it should have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tako.errors import ConfigurationError, kind_of
from tako.keywords import option_hint
from tako.kit.keys import Secret
from tako.options import options_of
from tako.request import SECONDS, is_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tako.provider import Provider


class Default(str):
    """A default that the vendor's own environment variable goes before; a signature shows it as the text that it is."""

    __slots__ = ()


def explicit(value: Any) -> Any:
    """Return an option, or None where nobody gave it and its ``Default`` stands there."""
    return None if isinstance(value, Default) else value


def check_option_names(options: Collection[str], known: Collection[str], provider: Provider) -> None:
    """Refuse an option that a provider's class doesn't have. Raises ConfigurationError."""
    for name in options:
        if name not in known:
            cls = type(provider)
            hint = option_hint(name, options_of(cls) or known)
            raise ConfigurationError(f"{provider.id}: {cls.__name__} has no option {name!r}{hint}")


def check_kind(value: Any, kind: type | tuple[type, ...], option: str, owner: str, expected: str) -> None:
    """Refuse an option of another type than ``kind`` (None is for "not given"); ``words`` say what is expected.

    Raises ConfigurationError, which shows the type and never the value: it may be a secret in the wrong place.
    """
    if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise ConfigurationError(f"{owner}: {option} is {expected}, not {kind_of(value)}")


def check_text(value: Any, option: str, owner: str) -> None:
    """Refuse an option that is no text; None is for "not given". Raises ConfigurationError."""
    check_kind(value, str, option, owner, "a str")


def path_of(name: str, option: str, owner: str, *, safe: str = "") -> str:
    """Return a model's name, or another one, as a part of a URL's path: percent-encoded, but for what is ``safe``.

    Raises ConfigurationError for one that would leave its place there: servers and proxies decode what is encoded.
    """
    is_relative = any(step in ("", ".", "..") for step in name.split("/"))
    if is_relative or _FORBIDDEN_IN_PATH.search(name) or not name.isprintable():
        raise ConfigurationError(f"{owner}: {option}={name!r} can't be a part of an address; check the name")
    return quote(name, safe=safe)


def check_transport_options(options: Mapping[str, Any], owner: str) -> None:
    """Check what all HTTP providers take, as far as it is given. Raises ConfigurationError with the option's name."""
    for option, (is_valid, expected) in _EXPECTED.items():
        if option in options and not is_valid(options[option]):
            value = options[option]
            description = repr(value) if isinstance(value, (int, float)) or value is None else f"{kind_of(value)}"
            raise ConfigurationError(f"{owner}: {option} is {expected}, not {description}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_size(value: Any) -> bool:
    return _is_count(value) and value > 0


def _is_client(value: Any) -> bool:
    return value is None or (hasattr(value, "send") and hasattr(value, "build_request"))


def _is_transport(value: Any) -> bool:
    return value is None or hasattr(value, "handle_async_request")


def _is_proxy(value: Any) -> bool:
    return value is None or isinstance(value, (str, Secret))


def _is_headers(value: Any) -> bool:
    return isinstance(value, Mapping)


_FORBIDDEN_IN_PATH = re.compile(r"[?#%\\]")
_SECONDS = (is_seconds, SECONDS)
_BYTES = (_is_size, "a number of bytes above 0")
_EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "timeout": _SECONDS,
    "connect_timeout": _SECONDS,
    "idempotency_header": (lambda value: value is None or isinstance(value, str), "the name of a header"),
    "max_retries": (_is_count, "a number of calls, 0 or more"),
    "max_connections": (_is_count, "a number of connections, 0 for no limit"),
    "max_event_bytes": _BYTES,
    "max_reply_bytes": _BYTES,
    "http_client": (_is_client, "an httpx.AsyncClient, or one that has its `send` and `build_request`"),
    "transport": (_is_transport, "an httpx.AsyncBaseTransport"),
    "proxy": (_is_proxy, "a URL"),
    "trust_env": (lambda value: isinstance(value, bool), "True or False"),
    "headers": (_is_headers, "a dict of names and values"),
}
